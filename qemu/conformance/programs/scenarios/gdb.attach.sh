# quick 90 received 4
mkfifo /tmp/pipe; ./waits </tmp/pipe & waits=$!
exec 5>/tmp/pipe
printf a >&5
sleep 0.5
cat >/tmp/commands <<END
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
attach $waits
print received
break step
detach
END
gdb -q -nx -batch -x /tmp/commands ./waits | sed 's/^read ().*//; s/^0x.*//; /^$/d'; grep TracerPid /proc/$waits/status; sleep 1; grep State /proc/$waits/status
printf bcd >&5; exec 5>&-; wait $waits; echo "code $?"
