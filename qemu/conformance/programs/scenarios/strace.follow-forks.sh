# 60 "children 7 9\n"
strace -ff -o /tmp/log ./forks
for f in $(ls /tmp/log.* | sort -t. -k2n); do echo "== a process"; sed 's/\(child_stack=.*\) = [0-9]*$/\1 = PID/; s/^\(wait4\|vfork\)(.*) *= [0-9]*$/\1 = PID/; s/si_pid=[0-9]*/si_pid=PID/; s/^wait4([0-9]*/wait4(PID/' $f; done
