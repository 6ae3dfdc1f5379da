# 90 Core was generated
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
backtrace
info threads
print origin
print counter
x/i $pc
info registers rax
print $_siginfo.si_signo
info auxv
END
cd /tmp; ulimit -c unlimited; /opt/calls crash; echo "code $?"; ls core* | wc -l
gdb -q -nx -batch -x /tmp/commands /opt/calls /tmp/core* 2>&1 | grep -v "^[0-9]* *AT_\(HWCAP\|SYSINFO\|RANDOM\|EXECFN\|PLATFORM\|MINSIG\|RSEQ\)\|LWP\|???\|xstate\|^$"
