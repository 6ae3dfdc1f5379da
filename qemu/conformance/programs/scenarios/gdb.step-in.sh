# quick 60 Value returned
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break add
run
backtrace
info args
info locals
finish
step
step
next
info registers rip eflags
stepi
x/3i $pc
nexti
print $pc > 0
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
