# 60 exited with 2
strace -o /tmp/log ./calls-dyn; grep -v x86-64-v4 /tmp/log | sed 's/st_size=[0-9]*/N/; s/^fstat.*/fstat/'
