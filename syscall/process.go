package syscall

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/signal"
	"slowpath/task"
)

// processCalls are the calls about processes, their identity and the machine.
var processCalls = slices.Concat(lifeCalls, familyCalls, identityCalls, capabilityCalls,
	schedulingCalls, futexCalls, limitCalls, systemCalls, attributeCalls, tracingCalls, processMemoryCalls, comparisonCalls, segmentCalls, portCalls)

// lifeCalls create tasks, execute programs and end tasks.
var lifeCalls = []Row{
	{Number: unix.SYS_CLONE, Name: "clone", Arguments: args(Hex, Pointer, Pointer, Pointer, Hex), FrameHandler: sysClone,
		Partial: "There are no namespaces, so their flags fail as on a kernel built without them."},
	{Number: unix.SYS_CLONE3, Name: "clone3", Arguments: args(Pointer, Uint), FrameHandler: sysClone3,
		Partial: "There are no namespaces and no control groups, so their flags fail as on a kernel built without them."},
	{Number: unix.SYS_FORK, Name: "fork", FrameHandler: sysFork},
	{Number: unix.SYS_VFORK, Name: "vfork", FrameHandler: sysVfork},
	{Number: unix.SYS_EXECVE, Name: "execve", Arguments: args(Path, Pointer, Pointer), FrameHandler: sysExecve,
		Partial: "File capabilities are not read, because no file system keeps them."},
	{Number: unix.SYS_EXECVEAT, Name: "execveat", Arguments: args(DirFD, Path, Pointer, Pointer, Hex), FrameHandler: sysExecveat,
		Partial: "File capabilities are not read, because no file system keeps them."},
	{Number: unix.SYS_EXIT, Name: "exit", Arguments: args(Int), Handler: sysExit},
	{Number: unix.SYS_EXIT_GROUP, Name: "exit_group", Arguments: args(Int), Handler: sysExitGroup},
	{Number: unix.SYS_SET_TID_ADDRESS, Name: "set_tid_address", Arguments: args(Pointer), Handler: sysSetTIDAddress},
	{Number: unix.SYS_SET_ROBUST_LIST, Name: "set_robust_list", Arguments: args(Pointer, Uint), Handler: sysSetRobustList},
	{Number: unix.SYS_GET_ROBUST_LIST, Name: "get_robust_list", Arguments: args(PID, Pointer, Pointer), Handler: sysGetRobustList},
	{Number: unix.SYS_UNSHARE, Name: "unshare", Arguments: args(Hex), Handler: sysUnshare,
		Partial: "There are no namespaces, so their flags fail as on a kernel built without them."},
}

// cloneSignal is the part of clone(2)'s flags that is the exit signal.
const cloneSignal = 0xff

func sysClone(t *task.Task, _ *amd64.Frame, a *amd64.Args) (uint64, error) {
	c := task.CloneArgs{
		Flags:      a[0] &^ cloneSignal & 0xffffffff,
		ExitSignal: signal.Signal(a[0] & cloneSignal),
		Stack:      a[1],
		ParentTID:  a[2],
		PIDFD:      a[2],
		ChildTID:   a[3],
		TLS:        a[4],
	}
	if c.Flags&unix.CLONE_PIDFD != 0 && c.Flags&unix.CLONE_PARENT_SETTID != 0 {
		return 0, unix.EINVAL // both would be stored at the same address
	}
	return clone(t, c)
}

func clone(t *task.Task, a task.CloneArgs) (uint64, error) {
	if a.Flags&unix.CLONE_SETTLS != 0 && t.Layout.Narrow() {
		area, err := copyInThreadArea(t, a.TLS)
		if err != nil {
			return 0, err
		}
		a.ThreadArea = &area
	}
	tid, err := t.Clone(a)
	return uint64(tid), err
}

func sysFork(t *task.Task, _ *amd64.Frame, _ *amd64.Args) (uint64, error) {
	return clone(t, task.CloneArgs{ExitSignal: unix.SIGCHLD})
}

