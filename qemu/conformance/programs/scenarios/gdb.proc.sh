# 90 heap
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
break add
run
info proc exe
info proc cwd
info proc cmdline
info proc mappings
info auxv
END
gdb -q -nx -batch -x /tmp/commands ./calls | sed 's/ *$//' | grep -v "AT_\(HWCAP\|SYSINFO\|RANDOM\|MINSIG\|RSEQ\)\|???\|vvar_vclock\|vsyscall\|rw-p$\|^process" | sed 's/0x[0-9a-f]* *0x[0-9a-f]* *0x[0-9a-f]* *0x[0-9a-f]*/RANGE/'
