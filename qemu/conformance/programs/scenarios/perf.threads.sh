# 90 id=2
test -e /sys/kernel || mount -t sysfs sysfs /sys
test -e /sys/kernel/tracing/README || mount -t tracefs tracefs /sys/kernel/tracing
cd /tmp
perf probe -q -x /opt/threads-dyn 'work id=%di:s32'
perf probe -q -x /usr/lib/x86_64-linux-gnu/libc.so.6 pthread_mutex_lock
perf record -q -e probe_threads:work -o recorded /opt/threads-dyn
perf script -i recorded -F event,trace 2>/dev/null
perf record -q -a -e probe_threads:work -o recorded -- /opt/threads-dyn
perf script -i recorded -F comm,event,trace 2>/dev/null
perf record -q -g -e probe_threads:work -o recorded /opt/threads-dyn
perf script -i recorded -F comm,event,ip,sym 2>/dev/null | sed 's/^ *[0-9a-f]* //' | head -2
perf probe -q -d 'probe_threads:*'
perf probe -q -d 'probe_libc:*'
