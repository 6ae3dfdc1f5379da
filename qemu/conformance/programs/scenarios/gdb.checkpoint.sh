# 90 1 process
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break main
run
checkpoint
info checkpoints
delete checkpoint 1
info checkpoints
delete
continue
END
gdb -q -nx -batch -x /tmp/commands ./forks
