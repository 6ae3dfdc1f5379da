# 90 Checkpoint 1
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break main
run
checkpoint
info checkpoints
delete
continue
restart 1
backtrace 1
kill
END
gdb -q -nx -batch -x /tmp/commands ./forks
