# 90 total
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break main
run
info sharedlibrary
next
step
finish
watch counter
continue
catch load
delete
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls-dyn
