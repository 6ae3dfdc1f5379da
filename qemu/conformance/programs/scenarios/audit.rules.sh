# quick 90 key=made
test -e /proc/self || mount -t proc proc /proc
auditctl -s
auditctl -l
for option in '-e 1' '-b 8192' '-r 100' '-f 0' '--backlog_wait_time 500'; do auditctl $option | grep -v '^backlog '; done
auditctl -a always,exit -F arch=b64 -S mkdir,unlink,rename -k made
auditctl -a exit,always -S all -F pid=4000000 -F success=0
auditctl -a always,exit -F arch=b64 -S open,openat -F exit=-EACCES -F 'auid>=1000' -F auid!=unset -k access
auditctl -a always,exit -F arch=b64 -S execve -C uid!=euid -F euid=0 -k setuid
auditctl -a always,exit -F arch=b32 -S all -k compat
auditctl -a never,task -F uid=12345
auditctl -a always,exclude -F msgtype=CWD
auditctl -A never,exit -F path=/tmp/quiet -F perm=wa
auditctl -a never,user -F uid=12345
auditctl -a never,filesystem -F fstype=debugfs
auditctl -w /tmp/watched -p wa -k watched
auditctl -w /tmp -p x
auditctl -a always,exit -F dir=/opt -F perm=r -F key=one -F key=two
auditctl -a always,exit -S kill -F a1=9 -F 'a0&1' -F exe=/bin/busybox
auditctl -l
auditctl -l -k made
auditctl -a always,exit -F arch=b64 -S mkdir,unlink,rename -k made; echo "status $?"
auditctl -d always,exit -S reboot; echo "status $?"
auditctl -w /no/directory/file; echo "status $?"
auditctl -a always,exit -F uid=nobody1 -S all; echo "status $?"
auditctl -a always,exit -F nofield=1; echo "status $?"
auditctl -a sometimes,exit -S all; echo "status $?"
auditctl -d always,exit -F arch=b64 -S execve -C uid!=euid -F euid=0 -k setuid; echo "status $?"
auditctl -W /tmp/watched -p wa -k watched; echo "status $?"
auditctl -D -k made; echo "status $?"
auditctl -l
auditctl -D
auditctl -l
auditctl --reset-lost
auditctl --loginuid-immutable; echo "status $?"
auditctl -m 'a message'; echo "status $?"
auditctl -s | grep -v '^lost\|^backlog '
auditctl -e 2 | grep -v '^lost\|^backlog '
auditctl -a always,exit -S mount; echo "status $?"
auditctl -e 0; echo "status $?"
auditctl -D; echo "status $?"
auditctl -s | grep enabled
