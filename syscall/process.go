package syscall

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/signal"
	"slowpath/task"
)

// processCalls are the calls about processes, their identity and the machine.
var processCalls = slices.Concat(lifeCalls, familyCalls, identityCalls, capabilityCalls,
	schedulingCalls, futexCalls, limitCalls, systemCalls, attributeCalls, tracingCalls, processMemoryCalls, comparisonCalls)

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

func sysClone(t *task.Task, f *amd64.Frame) (uint64, error) {
	a := task.CloneArgs{
		Flags:      f.RDI &^ cloneSignal & 0xffffffff,
		ExitSignal: signal.Signal(f.RDI & cloneSignal),
		Stack:      f.RSI,
		ParentTID:  f.RDX,
		PIDFD:      f.RDX,
		ChildTID:   f.R10,
		TLS:        f.R8,
	}
	if a.Flags&unix.CLONE_PIDFD != 0 && a.Flags&unix.CLONE_PARENT_SETTID != 0 {
		return 0, unix.EINVAL // both would be stored at the same address
	}
	return clone(t, a)
}

func clone(t *task.Task, a task.CloneArgs) (uint64, error) {
	tid, err := t.Clone(a)
	return uint64(tid), err
}

func sysFork(t *task.Task, f *amd64.Frame) (uint64, error) {
	return clone(t, task.CloneArgs{ExitSignal: unix.SIGCHLD})
}

func sysVfork(t *task.Task, f *amd64.Frame) (uint64, error) {
	return clone(t, task.CloneArgs{Flags: unix.CLONE_VFORK | unix.CLONE_VM, ExitSignal: unix.SIGCHLD})
}

const (
	cloneArgsSizeVer0 = 64 // the size of the first version of struct clone_args
	clone3Flags       = 0xffffffff | unix.CLONE_CLEAR_SIGHAND
	clone3Refused     = unix.CLONE_DETACHED | cloneSignal // flags of clone(2) only
)

func sysClone3(t *task.Task, f *amd64.Frame) (uint64, error) {
	c, err := loadExtensible[abi.CloneArgs](t, f.RDI, f.RSI, cloneArgsSizeVer0)
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
	raw := make([]byte, size)
	if err := t.CopyIn(address, raw); err != nil {
		return v, err
	}
	known := copy(abi.Bytes(&v), raw)
	for _, b := range raw[known:] {
		if b != 0 {
			return v, unix.E2BIG
		}
	}
	return v, nil
}

func sysExecve(t *task.Task, f *amd64.Frame) (uint64, error) {
	path, err := t.CopyInPath(f.RDI)
	if err != nil {
		return 0, err
	}
	r := task.ExecRequest{At: fs.At{Caller: t, Name: path, Follow: true}}
	return exec(t, &r, f.RSI, f.RDX)
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

func sysExecveat(t *task.Task, f *amd64.Frame) (uint64, error) {
	if f.R8&^(unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW) != 0 {
		return 0, unix.EINVAL
	}
	path, err := t.CopyInPath(f.RSI)
	if err != nil {
		return 0, err
	}
	r := task.ExecRequest{Descriptor: int(int32(f.RDI)), At: fs.At{
		Caller: t, Name: path,
		Follow: f.R8&unix.AT_SYMLINK_NOFOLLOW == 0, Empty: f.R8&unix.AT_EMPTY_PATH != 0,
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
	return exec(t, &r, f.RDX, f.R10)
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
	if a[1] != abi.RobustListHeadSize {
		return 0, unix.EINVAL
	}
	t.SetRobustList(a[0])
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
	if err := abi.CopyOut(t, a[2], abi.RobustListHeadSize); err != nil {
		return 0, err
	}
	return 0, abi.CopyOut(t, a[1], target.RobustList())
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
