# 90 exec
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
set follow-fork-mode child
set follow-exec-mode same
tbreak main
run -c './calls-32; exit 3'
catch exec
continue
tbreak add
continue
print a
print $eip == $pc
continue
END
gdb -q -nx -batch -x /tmp/commands --args /bin/sh 2>&1 | grep -v 'debugging symbols\|^\[Attaching\|^\[Detaching'
