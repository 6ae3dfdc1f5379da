# quick 90 n=4
test -e /sys/kernel || mount -t sysfs sysfs /sys
test -e /sys/kernel/tracing/README || mount -t tracefs tracefs /sys/kernel/tracing
cd /tmp
perf probe -q -x /opt/calls 'factorial n=%di:s32'
perf probe -q -x /opt/calls 'factorial_returns=factorial%return value=$retval:s32'
perf probe -q -x /opt/calls add
perf probe -l 'probe_calls:*'
perf record -q -e probe_calls:factorial -e probe_calls:factorial_returns__return -e probe_calls:add -o recorded /opt/calls
perf script -i recorded -F comm,event,trace 2>/dev/null
perf script -i recorded -F comm,tid,event 2>/dev/null | cut -c1-16 | sort | uniq -c
perf report -i recorded --stdio -s comm,sym 2>/dev/null | grep -v '^#' | grep .
perf stat -x, -e probe_calls:factorial,probe_calls:add /opt/calls 2>&1 | cut -d, -f1-3
perf probe -q -d 'probe_calls:*'
perf probe -l 'probe_calls:*'
