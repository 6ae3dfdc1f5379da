# quick 90 main
test -e /sys/kernel || mount -t sysfs sysfs /sys
test -e /sys/kernel/tracing/README || mount -t tracefs tracefs /sys/kernel/tracing
cd /tmp
perf record -q -e cpu-clock -F 500 -g -o recorded /opt/spin
perf report -i recorded --stdio -g none --percent-limit 50 -s comm,dso,sym 2>/dev/null | awk '/inner|middle|outer|main$/ {print $3, $4, $6}' | sort
perf report -i recorded --stdio --no-children -g none --percent-limit 50 -s sym 2>/dev/null | grep -v '^#' | awk 'NF {print $NF}'
perf script -i recorded -F comm,event,ip,sym 2>/dev/null | awk '/inner/ {getline a; getline b; getline c; print $2, a, b, c; exit}' | sed 's/[0-9a-f]* \([a-z]*\)/\1/g; s/  */ /g'
perf record -q -e task-clock:u -c 1000000 -o recorded /opt/spin
perf report -i recorded --stdio --percent-limit 50 -s sym 2>/dev/null | grep -v '^#' | awk 'NF {print $NF}'
perf record -q -a -e cpu-clock -F 500 -o recorded -- /opt/spin
perf report -i recorded --stdio --comm spin --percent-limit 5 -s comm,sym 2>/dev/null | grep -v '^#' | awk 'NF {print $2, $NF}'
perf record -q -e page-faults -c 1 -d -o recorded /opt/spin
perf script -i recorded -F comm,event,addr 2>/dev/null | awk '{print $1, $2, (length($3) > 4)}' | sort -u
perf record -q -o recorded -e cpu-clock -F 500 -- sh -c '/opt/spin 10000000 & /opt/spin 10000000; wait'
perf script -i recorded -F comm,tid 2>/dev/null | sort -u | grep -c spin
