# 90 turn 3
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break work if id == 2
run
backtrace
set scheduler-locking on
next
set scheduler-locking off
continue
END
gdb -q -nx -batch -x /tmp/commands ./threads-dyn 2>&1 | grep -v '^\[New Thread\|^\[Thread.*exited'
