# quick 60 = 24
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break count
run
print factorial(4)
print add(10, 20)
call (int)getpid() > 0
print counter
set var counter = 77
print counter
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