func sysVfork(t *task.Task, _ *amd64.Frame, _ *amd64.Args) (uint64, error) {
	return clone(t, task.CloneArgs{Flags: unix.CLONE_VFORK | unix.CLONE_VM, ExitSignal: unix.SIGCHLD})
}

const (
	cloneArgsSizeVer0 = 64 // the size of the first version of struct clone_args
	clone3Flags       = 0xffffffff | unix.CLONE_CLEAR_SIGHAND
	clone3Refused     = unix.CLONE_DETACHED | cloneSignal // flags of clone(2) only
)

func sysClone3(t *task.Task, _ *amd64.Frame, arguments *amd64.Args) (uint64, error) {
	c, err := loadExtensible[abi.CloneArgs](t, arguments[0], arguments[1], cloneArgsSizeVer0)
	if err != nil {
		return 0, err
	}
	a := task.CloneArgs{
		Flags: c.Flags, PIDFD: c.PIDFD, ChildTID: c.ChildTID, ParentTID: c.ParentTID,
		ExitSignal: signal.Signal(c.ExitSignal), Stack: c.Stack, TLS: c.TLS,
	}
	switch {
	case c.ExitSignal&^cloneSignal != 0, c.ExitSignal != 0 && !signal.Valid(a.ExitSignal),
		a.Flags&^clone3Flags != 0, a.Flags&clone3Refused != 0,
		a.Flags&(unix.CLONE_THREAD|unix.CLONE_PARENT) != 0 && a.ExitSignal != 0,
		(a.Stack == 0) != (c.StackSize == 0),
		a.Stack >= amd64.UserLimit || c.StackSize > amd64.UserLimit-a.Stack:
		return 0, unix.EINVAL
	}
	if a.Stack != 0 {
		a.Stack += c.StackSize
	}
	if a.SetTID, err = wantedTID(t, c.SetTID, c.SetTIDSize); err != nil {
		return 0, err
	}
	return clone(t, a)
}

// wantedTID reads the set_tid array of clone3(2). There is only one PID
// namespace, so the array has at most one element.
func wantedTID(t *task.Task, address, count uint64) (int, error) {
	switch {
	case count == 0 && address == 0:
		return 0, nil
	case count != 1 || address == 0:
		return 0, unix.EINVAL
	}
	tid, err := t.LoadUint32(address)
	switch {
	case err != nil:
		return 0, err
	case int32(tid) <= 0:
		return 0, unix.EINVAL
	case !mayChooseTID(t):
		return 0, unix.EPERM
	}
	return int(tid), nil
}

// loadExtensible reads a structure whose size the program passes, like
// copy_struct_from_user in Linux. Fields that the program's version lacks are
// zero. Errors: EFAULT, EINVAL if the size is below the first version's, E2BIG
// if a byte beyond T is not zero.
func loadExtensible[T any](t *task.Task, address, size, first uint64) (T, error) {
	const page = 4096
	var v T
	switch {
	case size > page:
		return v, unix.E2BIG
	case size < first:
		return v, unix.EINVAL
	}
	known := abi.Bytes(&v)
	for at := uint64(len(known)); at < size; {
		// As in Linux, a byte that is not zero is found before a later fault.
		var piece [8]byte
		n := min(uint64(len(piece))-(address+at)%uint64(len(piece)), size-at)
		if err := t.CopyIn(address+at, piece[:n]); err != nil {
			return v, err
		}
		if piece != [8]byte{} {
			return v, unix.E2BIG
		}
		at += n
	}
	return v, t.CopyIn(address, known[:min(size, uint64(len(known)))])
}

func sysExecve(t *task.Task, _ *amd64.Frame, a *amd64.Args) (uint64, error) {
	path, err := t.CopyInPath(a[0])
	if err != nil {
		return 0, err
	}
	r := task.ExecRequest{At: fs.At{Caller: t, Name: path, Follow: true}}
	return exec(t, &r, a[1], a[2])
}

