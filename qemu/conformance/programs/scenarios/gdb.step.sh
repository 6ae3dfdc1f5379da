# quick 60 total += factorial(4)
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break main
run
next
next
step
next
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
