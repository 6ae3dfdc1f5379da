# 90 sched_switch
test -e /sys/kernel || mount -t sysfs sysfs /sys
test -e /sys/kernel/tracing/README || mount -t tracefs tracefs /sys/kernel/tracing
cd /tmp
perf sched record -o recorded -- sh -c 'sleep 0.02; /opt/spin 1000000' 2>/dev/null
perf sched -i recorded latency 2>/dev/null | awk '/sleep|spin/ {sub(/:.*/, "", $1); print $1, ($3 > 0)}' | sort
perf script -i recorded -F event 2>/dev/null | sort -u
perf record -q --switch-events -e dummy -o recorded -- sh -c 'sleep 0.02; /opt/spin 1000000'
perf script -i recorded --show-switch-events 2>/dev/null | grep -o 'PERF_RECORD_SWITCH [A-Z]*' | sort -u
perf record -q --switch-events -a -e dummy -o recorded -- sleep 0.02
perf script -i recorded --show-switch-events 2>/dev/null | grep -o 'sleep .*PERF_RECORD_SWITCH_CPU_WIDE [A-Z]*' | sed 's/ .* / /' | sort -u
