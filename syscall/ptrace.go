package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/ptrace"
	"slowpath/task"
)

// tracingCalls are the calls by which one task examines another.
var tracingCalls = []Row{
	{Number: unix.SYS_PTRACE, Name: "ptrace", Arguments: args(Int, PID, Pointer, Pointer), Handler: sysPtrace},
}

func sysPtrace(t *task.Task, a *amd64.Args) (uint64, error) {
	return ptrace.Request(t, int32(a[0]), int(int32(a[1])), a[2], a[3])
}
