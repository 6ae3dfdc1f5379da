# quick 60 #3
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break factorial if n == 1
run
backtrace
up
info locals
print n
down
frame function main
print origin
print &origin
ptype origin
x/2dw &origin
x/s origin.name
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
