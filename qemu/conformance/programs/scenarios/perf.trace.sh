# quick 90 openat
test -e /sys/kernel || mount -t sysfs sysfs /sys
test -e /sys/kernel/tracing/README || mount -t tracefs tracefs /sys/kernel/tracing
cd /tmp
lines() { sed 's/^.*): //; s/\/[0-9]* /\/TID /; s/0x[0-9a-f]*/ADDR/g; s/  */ /g; s/pid: [0-9]*[^,)]*/pid: PID/g; s/tid: [0-9]*[^,)]*/tid: TID/g; s/tgid: [0-9]*[^,)]*/tgid: PID/g'; }
# Calls on different CPUs are not printed in their order.
perf trace -e openat,tgkill,write,exit_group /opt/calls 2>&1 | lines | LC_ALL=C sort
perf trace -s /opt/calls 2>&1 | awk '/openat|tgkill|write/ {print $1, $2, $3}' | sort
perf trace --no-syscalls -e signal:signal_deliver /opt/calls 2>&1 | sed 's/^.*signal:/signal:/'
