# quick 60 Hardware watchpoint
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break count
run
watch counter
continue
continue
continue
info watchpoints
delete
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
