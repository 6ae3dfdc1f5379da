# quick 60 Program received signal SIGSEGV
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
run
backtrace
print $_siginfo.si_signo
print $_siginfo.si_code
print $_siginfo._sifields._sigfault.si_addr
x/i $pc
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls crash
