# 90 Saved corefile
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break work if id == 1
run
generate-core-file /tmp/core.saved
kill
END
cat >/tmp/read <<'END'
set width 0
set debuginfod enabled off
backtrace
info args
info threads
print $_siginfo.si_signo
print/x $cs
END
gdb -q -nx -batch -x /tmp/commands ./threads-32 2>&1 | grep -v "Memory read failed\|^\[New Thread\|^\[Thread.*exited"; gdb -q -nx -batch -x /tmp/read ./threads-32 /tmp/core.saved 2>&1 | grep -v "^\[New LWP" | sed "s/f[0-9a-f]\{7\}/ADDRESS/g"
