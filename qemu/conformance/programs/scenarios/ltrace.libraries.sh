# 90 snprintf
ltrace -o /tmp/log ./calls-dyn; cat /tmp/log; ltrace -c -o /tmp/log ./leaks-dyn; awk '{print $4, $5}' /tmp/log | sort
