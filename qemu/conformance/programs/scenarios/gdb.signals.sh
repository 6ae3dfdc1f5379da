# quick 60 Program received signal SIGUSR1
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
set confirm off
handle SIGUSR1 stop print pass
run
print $_siginfo.si_signo
print $_siginfo.si_code
break on_signal
continue
info args
delete
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
