# 60 Hardware assisted breakpoint
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break main
run
hbreak factorial
tbreak count
info breakpoints
continue
continue
delete
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
