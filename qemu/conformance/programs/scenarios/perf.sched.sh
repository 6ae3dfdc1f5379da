# 90 sched_switch
test -e /sys/kernel || mount -t sysfs sysfs /sys
test -e /sys/kernel/tracing/README || mount -t tracefs tracefs /sys/kernel/tracing
cd /tmp
perf sched record -o recorded -- sh -c 'sleep 0.02; /opt/spin 1000000' 2>/dev/null
perf sched -i recorded latency 2>/dev/null | awk '/sleep|spin/ {sub(/:.*/, "", $1); print $1, ($3 > 0)}'
perf sched -i recorded timehist 2>/dev/null | awk '/spin\[/ {print "spin", ($NF > 0)}' | sort -u | tail -1
perf script -i recorded -F event 2>/dev/null | sort -u
