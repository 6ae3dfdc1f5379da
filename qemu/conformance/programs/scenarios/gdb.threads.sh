# quick 90 info threads
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
echo info threads\n
break work
run
continue
continue
continue
END
gdb -q -nx -batch -x /tmp/commands ./threads 2>&1 | grep -v '^\[New Thread\|^\[Thread.*exited'
