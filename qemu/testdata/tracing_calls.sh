# Uses the trace events of system calls with the program tracedcalls, whose path is TRACED.
# tracing_calls.linux-6.1 has what it prints on Linux 6.1.
cd /sys/kernel/tracing || exit
put() { echo "$2" >"$1" || echo "failed: $2 into $1"; }
# The parent's id, and what registers have that are no arguments, differ.
strip() { grep -v '^#' | sed 's/^.*[0-9]: //; s/getppid -> .*/getppid -> PARENT/; s/NR 110 = .*/NR 110 = PARENT/; s/\b[0-9a-f]\{6,12\}\b/ADDRESS/g'; }
records() { strip <trace; put trace ''; }
off() { put events/enable 0; put events/raw_syscalls/filter 0; put events/syscalls/filter 0; }

echo "== formats"
cat events/raw_syscalls/*/format events/syscalls/*_openat/format events/syscalls/*_getppid/format events/syscalls/sys_enter_execve/format | grep -v ID
ls -1 events/syscalls/sys_enter_newuname events/raw_syscalls | grep -v hist # Slowpath has no histograms

echo "== all calls"
put events/raw_syscalls/filter 'comm == "tracedcalls" && (id == 110 || id == 8 || id == 277 || id == 15 || id == 231 || id == 59 || id == -1)'
put events/raw_syscalls/enable 1
$TRACED
echo "status $?"
put events/raw_syscalls/enable 0
records
off

echo "== some calls"
put events/syscalls/filter 'comm == "tracedcalls"'
for call in getppid lseek openat sync_file_range exit_group; do
	put events/syscalls/sys_enter_$call/enable 1
	put events/syscalls/sys_exit_$call/enable 1
done
cat events/syscalls/enable set_event | sort
$TRACED
records
off

echo "== without a filter"
put events/syscalls/sys_enter_sync_file_range/enable 1
put events/syscalls/sys_exit_sync_file_range/enable 1
$TRACED
records
off

echo "== filters of arguments"
put events/syscalls/sys_enter_lseek/filter 'whence == 2 && offset < 0'
put events/syscalls/sys_enter_lseek/enable 1
put events/syscalls/sys_enter_openat/filter 'flags & 1 && comm == "tracedcalls"'
put events/syscalls/sys_enter_openat/enable 1
put events/syscalls/sys_exit_lseek/filter 'ret == -29 || ret == -9'
put events/syscalls/sys_exit_lseek/enable 1
$TRACED
records
put events/syscalls/sys_enter_lseek/filter 'whither == 2'
cat events/syscalls/sys_enter_lseek/filter
put events/syscalls/sys_enter_lseek/filter 0
off

echo "== triggers"
put events/syscalls/sys_enter_sync_file_range/trigger 'traceoff:1'
put events/syscalls/sys_enter_lseek/trigger 'enable_event:syscalls:sys_exit_sync_file_range:1 if whence == 2'
put events/syscalls/sys_enter_sync_file_range/enable 1
cat events/syscalls/sys_exit_sync_file_range/enable
$TRACED
cat tracing_on events/syscalls/sys_exit_sync_file_range/enable
put events/syscalls/sys_enter_sync_file_range/trigger '!traceoff'
put events/syscalls/sys_enter_lseek/trigger '!enable_event:syscalls:sys_exit_sync_file_range'
records
put tracing_on 1
off

echo "== an instance"
mkdir instances/other
put instances/other/events/syscalls/sys_enter_sync_file_range/enable 1
put events/syscalls/sys_exit_sync_file_range/enable 1
$TRACED
strip <instances/other/trace
put instances/other/events/enable 0
rmdir instances/other
records
off

echo "== threads of a list"
put options/event-fork 1
put set_event_pid $$
put events/syscalls/sys_enter_sync_file_range/enable 1
$TRACED
(cd / && $TRACED)
records
put set_event_pid ''
put options/event-fork 0
off
put set_event_pid 1
put events/syscalls/sys_enter_sync_file_range/enable 1
(cd / && $TRACED)
records
echo >set_event_pid
off
echo "== end"
