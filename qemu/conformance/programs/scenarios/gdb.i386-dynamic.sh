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
delete
catch syscall write
continue
print $orig_eax
print $eax
x/2i $pc
up
info frame
down
continue
print $eax
delete
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls-dyn-32 2>&1 | sed "s/f[7-9a-f][0-9a-f]\{6\}/ADDRESS/g"
