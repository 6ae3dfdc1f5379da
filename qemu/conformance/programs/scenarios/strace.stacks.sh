# 60 main+
strace -k -e trace=openat -P /nonexistent ./calls; strace -k -e trace=write ./calls-dyn 2>&1 | sed 's/\[0x[0-9a-f]*\]//; s/+0x[0-9a-f]*//g; s/main/main+/'
