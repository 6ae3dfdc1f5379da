package abi

// UprobePMU is the type of the uprobe PMU in struct perf_event_attr. Linux chooses it at
// boot, and /sys/bus/event_source/devices/uprobe/type shows it.
const UprobePMU = 7
