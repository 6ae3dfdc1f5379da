# quick 90 key="made"
test -e /proc/self || mount -t proc proc /proc
cd /tmp
auditctl -e 1 >/dev/null; auditctl -b 8192 >/dev/null
auditctl -a always,exit -F arch=b64 -S mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat -k made
auditctl -a always,exit -F arch=b64 -S chmod,fchmodat -F success=0
/opt/auditread /bin/busybox mkdir directory
/opt/auditread /bin/busybox mkdir directory
/opt/auditread /bin/busybox ln -s nowhere link
/opt/auditread /bin/busybox ln link /tmp/directory/second
/opt/auditread /bin/busybox mv link directory/moved
/opt/auditread /bin/busybox mv directory/moved directory/second
/opt/auditread /bin/busybox rm directory/second
/opt/auditread /bin/busybox rmdir missing
/opt/auditread /bin/busybox rmdir directory
/opt/auditread /bin/busybox chmod 600 missing
auditctl -D
echo === programs
auditctl -a always,exit -F arch=b64 -S execve -k ran
/opt/auditread /bin/busybox true
/opt/auditread /bin/cat /dev/null
/opt/auditread /opt/none
printf '#!/bin/sh\nexit 3\n' >script; chmod 755 script
/opt/auditread /tmp/script 'two words' ''
auditctl -D
echo === files
echo a >watched; echo b >other; mkdir tree; echo c >tree/file
auditctl -w /tmp/watched -p wa -k watched
auditctl -w /tmp/tree -p r -k tree
/opt/auditread /bin/cat watched
/opt/auditread /bin/sh -c 'echo x >>watched'
/opt/auditread /bin/sh -c 'echo x >>other'
/opt/auditread /bin/cat tree/file other
/opt/auditread /bin/chmod 600 watched
/opt/auditread /bin/rm watched
auditctl -D
echo === calls
auditctl -a always,exit -F arch=b64 -S exit_group -k end
/opt/auditread /bin/busybox false
auditctl -D
auditctl -a always,exit -F arch=b64 -S kill -k killed
/opt/auditread /bin/sh -c 'kill -0 $$; kill -0 999999'
auditctl -D
auditctl -a always,exit -F arch=b64 -S openat -F exit=-ENOENT -k none
/opt/auditread /bin/sh -c 'cat /none 2>/dev/null'
auditctl -D
auditctl -a always,exit -F arch=b64 -S mkdir -k never
auditctl -A never,exit -F arch=b64 -S mkdir
/opt/auditread /bin/busybox mkdir e
auditctl -D
auditctl -a always,exclude -F msgtype=PROCTITLE -F msgtype=CWD
auditctl -a always,exclude -F msgtype=CWD
auditctl -a always,exit -F arch=b64 -S mkdir
/opt/auditread /bin/busybox mkdir f
auditctl -D
auditctl -a always,exit -F arch=b64 -S bind,connect,socketpair,pipe,pipe2,mmap -F success=1 -F exe=/opt/calls -k called
/opt/auditread /opt/calls >/dev/null
auditctl -D
echo === others
/opt/auditread /bin/sh -c 'kill -SEGV $$'
/opt/auditread /bin/sh -c 'kill -QUIT $$'
/opt/auditread /sbin/auditctl -m 'a message'
/opt/auditread /sbin/auditctl -r 5 | grep -v '^backlog '
/opt/auditread /sbin/auditctl -r 0 | grep -v '^backlog '
/opt/auditread /sbin/auditctl -a always,exit -S mount -k mounts
/opt/auditread /sbin/auditctl -a always,exit -S mount -k mounts
/opt/auditread /sbin/auditctl -D
cat /proc/self/loginuid /proc/self/sessionid; echo
/opt/auditread /bin/sh -c 'echo 1000 >/proc/self/loginuid; cat /proc/self/loginuid /proc/self/sessionid; echo'
auditctl -e 0 >/dev/null
/opt/auditread /bin/sh -c 'kill -SEGV $$'
