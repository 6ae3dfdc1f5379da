# 180 add
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
break add
run
record
next
next
print sum
reverse-next
reverse-next
info locals
record stop
continue
END
gdb -q -nx -batch -x /tmp/commands ./calls
