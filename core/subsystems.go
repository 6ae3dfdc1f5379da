package core

import (
	"slowpath/fs"
	"slowpath/perf"
	"slowpath/ptrace"
	"slowpath/seccomp"
	"slowpath/task"
	"slowpath/trace"
	"slowpath/userdispatch"
)

// RegisterSubsystems adds the subsystems above package task to k. It must be called
// right after task.New, before the first task is made.
func RegisterSubsystems(k *task.Kernel, mounts *fs.Mounts, o Owners, events *trace.Registry) {
	seccomp.Register(k)
	userdispatch.Register(k)
	ptrace.Register(k)
	o.Probes.Register(k)
	o.Calls.Register(k)
	o.Audit.Register(k, mounts)
	perf.Register(k, mounts, o.Probes, events)
	k.Register(traceSubsystem(events))
}
