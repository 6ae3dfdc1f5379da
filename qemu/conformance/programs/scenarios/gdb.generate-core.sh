# 90 Saved corefile
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
break add
run
generate-core-file /tmp/core.saved
kill
END
cat >/tmp/read <<'END'
set width 0
set debuginfod enabled off
backtrace
info args
print origin
info proc
END
gdb -q -nx -batch -x /tmp/commands ./calls 2>&1 | grep -v "Memory read failed"; gdb -q -nx -batch -x /tmp/read ./calls /tmp/core.saved | grep -v LWP
