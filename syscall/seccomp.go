package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/seccomp"
	"slowpath/task"
	"slowpath/userdispatch"
)

// seccompCalls restrict the system calls of the caller.
var seccompCalls = []Row{
	{Number: unix.SYS_SECCOMP, Name: "seccomp", Arguments: args(Uint, Hex, Pointer), Handler: sysSeccomp},
}

// Operations of seccomp(2).
const (
	seccompSetModeStrict  = 0
	seccompSetModeFilter  = 1
	seccompGetActionAvail = 2
	seccompGetNotifSizes  = 3
)

func sysSeccomp(t *task.Task, a *amd64.Args) (uint64, error) {
	operation, flags, address := uint32(a[0]), uint64(uint32(a[1])), a[2]
	if operation == seccompSetModeFilter {
		return seccomp.SetFilter(t, flags, address)
	}
	if flags != 0 {
		return 0, unix.EINVAL
	}
	switch operation {
	case seccompSetModeStrict:
		if address != 0 {
			return 0, unix.EINVAL
		}
		return 0, seccomp.SetStrict(t)
	case seccompGetActionAvail:
		action, err := abi.CopyIn[uint32](t, address)
		if err != nil {
			return 0, err
		}
		return 0, seccomp.ActionAvailable(action)
	case seccompGetNotifSizes:
		return 0, abi.CopyOut(t, address, seccomp.NotifySizes())
	}
	return 0, unix.EINVAL
}

func prGetSeccomp(t *task.Task, _ *amd64.Args) (uint64, error) {
	return uint64(seccomp.CurrentMode(t)), nil
}

func prSetSeccomp(t *task.Task, a *amd64.Args) (uint64, error) {
	switch seccomp.Mode(a[1]) {
	case seccomp.Strict:
		return 0, seccomp.SetStrict(t)
	case seccomp.Filtered:
		return seccomp.SetFilter(t, 0, a[2])
	}
	return 0, unix.EINVAL
}

func prSetSyscallUserDispatch(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, userdispatch.Set(t, userdispatch.Config{Mode: a[1], Offset: a[2], Length: a[3], Selector: a[4]})
}
