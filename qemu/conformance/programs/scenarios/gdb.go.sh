# 120 main.work
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set auto-load off
handle SIGURG nostop noprint
break main.work
run
backtrace 1
print id
finish
kill
END
gdb -iex "set auto-load off" -q -nx -batch -x /tmp/commands ./goroutines 2>&1 | grep -v "New LWP\|Switching\|LWP.*exited\|auto-load"
