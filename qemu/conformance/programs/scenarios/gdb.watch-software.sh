# 120 Watchpoint 2
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
set can-use-hw-watchpoints 0
break count
run
watch counter
continue
continue
delete
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
