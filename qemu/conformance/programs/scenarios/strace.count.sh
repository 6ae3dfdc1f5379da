# quick 60 write
strace -c -o /tmp/log ./calls; awk '{print $4, $5, $6}' /tmp/log | sort
strace -C -e trace=write -o /tmp/log ./calls; grep -v seconds /tmp/log | awk '{print $NF}'
