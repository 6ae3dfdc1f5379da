# Uses the files of tracefs with probes on the functions work and leaf of the program
# traced. TRACED is its path, WORK and LEAF are the file offsets of the functions, and
# NUMBERS is the address of the array numbers. tracing.linux-6.1 has what it prints on
# Linux 6.1.
cd /sys/kernel/tracing || exit
define() { echo "$@" >>uprobe_events || echo "failed: $*"; }
records() { grep -v '^#' trace; }
put() { echo "$2" >"$1" || echo "failed: $2 into $1"; }

echo "== definitions"
define "p:work $TRACED:$WORK a=%di:s32 s=+0(%si):string c=+0(%dx):s8 h=+2(%dx):s16 i=+4(%dx):s32 l=+8(%dx):s64 x=+8(%dx):x64 b=+16(%dx):b4@8/32"
define "r:back $TRACED:$WORK value=\$retval:s32 comm=\$comm"
define "p:mine/leaf $TRACED:$LEAF a=%di n=@$NUMBERS:s64 n1=+8(@$NUMBERS) fault=+0(%di):u64 text=+0(%di):string elf=@+1:string imm=\\17"
define "p:memory $TRACED:$WORK n=+0(%cx):s64[4] inner=+0(+24(%dx)):string v=+0(%r8):string[3] user=+u0(%si):ustring ip=%ip:symbol"
cat uprobe_events
cat events/uprobes/memory/format events/mine/leaf/format | grep -v ID
ls -1 events/uprobes events/mine
cat events/mine/enable events/uprobes/work/filter

echo "== records"
put events/uprobes/enable 1
put events/mine/leaf/enable 1
cat set_event
$TRACED
records
cat uprobe_profile
cat per_cpu/cpu*/stats | grep '^overrun\|^dropped' | sort -u

echo "== filters"
put trace ''
put events/uprobes/back/enable 0
put events/uprobes/memory/enable 0
put events/uprobes/work/filter 'a >= 2 && s ~ "h*" || a == 7'
cat events/uprobes/work/filter
$TRACED
records
put events/uprobes/work/filter '(a == 1'
cat events/uprobes/work/filter
put events/uprobes/work/filter 'nothing == 1'
cat events/uprobes/work/filter
put events/uprobes/work/filter 0
put events/uprobes/filter 'value == 3'
cat events/uprobes/filter | tail -n 1
cat events/uprobes/back/filter events/uprobes/memory/filter
put events/uprobes/filter 0
cat error_log

echo "== triggers"
put trace ''
put events/mine/leaf/trigger 'traceoff:1'
put events/uprobes/work/trigger 'disable_event:mine:leaf:1 if a == 7'
cat events/mine/leaf/trigger events/uprobes/work/trigger events/mine/leaf/enable
$TRACED
cat tracing_on events/mine/leaf/enable events/uprobes/work/trigger
put events/mine/leaf/trigger '!traceoff'
put events/uprobes/work/trigger '!disable_event:mine:leaf'
records
put tracing_on 1

echo "== errors"
put error_log ''
define "p:work $TRACED:$WORK %di"
define "r:work $TRACED:$WORK"
define "p:bad/name- $TRACED:$WORK"
define "p $TRACED:$WORK +0(%di"
define "p $TRACED:$WORK x=%nothing"
define "p /nothing:0x10"
define "-:work"
define "-:nothing"
cat error_log

echo "== an instance"
mkdir instances/other
put instances/other/events/mine/leaf/enable 1
put trace ''
$TRACED
grep -v '^#' instances/other/trace
rmdir instances/other

echo "== trace_pipe"
put trace ''
put events/enable 0
put events/mine/leaf/enable 1
$TRACED
put tracing_on 0
cat trace_pipe
records
put tracing_on 1

echo "== removal"
put uprobe_events ''
put events/enable 0
define "-:uprobes/back"
define "-:mine/"
cat uprobe_events
put uprobe_events ''
cat uprobe_events
ls -1 events/uprobes events/mine
echo "== end"
