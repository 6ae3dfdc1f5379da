# quick 60 New inferior 2
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
set follow-fork-mode child
catch exec
break child_work
run
backtrace
continue
continue
info inferiors
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./forks | grep -v children
