//go:build faultinject

package syscall

import (
	"slowpath/arch/amd64"
	"slowpath/guard"
	"slowpath/task"
)

// System calls with a bug, for kernels built with the tag faultinject. Tests
// use them to check that such a bug ends only the task that made the call.
const (
	numberArm   = 508
	numberExit  = 509
	numberNil   = 510
	numberPanic = 511
)

var faultCalls = []Row{
	{Number: numberArm, Name: "slowpath_arm", Arguments: args(Int), Handler: sysArm},
	{Number: numberExit, Name: "slowpath_exit", Arguments: args(Int), FrameHandler: sysBadExit},
	{Number: numberNil, Name: "slowpath_nil", Handler: sysNil},
	{Number: numberPanic, Name: "slowpath_panic", Arguments: args(Int), Handler: sysPanic},
}

// sysArm makes the caller's nth passage of a guard.Point from now panic, for n > 0.
func sysArm(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[0] == 0 {
		guard.SetInjector(nil)
		return 0, nil
	}
	account, left := &t.Accounting.CPU, a[0]
	guard.SetInjector(func() {
		if !account.Running() {
			return
		}
		if left--; left == 0 {
			panic("injected by slowpath_arm")
		}
	})
	return 0, nil
}

// sysBadExit stores a stack segment in the frame that the IRETQ to user mode cannot
// load.
func sysBadExit(_ *task.Task, f *amd64.Frame, a *amd64.Args) (uint64, error) {
	f.Settle()
	f.SS = uint64(uint16(a[0]))
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
