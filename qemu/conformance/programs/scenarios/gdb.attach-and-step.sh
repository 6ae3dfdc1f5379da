# 90 received 2
mkfifo /tmp/pipe; ./waits </tmp/pipe & waits=$!
exec 5>/tmp/pipe
cat >/tmp/commands <<END
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
attach $waits
shell printf ab >/tmp/pipe
break step
continue
backtrace
finish
delete
detach
END
sleep 0.5
gdb -q -nx -batch -x /tmp/commands ./waits | sed 's/^read ().*//; s/^0x.*in read.*//; /^$/d'
exec 5>&-; wait $waits; echo "code $?"
