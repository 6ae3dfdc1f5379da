//go:build faultinject

package syscall

import (
	"slowpath/arch/amd64"
	"slowpath/task"
)

// The calls of a kernel that is built to show what a bug in a system call
// does: nothing to anybody but the task that made it.
const (
	numberNil   = 510
	numberPanic = 511
)

var faultCalls = []Row{
	{Number: numberNil, Name: "slowpath_nil", Handler: sysNil},
	{Number: numberPanic, Name: "slowpath_panic", Arguments: args(Int), Handler: sysPanic},
}

// sysNil dereferences nil.
func sysNil(*task.Task, *amd64.Args) (uint64, error) {
	var nobody *task.Task
	return uint64(nobody.TID()), nil
}

// sysPanic panics.
func sysPanic(_ *task.Task, a *amd64.Args) (uint64, error) {
	panic("injected by slowpath_panic")
}
