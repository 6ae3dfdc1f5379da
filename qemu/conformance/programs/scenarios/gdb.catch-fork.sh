# quick 60 Catchpoint 1 (forked process
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
catch fork
catch vfork
catch exec
run
continue
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./forks
