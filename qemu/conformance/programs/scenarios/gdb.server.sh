# quick 90 Remote debugging
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set sysroot /
target remote | gdbserver --once - ./calls
break add
continue
backtrace
next
finish
watch counter
continue
delete
continue
END
gdb -q -nx -batch -x /tmp/commands ./calls
