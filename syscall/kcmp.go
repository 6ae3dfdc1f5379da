package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/epoll"
	"slowpath/task"
)

// comparisonCalls compare and copy objects of processes.
var comparisonCalls = []Row{
	{Number: unix.SYS_KCMP, Name: "kcmp", Arguments: args(PID, PID, Int, Hex, Hex), Handler: sysKcmp},
	{Number: unix.SYS_PIDFD_GETFD, Name: "pidfd_getfd", Arguments: args(FD, FD, Hex), Handler: sysPidfdGetfd},
}

// Types of kcmp(2).
const (
	kcmpFile = iota
	kcmpVM
	kcmpFiles
	kcmpFS
	kcmpSighand
	kcmpIO
	kcmpSysvsem
	kcmpEpollTFD
)

// comparison is a call of kcmp(2).
type comparison struct {
	caller, first, second *task.Task
	index1, index2        uint64
}

// comparisons has the function of each type of kcmp(2). No task has an I/O context or
// undo operations of System V semaphores: all are equal in that.
var comparisons = [...]func(c *comparison) (uint64, error){
	kcmpFile:     (*comparison).files,
	kcmpVM:       shared(kcmpVM, func(o *task.SharedObjects) any { return o.Memory }),
	kcmpFiles:    shared(kcmpFiles, func(o *task.SharedObjects) any { return o.Files }),
	kcmpFS:       shared(kcmpFS, func(o *task.SharedObjects) any { return o.Directories }),
	kcmpSighand:  shared(kcmpSighand, func(o *task.SharedObjects) any { return o.Actions }),
	kcmpIO:       func(*comparison) (uint64, error) { return 0, nil },
	kcmpSysvsem:  func(*comparison) (uint64, error) { return 0, nil },
	kcmpEpollTFD: (*comparison).epollTarget,
}

// sysKcmp is kcmp(2). Errors: ESRCH, EPERM if the caller may not inspect one of the
// tasks, EINVAL for an unknown type, and those of the type.
func sysKcmp(t *task.Task, a *amd64.Args) (uint64, error) {
	k := t.Kernel()
	c := &comparison{t, k.TaskByID(int(int32(a[0]))), k.TaskByID(int(int32(a[1]))), a[3], a[4]}
	switch kind := uint32(a[2]); {
	case c.first == nil || c.second == nil:
		return 0, unix.ESRCH
	case !t.MayInspect(c.first, cred.WithRealIDs) || !t.MayInspect(c.second, cred.WithRealIDs):
		return 0, unix.EPERM
	case kind >= uint32(len(comparisons)):
		return 0, unix.EINVAL
	default:
		return comparisons[kind](c)
	}
}

// shared returns a comparison of objects that both tasks have.
func shared(kind task.ComparedKind, object func(o *task.SharedObjects) any) func(c *comparison) (uint64, error) {
	return func(c *comparison) (uint64, error) {
		first, second := c.first.SharedObjects(), c.second.SharedObjects()
		return c.caller.Kernel().Compare(kind, object(&first), object(&second)), nil
	}
}

// files compares the open files of two descriptors: EBADF.
func (c *comparison) files() (uint64, error) {
	first, _, err := c.first.File(descriptorIndex(c.index1))
	if err != nil {
		return 0, unix.EBADF
	}
	defer first.DecRef()
	second, _, err := c.second.File(descriptorIndex(c.index2))
	if err != nil {
		return 0, unix.EBADF
	}
	defer second.DecRef()
	return c.compareFiles(first, second), nil
}

func (c *comparison) compareFiles(first, second *fs.File) uint64 {
	return c.caller.Kernel().Compare(kcmpFile, first, second)
}

// descriptorIndex returns a descriptor that kcmp(2) has as an unsigned long; only its
// low 32 bits count.
func descriptorIndex(index uint64) int { return int(uint32(index)) }

// epollSlot is struct kcmp_epoll_slot (linux/kcmp.h).
type epollSlot struct{ EFD, TFD, TOff uint32 }

// epollTarget compares the file of a descriptor with one that an epoll set watches.
// Errors: EFAULT, EBADF, EINVAL if the descriptor is not that of an epoll set, ENOENT if
// the set does not watch such a descriptor.
func (c *comparison) epollTarget() (uint64, error) {
	slot, err := abi.CopyIn[epollSlot](c.caller, c.index2)
	if err != nil {
		return 0, err
	}
	file, _, err := c.first.File(descriptorIndex(c.index1))
	if err != nil {
		return 0, unix.EBADF
	}
	defer file.DecRef()
	watching, _, err := c.second.File(int(slot.EFD))
	if err != nil {
		return 0, unix.EBADF
	}
	defer watching.DecRef()
	set := epoll.Of(watching)
	if set == nil {
		return 0, unix.EINVAL
	}
	target := set.Target(int(slot.TFD), int(slot.TOff))
	if target == nil {
		return 0, unix.ENOENT
	}
	return c.compareFiles(file, target), nil
}

// sysPidfdGetfd is pidfd_getfd(2): it opens a descriptor for an open file of another
// process. Errors: EINVAL for flags, EBADF, ESRCH for a reaped process, EPERM if the
// caller may not inspect the process, EMFILE.
func sysPidfdGetfd(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[2]) != 0 {
		return 0, unix.EINVAL
	}
	group, err := t.GroupOfPIDFD(int(int32(a[0])))
	if err != nil {
		return 0, err
	}
	target := group.Leader()
	switch {
	case target.Dead():
		return 0, unix.ESRCH
	case !t.MayInspect(target, cred.WithRealIDs):
		return 0, unix.EPERM
	}
	file, _, err := target.File(int(int32(a[1])))
	if err != nil {
		return 0, unix.EBADF
	}
	n, err := t.FDs.Install(file, 0, t.DescriptorLimit(), fs.CloseOnExec)
	if err != nil {
		file.DecRef()
	}
	return uint64(n), err
}
