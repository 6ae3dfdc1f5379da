# quick 60 exited with 2
strace -o /tmp/log ./calls; cat /tmp/log
