# 60 page-faults
cd /tmp
counts() { awk -F, '/,/ {n = $1; if (n + 0 > 0) n = "some"; if ($3 ~ /migrations/) n = "any"; print n, $3}'; }
perf stat -x, -e task-clock,cpu-clock,page-faults,minor-faults,major-faults,context-switches,cpu-migrations,alignment-faults,emulation-faults,dummy,bpf-output /opt/spin 2>&1 >/dev/null | counts
perf stat -x, -e cycles,instructions,cache-misses,L1-dcache-loads /opt/calls 2>&1 >/dev/null | counts
perf stat -x, -e '{task-clock,page-faults,dummy}' sh -c '/opt/spin; /opt/calls' 2>&1 >/dev/null | counts
perf stat -x, --no-inherit -e page-faults,context-switches /opt/spin 2>&1 >/dev/null | counts
perf stat -x, -a -e task-clock,context-switches /opt/spin 2>&1 >/dev/null | counts
perf stat -x, -r 2 -e task-clock /opt/spin 2>&1 >/dev/null | counts
perf stat -x, -e raw_syscalls:sys_enter,signal:signal_generate,signal:signal_deliver,sched:sched_process_exec /opt/calls 2>&1 >/dev/null | counts
perf stat -x, -e signal:signal_deliver --filter 'sig == 10' /opt/calls 2>&1 >/dev/null | cut -d, -f1-3
perf stat -x, -e signal:signal_deliver --filter 'sig == 11' /opt/calls 2>&1 >/dev/null | cut -d, -f1-3
