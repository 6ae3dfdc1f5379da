//go:build faultinject

package syscall

import (
	"slowpath/arch/amd64"
	"slowpath/task"
)

// System calls with a bug, for kernels built with the tag faultinject. Tests
// use them to check that such a bug ends only the task that made the call.
const (
	numberExit  = 509
	numberNil   = 510
	numberPanic = 511
)

var faultCalls = []Row{
	{Number: numberExit, Name: "slowpath_exit", Arguments: args(Int), FrameHandler: sysBadExit},
	{Number: numberNil, Name: "slowpath_nil", Handler: sysNil},
	{Number: numberPanic, Name: "slowpath_panic", Arguments: args(Int), Handler: sysPanic},
}

// sysBadExit stores a stack segment in the frame that the IRETQ to user mode cannot
// load.
func sysBadExit(_ *task.Task, f *amd64.Frame) (uint64, error) {
	f.Settle()
	f.SS = uint64(uint16(f.RDI))
	return 0, nil
}

// sysNil dereferences nil.
func sysNil(*task.Task, *amd64.Args) (uint64, error) {
	var missing *task.Task
	return uint64(missing.TID()), nil
}

// sysPanic panics.
func sysPanic(_ *task.Task, a *amd64.Args) (uint64, error) {
	panic("injected by slowpath_panic")
}
