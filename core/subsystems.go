package core

import (
	"slowpath/ptrace"
	"slowpath/task"
)

// RegisterSubsystems adds the subsystems above package task to k. It must be called
// right after task.New, before the first task is made.
func RegisterSubsystems(k *task.Kernel) {
	ptrace.Register(k)
}
