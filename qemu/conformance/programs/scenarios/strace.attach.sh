# quick 60 received 4
mkfifo /tmp/pipe; ./waits </tmp/pipe >/tmp/out & waits=$!
exec 5>/tmp/pipe
while ! grep -q '^0 0x0 ' /proc/$waits/syscall; do sleep 0.1; done
strace -p $waits -o /tmp/log 5>&- & strace=$!
while ! grep -q 'read(0' /tmp/log 2>/dev/null; do sleep 0.1; done
printf abcd >&5; exec 5>&-; wait $waits; wait $strace; cat /tmp/log /tmp/out
