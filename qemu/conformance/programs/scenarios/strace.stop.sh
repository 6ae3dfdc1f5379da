# 60 stopped by SIGSTOP
strace -f -e trace=none -e signal=STOP,CONT,CHLD -o /tmp/log sh -c 'sh -c "kill -STOP \$\$; exit 3" & child=$!
while ! grep -q "T (stopped)\|t (tracing" /proc/$child/status; do sleep 0.1; done; sleep 0.5; grep State /proc/$child/status; kill -CONT $child; wait $child; echo $?'
grep "STOP\|CONT" /tmp/log | sed 's/^[0-9]* *//' | sort
