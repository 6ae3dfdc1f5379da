package core

import (
	"slowpath/ptrace"
	"slowpath/seccomp"
	"slowpath/task"
	"slowpath/userdispatch"
)

// RegisterSubsystems adds the subsystems above package task to k. It must be called
// right after task.New, before the first task is made.
func RegisterSubsystems(k *task.Kernel) {
	seccomp.Register(k)
	userdispatch.Register(k)
	ptrace.Register(k)
}
