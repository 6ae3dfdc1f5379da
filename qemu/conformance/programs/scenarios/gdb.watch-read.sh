# 60 access (read/write) watchpoint
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break add
run
awatch counter
rwatch origin.y
continue
continue
continue
delete
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
