# 90 Remote debugging
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
set sysroot /
target remote | gdbserver --once - ./calls-32
break add
continue
backtrace
print $eip == $pc
next
finish
watch counter
continue
delete
continue
END
gdb -q -nx -batch -x /tmp/commands ./calls-32
