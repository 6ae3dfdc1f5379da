# 90 New inferior 2
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
set detach-on-fork off
set schedule-multiple on
break child_work
run
info inferiors
backtrace
continue
backtrace
kill inferiors 2
END
gdb -q -nx -batch -x /tmp/commands --args ./forks
