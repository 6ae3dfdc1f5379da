# 90 detached
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
break work
run
shell echo stopped
kill
END
gdb -q -nx -batch -x /tmp/commands ./threads 2>&1 | grep -v '^\[New Thread\|^\[Thread.*exited'; echo detached
