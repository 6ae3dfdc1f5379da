# 90 main
test -e /sys/kernel || mount -t sysfs sysfs /sys
test -e /sys/kernel/tracing/README || mount -t tracefs tracefs /sys/kernel/tracing
cd /tmp
perf record -q -e cpu-clock -F 500 -g -o recorded /opt/spin
perf report -i recorded --stdio -g none --percent-limit 50 -s comm,dso,sym 2>/dev/null | awk '/inner|middle|outer|main$/ {print $3, $4, $6}' | sort
perf report -i recorded --stdio --no-children -g none --percent-limit 50 -s sym 2>/dev/null | grep -v '^#' | awk 'NF {print $NF}'
# The first instructions of a function have no frame yet, so only the most frequent stack is sure.
perf script -i recorded -F ip,sym 2>/dev/null | awk 'NF {stack = stack " " $2} !NF && stack {print stack; stack = ""}' | sort | uniq -c | sort -n | tail -1 | awk '{print $2, $3, $4, $5}'
perf record -q -e task-clock:u -c 1000000 -o recorded /opt/spin
perf report -i recorded --stdio --percent-limit 50 -s sym 2>/dev/null | grep -v '^#' | awk 'NF {print $NF}'
perf record -q -a -e cpu-clock -F 500 -o recorded -- /opt/spin
perf report -i recorded --stdio --comm spin --percent-limit 5 -s comm,sym 2>/dev/null | grep -v '^#' | awk 'NF {print $2, $NF}'
perf record -q -e page-faults -c 1 -d -o recorded /opt/spin
perf script -i recorded -F comm,event,addr 2>/dev/null | awk '{print $1, $2, (length($3) > 4)}' | sort -u
perf record -q -o recorded -e cpu-clock -F 500 -- sh -c '/opt/spin 10000000 & /opt/spin 10000000; wait'
perf script -i recorded -F comm,tid 2>/dev/null | sort -u | grep -c spin
sh -c "exec /opt/spin 2000000000" &
perf record -q -p $! -e cpu-clock -F 200 -o recorded -- sleep 0.5
kill $!
perf report -i recorded --stdio --percent-limit 50 -s sym 2>/dev/null | grep -v "^#" | awk "NF {print \$NF}"
