# 60 +++ exited
strace -i -e trace=write ./calls; strace -r -e trace=openat ./calls; strace -T -tt -e trace=openat ./calls
strace -y -yy -e trace=write,openat ./calls; strace -e trace=none -e signal=SIGUSR1 ./calls
strace -z -e trace=openat ./calls; strace -Z -e trace=openat,write ./calls; strace -e status=failed ./calls
env -i PATH=$PATH strace -E FOO=bar -e trace=execve -v -s 8 -x env -i ./calls; strace -n -X raw -e trace=openat ./calls
strace -D -o /tmp/log -e trace=write ./calls; sleep 1; cat /tmp/log; strace -u nobody -e trace=write id -u
strace -b execve -o /tmp/log -f ./forks; tail -n 1 /tmp/log | sed 's/^[0-9]*//'
strace -I 4 -e trace=write ./calls; strace --kill-on-exit -e trace=write ./calls
