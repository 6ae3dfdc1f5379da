# 60 status 0
mkdir -p /run /var/run /tmp/work
sed -i 's/^log_group.*/log_group = root/; s/space_left_action.*/space_left_action = IGNORE/; s/^\(admin_\)\{0,1\}space_left = .*/\1space_left = 1/' /etc/audit/auditd.conf
sed -i 's/^space_left = .*/space_left = 2/' /etc/audit/auditd.conf
auditd -n >/dev/null 2>&1 &
daemon=$!
until auditctl -s | grep -q '^enabled 1'; do sleep 0.1; done
auditctl -s | sed -n "s/^pid $daemon$/registered/p"
auditctl -a always,exit -F arch=b64 -S mkdir -k made
mkdir /tmp/work/directory
auditctl -D -k made
sleep 1
ausearch --format text -k made 2>/dev/null | grep -c directory
grep -o 'type=\(SYSCALL\|CWD\|PATH\|PROCTITLE\|DAEMON_START\)' /var/log/audit/audit.log | sort | uniq -c | sed 's/^ *//'
kill $daemon
wait $daemon
echo "status $?"
grep -c 'type=DAEMON_END' /var/log/audit/audit.log
auditctl -s | grep '^pid'
