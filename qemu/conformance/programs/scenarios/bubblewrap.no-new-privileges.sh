# 60 NoNewPrivs:
bwrap --ro-bind / / /bin/sh -c 'grep "NoNewPrivs\|Seccomp" /proc/self/status'
