package core

import (
	"slowpath/fs"
	"slowpath/perf"
	"slowpath/ptrace"
	"slowpath/seccomp"
	"slowpath/task"
	"slowpath/trace"
	"slowpath/trace/calls"
	"slowpath/uprobe"
	"slowpath/userdispatch"
)

// RegisterSubsystems adds the subsystems above package task to k. It must be called
// right after task.New, before the first task is made.
func RegisterSubsystems(k *task.Kernel, mounts *fs.Mounts, probes *uprobe.Probes, seen *calls.Calls, events *trace.Registry) {
	seccomp.Register(k)
	userdispatch.Register(k)
	ptrace.Register(k)
	probes.Register(k)
	seen.Register(k)
	perf.Register(k, mounts, probes, events)
	k.Register(traceSubsystem(events))
}
