# 90 total += factorial(4)
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
watch counter
continue
continue
info watchpoints
delete
hbreak on_signal
handle SIGUSR1 stop print pass
continue
print $_siginfo.si_signo
continue
backtrace
finish
stepi
stepi
print factorial(5)
call (int)getpid() > 0
tbreak factorial
print factorial(3)
kill
END
gdb -q -nx -batch -x /tmp/commands --args ./calls-32
