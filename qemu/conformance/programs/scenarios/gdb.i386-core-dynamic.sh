# 90 Program terminated with signal SIGSEGV
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
backtrace
info threads
print $_siginfo.si_signo
print $_siginfo.si_code
print/x $_siginfo._sifields._sigfault.si_addr
info registers eax ecx edx esi edi eip cs ss ds es fs gs eflags
print $orig_eax
info all-registers st0 fctrl ftag mxcsr
print/x $xmm3.v4_int32
x/i $pc
thread apply all -s print $eip == $pc
thread apply all -s x/i $pc
info auxv
END
cd /tmp; ulimit -c unlimited; /opt/crash-dyn-32; echo "code $?"; ls core* | wc -l
od -A n -t x1 -N 20 /tmp/core*
gdb -q -nx -batch -x /tmp/commands /opt/crash-dyn-32 /tmp/core* 2>&1 | grep -v "^[0-9]* *AT_\(HWCAP\|SYSINFO\|RANDOM\|EXECFN\|PLATFORM\|MINSIG\|RSEQ\|BASE\)\|^\[New LWP\|???\|xstate\|^$" | sed "s/f[0-9a-f]\{7\}/ADDRESS/g" | sed 's/Thread 0x[0-9a-zA-Z]* (/Thread (/' | tr -s ' '
