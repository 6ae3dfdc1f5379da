package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/perf"
	"slowpath/task"
)

// perfCalls open perf events.
var perfCalls = []Row{
	{Number: unix.SYS_PERF_EVENT_OPEN, Name: "perf_event_open", Arguments: args(Pointer, PID, Int, FD, Hex), Handler: sysPerfEventOpen,
		Partial: "no hardware counters, no BPF, no sampling of the clocks"},
}

// sysPerfEventOpen is perf_event_open(2).
func sysPerfEventOpen(t *task.Task, a *amd64.Args) (uint64, error) {
	file, err := perf.Open(t, perf.Request{
		Attributes: a[0], PID: int(int32(a[1])), CPU: int(int32(a[2])), Group: int(int32(a[3])), Flags: a[4],
	})
	if err != nil {
		return 0, err
	}
	return install(t, file, a[4]&unix.PERF_FLAG_FD_CLOEXEC != 0)
}
