# 90 turn 3
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break work
run
print id
continue
thread apply all print $_thread > 0
continue
backtrace
print/x $gs
continue
END
gdb -q -nx -batch -x /tmp/commands ./threads-32 2>&1 | grep -v '^\[New Thread\|^\[Thread.*exited' | sed "s/f[0-9a-f]\{7\}/ADDRESS/g"
