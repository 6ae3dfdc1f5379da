# 90 Attaching
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
END
./spin-32 & pid=$!
cat >>/tmp/commands <<END
attach $pid
info inferiors
print \$cs
print \$gs != 0
stepi
stepi
detach
END
echo Attaching
gdb -q -nx -batch -x /tmp/commands ./spin-32 2>&1 | grep -v '^0x\|^[0-9]\|^[a-z_]* (' | sed "s/process [0-9]*/process PID/"
kill $pid
wait $pid
echo "code $?"
