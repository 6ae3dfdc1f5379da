# quick 90 work:                 (ADDR) a=2 s="hello"
eval "$(./probed offsets)"
T=/sys/kernel/tracing
[ -e $T/trace ] || busybox mount -t tracefs nodev $T
cd /tmp
define() {
  echo "p:work /opt/probed:$work a=%di:s32 s=+0(%si):string" >$T/uprobe_events
  echo "r:back /opt/probed:$leaf value=\$retval:s32" >>$T/uprobe_events
}
# The recorders of trace-cmd are not ready at once. A program that ends before is not recorded.
program() { trace-cmd record "$@" /bin/sh -c 'sleep 0.5; exec /opt/probed' 2>&1 | report; }
# Numbers of threads and CPUs, sizes and addresses differ from run to run.
report() { sed 's/-[0-9]* *\[[0-9]*\] */ /; s/([0-9a-f]*)/(ADDR)/; s/([0-9a-f]* <- [0-9a-f]*)/(ADDR <- ADDR)/; s/ [0-9]*\.[0-9]*: */ TIME: /; /^CPU/d; /bytes in size/d'; }
echo "record"; define
trace-cmd list -e uprobes
program -e uprobes
trace-cmd report 2>&1 | report
echo "record with a filter"
program -e uprobes:work -f 'a > 1'
trace-cmd report 2>&1 | report
echo "record of one process"
trace-cmd reset; define
program -e uprobes -F
trace-cmd report 2>&1 | report
echo "record of a process and its children"
trace-cmd reset; define
trace-cmd record -e uprobes -c -F /bin/sh -c 'sleep 0.5; /opt/probed; echo end' 2>&1 | report
trace-cmd report 2>&1 | report
echo "start, show, stop, extract"
trace-cmd start -e uprobes:back
/opt/probed
trace-cmd show | grep -v '^#' | sed 's/\[[0-9]*\] [^ ]*/[CPU] FLAGS/; s/0x[0-9a-f]*/ADDR/g; s/-[0-9]* */ /; s/  *[0-9]*\.[0-9]*:/ TIME:/; s/^ *//'
trace-cmd stop
trace-cmd extract -o extracted.dat 2>&1 | report
trace-cmd report -i extracted.dat 2>&1 | report
echo "an instance"
program -B other -e uprobes:back | grep -v '^$\|Buffer'
trace-cmd report 2>&1 | report
ls $T/instances
trace-cmd reset -a
cat $T/uprobe_events $T/tracing_on
