# 60 turn 3
strace -ff -e trace=clone,clone3,write,exit,exit_group -o /tmp/log ./threads
for f in $(ls /tmp/log.* | sort -t. -k2n); do echo "== a thread"; sed 's/parent_tid=\[[0-9]*\]/parent_tid=[TID]/; s/=> *{parent/=> {parent/; s/ = [0-9]\{2,\}$/ = N/; s/}, 88) = [0-9]*/}, 88) = N/' $f; done