func exec(t *task.Task, r *task.ExecRequest, argv, envp uint64) (_ uint64, err error) {
	l := argumentLoader{t: t, budget: t.ArgumentLimit()}
	defer l.end()
	if r.Argv, err = l.load(argv); err != nil {
		return 0, err
	}
	if r.Envp, err = l.load(envp); err != nil {
		return 0, err
	}
	return 0, t.Exec(*r)
}

func sysExecveat(t *task.Task, _ *amd64.Frame, a *amd64.Args) (uint64, error) {
	if a[4]&^(unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW) != 0 {
		return 0, unix.EINVAL
	}
	path, err := t.CopyInPath(a[1])
	if err != nil {
		return 0, err
	}
	r := task.ExecRequest{Descriptor: int(int32(a[0])), At: fs.At{
		Caller: t, Name: path,
		Follow: a[4]&unix.AT_SYMLINK_NOFOLLOW == 0, Empty: a[4]&unix.AT_EMPTY_PATH != 0,
	}}
	if r.Descriptor != unix.AT_FDCWD && (path == "" || path[0] != '/') {
		start, err := t.FDs.GetPath(r.Descriptor)
		if err != nil {
			return 0, err
		}
		defer start.DecRef()
		r.At.Start = start
		onExec, err := t.FDs.GetExecAction(r.Descriptor)
		r.Closed = err == nil && onExec == fs.CloseOnExec
	}
	return exec(t, &r, a[2], a[3])
}

func sysExit(t *task.Task, a *amd64.Args) (uint64, error) {
	t.ExitThread(int(a[0]))
	return 0, nil
}

func sysExitGroup(t *task.Task, a *amd64.Args) (uint64, error) {
	t.ExitGroup(task.ExitStatus(int(a[0])))
	return 0, nil
}

func sysSetTIDAddress(t *task.Task, a *amd64.Args) (uint64, error) {
	t.SetChildTID(a[0])
	return uint64(t.TID()), nil
}

func sysSetRobustList(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] != robustListHeadSize(t) {
		return 0, unix.EINVAL
	}
	t.SetRobustList(t.Layout, a[0])
	return 0, nil
}

func sysGetRobustList(t *task.Task, a *amd64.Args) (uint64, error) {
	target := t
	if pid := int(int32(a[0])); pid != 0 {
		if target = t.Kernel().TaskByID(pid); target == nil {
			return 0, unix.ESRCH
		}
	}
	if !t.MayInspect(target, cred.WithRealIDs) {
		return 0, unix.EPERM
	}
	if err := copyOutLong(t, a[2], robustListHeadSize(t)); err != nil {
		return 0, err
	}
	return 0, copyOutLong(t, a[1], target.RobustList(t.Layout))
}

// robustListHeadSize returns the size of struct robust_list_head.
func robustListHeadSize(t *task.Task) uint64 {
	if t.Layout.Narrow() {
		return compat.RobustListHeadSize
	}
	return abi.RobustListHeadSize
}

// unshareFlags are the flags that unshare(2) accepts.
const unshareFlags = unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SYSVSEM | unix.CLONE_THREAD |
	unix.CLONE_SIGHAND | unix.CLONE_VM | namespaceFlags

const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

func sysUnshare(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := a[0]
	if flags&^unshareFlags != 0 {
		return 0, unix.EINVAL
	}
	if flags&(unix.CLONE_THREAD|unix.CLONE_SIGHAND|unix.CLONE_VM) != 0 && t.Group().ThreadCount() > 1 {
		return 0, unix.EINVAL
	}
	if flags&unix.CLONE_VM != 0 && t.MM.Refs() > 1 {
		return 0, unix.EINVAL
	}
	if flags&namespaceFlags != 0 {
		return 0, t.RefuseNamespace()
	}
	if flags&unix.CLONE_FILES != 0 && t.FDs.Users() > 1 {
		if err := t.UnshareFiles(); err != nil {
			return 0, err
		}
	}
	if flags&unix.CLONE_FS != 0 && t.FS.Users() > 1 {
		t.UnshareFS()
	}
	return 0, nil
}
