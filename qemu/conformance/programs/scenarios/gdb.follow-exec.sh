# 60 is executing new program
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
set follow-fork-mode child
set follow-exec-mode new
break child_work
run
continue
backtrace
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./forks | grep -v children
