# 90 turn 3
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set sysroot /
target remote | gdbserver --once - ./threads
break work
continue
continue
continue
continue
END
gdb -q -nx -batch -x /tmp/commands ./threads 2>&1 | grep -v '^\[New Thread\|^\[Thread.*exited'
