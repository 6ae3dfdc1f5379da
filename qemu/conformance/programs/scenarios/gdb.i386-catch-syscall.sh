# 60 Catchpoint 1 (call to syscall
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
catch syscall openat
catch syscall write
run
print $orig_eax
print $eax
continue
continue
continue
info breakpoints
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls-32
