package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/mm"
	"slowpath/task"
)

// limitCalls read and set resource limits, and read resource usage.
var limitCalls = []Row{
	{Number: unix.SYS_GETRLIMIT, Name: "getrlimit", Arguments: args(Int, Pointer), Handler: sysGetrlimit},
	{Number: unix.SYS_SETRLIMIT, Name: "setrlimit", Arguments: args(Int, Pointer), Handler: sysSetrlimit},
	{Number: unix.SYS_PRLIMIT64, Name: "prlimit64", Arguments: args(PID, Int, Pointer, Pointer), Handler: sysPrlimit64},
	{Number: unix.SYS_GETRUSAGE, Name: "getrusage", Arguments: args(Int, Pointer), Handler: sysGetrusage},
}

func sysGetrlimit(t *task.Task, a *amd64.Args) (uint64, error) {
	limit, err := changeLimit(t, t.Group(), a[0], nil)
	if err != nil {
		return 0, err
	}
	return 0, copyOutRlimit(t, a[1], unix.Rlimit{Cur: limit.Soft, Max: limit.Hard})
}

func sysSetrlimit(t *task.Task, a *amd64.Args) (uint64, error) {
	limit, err := copyInRlimit(t, a[1])
	if err != nil {
		return 0, err
	}
	_, err = changeLimit(t, t.Group(), a[0], &task.Limit{Soft: limit.Cur, Hard: limit.Max})
	return 0, err
}

func sysPrlimit64(t *task.Task, a *amd64.Args) (uint64, error) {
	group := t.Group()
	if pid := int(int32(a[0])); pid != 0 {
		target := t.Kernel().TaskByID(pid)
		if target == nil {
			return 0, unix.ESRCH
		}
		group = target.Group()
	}
	return 0, prlimit(t, group, a[1], a[2], a[3])
}

// prlimit sets a limit from newAddress and stores the old limit at oldAddress.
// An address of 0 skips its step. Errors: EFAULT, EINVAL, and those of
// ChangeLimit.
func prlimit(t *task.Task, g *task.ThreadGroup, resource, newAddress, oldAddress uint64) error {
	var next *task.Limit
	if newAddress != 0 {
		limit, err := abi.CopyIn[unix.Rlimit](t, newAddress)
		if err != nil {
			return err
		}
		next = &task.Limit{Soft: limit.Cur, Hard: limit.Max}
	}
	old, err := changeLimit(t, g, resource, next)
	if err != nil || oldAddress == 0 {
		return err
	}
	return abi.CopyOut(t, oldAddress, unix.Rlimit{Cur: old.Soft, Max: old.Hard})
}

// changeLimit sets a limit unless next is nil, and returns the old limit: EINVAL for an
// unknown resource, and the errors of ChangeLimit.
func changeLimit(t *task.Task, g *task.ThreadGroup, resource uint64, next *task.Limit) (task.Limit, error) {
	if uint32(resource) >= task.LimitCount {
		return task.Limit{}, unix.EINVAL
	}
	return t.ChangeLimit(g, int(uint32(resource)), next)
}

// storeUsage writes a struct rusage (getrusage(2)).
func storeUsage(t *task.Task, address uint64, u task.Usage) error {
	return copyOutRusage(t, address, unix.Rusage{
		Utime: unix.NsecToTimeval(u.User), Stime: unix.NsecToTimeval(u.System),
		Maxrss: int64(u.MaxResident),
		Minflt: int64(u.MinorFaults), Majflt: int64(u.MajorFaults),
		Inblock: int64(u.BlocksIn), Oublock: int64(u.BlocksOut),
		Nvcsw: int64(u.Voluntary), Nivcsw: int64(u.Involuntary),
	})
}

func sysGetrusage(t *task.Task, a *amd64.Args) (uint64, error) {
	var usage task.Usage
	switch int32(a[0]) {
	case unix.RUSAGE_SELF:
		usage = t.Group().Usage()
	case unix.RUSAGE_CHILDREN:
		return 0, storeUsage(t, a[1], t.Group().ChildrenUsage())
	case unix.RUSAGE_THREAD:
		usage = t.Usage()
	default:
		return 0, unix.EINVAL
	}
	peak := t.MM.Usage().PeakResident * (mm.PageSize / 1024)
	usage.MaxResident = max(usage.MaxResident, peak)
	return 0, storeUsage(t, a[1], usage)
}
