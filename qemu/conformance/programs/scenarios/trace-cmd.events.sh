# quick 90 signal_deliver
T=/sys/kernel/tracing
[ -e $T/trace ] || busybox mount -t tracefs nodev $T
cd /tmp
# Numbers of threads and CPUs, addresses and times differ from run to run.
report() { sed 's/-[0-9]* *\[[0-9]*\] */ /; s/ [0-9]*\.[0-9]*: */ TIME: /; s/pid=[0-9]*/pid=PID/g; s/0x[0-9a-f]*/ADDR/g; s/sa_handler=[0-9a-f]*/sa_handler=ADDR/; /^CPU/d; /bytes in size/d; /^cpus/d'; }
# The recorders of trace-cmd are not ready at once. A program that ends before is not recorded.
program() { trace-cmd record "$@" -F /bin/sh -c 'sleep 0.5; exec /opt/calls' 2>&1 | report; }
echo "record of one process"
program -e signal -e task:task_rename -e sched:sched_process_exec -e sched:sched_process_exit
trace-cmd report 2>&1 | report
echo "system calls"
program -e syscalls:sys_enter_openat -e syscalls:sys_exit_openat
trace-cmd report 2>&1 | grep -a 'calls-' | report | sort -u
echo "raw system calls with a filter"
program -e raw_syscalls:sys_exit -f 'ret == -2'
# How many directories the dynamic linker searches depends on the processor.
trace-cmd report 2>&1 | report | sort -u
echo "the scheduler"
trace-cmd record -e sched:sched_switch -e sched:sched_waking /bin/sh -c 'sleep 0.5; sleep 0.1' 2>&1 | report
trace-cmd report 2>&1 | grep -a -o 'sleep:[0-9]* \[120\] S ==>\|sched_waking: *comm=sleep' | sed 's/:[0-9]*/:PID/; s/  */ /' | sort -u
echo "start, show, stat, stop"
trace-cmd start -e signal:signal_generate -f 'sig == 10'
/opt/calls
trace-cmd stop
trace-cmd show | grep -v '^#' | sed 's/\[[0-9]*\] [^ ]*/[CPU] FLAGS/; s/pid=[0-9]*/pid=PID/; s/-[0-9]* */ /; s/  *[0-9]*\.[0-9]*:/ TIME:/; s/^ *//'
trace-cmd stat 2>/dev/null | grep -A3 '^Events'
trace-cmd reset -a
cat $T/tracing_on
