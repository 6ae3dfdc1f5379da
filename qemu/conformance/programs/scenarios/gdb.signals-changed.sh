# 60 signal SIGTERM
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
set confirm off
catch signal SIGUSR1
run
signal 0
run
signal SIGTERM
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
