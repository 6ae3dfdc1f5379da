package syscall

import (
	"math"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/task"
)

// familyCalls are the calls on parents and children, process groups and
// sessions.
var familyCalls = []Row{
	{Number: unix.SYS_WAIT4, Name: "wait4", Arguments: args(PID, Pointer, Hex, Pointer), Handler: sysWait4},
	{Number: unix.SYS_WAITID, Name: "waitid", Arguments: args(Int, PID, Pointer, Hex, Pointer), Handler: sysWaitid},
	{Number: unix.SYS_GETPID, Name: "getpid", Handler: sysGetpid},
	{Number: unix.SYS_GETTID, Name: "gettid", Handler: sysGettid},
	{Number: unix.SYS_GETPPID, Name: "getppid", Handler: sysGetppid},
	{Number: unix.SYS_SETPGID, Name: "setpgid", Arguments: args(PID, PID), Handler: sysSetpgid},
	{Number: unix.SYS_GETPGID, Name: "getpgid", Arguments: args(PID), Handler: sysGetpgid},
	{Number: unix.SYS_GETPGRP, Name: "getpgrp", Handler: sysGetpgrp},
	{Number: unix.SYS_SETSID, Name: "setsid", Handler: sysSetsid},
	{Number: unix.SYS_GETSID, Name: "getsid", Arguments: args(PID), Handler: sysGetsid},
	{Number: unix.SYS_PIDFD_OPEN, Name: "pidfd_open", Arguments: args(PID, Hex), Handler: sysPidfdOpen},
}

// waitFlags are the options that wait4(2) and waitid(2) have in common.
const waitFlags = unix.WNOHANG | unix.WNOTHREAD | unix.WCLONE | unix.WALL

func sysWait4(t *task.Task, a *amd64.Args) (uint64, error) {
	options := int(uint32(a[2]))
	if options&^(waitFlags|unix.WUNTRACED|unix.WCONTINUED) != 0 {
		return 0, unix.EINVAL
	}
	r := task.WaitRequest{Options: options | unix.WEXITED, Usage: a[3] != 0}
	switch pid := int(int32(a[0])); {
	case pid == math.MinInt32:
		return 0, unix.ESRCH
	case pid < -1:
		r.Kind, r.ID = task.WaitProcessGroup, -pid
	case pid == 0:
		r.Kind, r.ID = task.WaitProcessGroup, t.Group().ProcessGroupID()
	case pid > 0:
		r.Kind, r.ID = task.WaitPID, pid
	}
	result, err := t.Wait(r)
	if err != nil || result.PID == 0 {
		return 0, err
	}
	if a[1] != 0 {
		if err := abi.CopyOut(t, a[1], int32(result.Status)); err != nil {
			return 0, err
		}
	}
	if a[3] != 0 {
		if err := storeUsage(t, a[3], result.Usage); err != nil {
			return 0, err
		}
	}
	return uint64(result.PID), nil
}

// Values of the idtype argument of waitid(2).
const (
	waitidAll   = 0
	waitidPID   = 1
	waitidGroup = 2
	waitidPIDFD = 3
)

func sysWaitid(t *task.Task, a *amd64.Args) (uint64, error) {
	const changes = unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED
	options := int(uint32(a[3]))
	if options&^(waitFlags|unix.WNOWAIT|changes) != 0 || options&changes == 0 {
		return 0, unix.EINVAL
	}
	r := task.WaitRequest{Options: options, Usage: a[4] != 0}
	nonBlocking, err := selectChildren(t, &r, uint64(uint32(a[0])), int(int32(a[1])))
	if err != nil {
		return 0, err
	}
	if nonBlocking {
		r.Options |= unix.WNOHANG
	}
	result, err := t.Wait(r)
	if err != nil {
		return 0, err
	}
	if result.PID == 0 && nonBlocking && options&unix.WNOHANG == 0 {
		return 0, unix.EAGAIN
	}
	if a[4] != 0 && result.PID != 0 {
		if err := storeUsage(t, a[4], result.Usage); err != nil {
			return 0, err
		}
	}
	if a[2] == 0 {
		return 0, nil
	}
	return 0, storeWaitInfo(t, a[2], &result)
}

// selectChildren decodes the first two arguments of waitid(2) into r.
// nonBlocking is set for a pidfd in non-blocking mode. Errors: EINVAL, EBADF.
func selectChildren(t *task.Task, r *task.WaitRequest, kind uint64, id int) (nonBlocking bool, err error) {
	switch kind {
	case waitidAll:
		return false, nil
	case waitidPID:
		r.Kind, r.ID = task.WaitPID, id
		if id <= 0 {
			return false, unix.EINVAL
		}
		return false, nil
	case waitidGroup:
		r.Kind, r.ID = task.WaitProcessGroup, id
		if id < 0 {
			return false, unix.EINVAL
		}
		if id == 0 {
			r.ID = t.Group().ProcessGroupID()
		}
		return false, nil
	case waitidPIDFD:
		if id < 0 {
			return false, unix.EINVAL
		}
		file, err := t.FDs.Get(id)
		if err != nil {
			return false, err
		}
		defer file.DecRef()
		group, err := t.GroupOfPIDFD(id)
		if err != nil {
			return false, err
		}
		r.Kind, r.Process = task.WaitPIDFD, group
		return file.NonBlocking(), nil
	}
	return false, unix.EINVAL
}

// storeWaitInfo writes the part of siginfo_t that waitid(2) fills in. If no
// child has changed state, it writes zeros.
func storeWaitInfo(t *task.Task, address uint64, r *task.WaitResult) error {
	number := int32(0)
	if r.PID != 0 {
		number = int32(unix.SIGCHLD)
	}
	if err := abi.CopyOut(t, address, [3]int32{number, 0, int32(r.Code)}); err != nil { // si_signo, si_errno, si_code
		return err
	}
	fields := address + 16
	if t.Layout.Narrow() {
		fields = address + 12 // the union needs no padding
	}
	return abi.CopyOut(t, fields, [3]uint32{uint32(r.PID), r.UID, uint32(r.Detail)}) // si_pid, si_uid, si_status
}

func sysGetpid(t *task.Task, a *amd64.Args) (uint64, error)  { return uint64(t.PID()), nil }
func sysGettid(t *task.Task, a *amd64.Args) (uint64, error)  { return uint64(t.TID()), nil }
func sysGetppid(t *task.Task, a *amd64.Args) (uint64, error) { return uint64(t.ParentPID()), nil }

func sysSetpgid(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.SetProcessGroup(int(int32(a[0])), int(int32(a[1])))
}

func sysGetpgid(t *task.Task, a *amd64.Args) (uint64, error) {
	id, err := t.ProcessGroupOf(int(int32(a[0])))
	return uint64(id), err
}

func sysGetpgrp(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.Group().ProcessGroupID()), nil
}

func sysSetsid(t *task.Task, a *amd64.Args) (uint64, error) {
	id, err := t.SetSession()
	return uint64(id), err
}

func sysGetsid(t *task.Task, a *amd64.Args) (uint64, error) {
	id, err := t.SessionOf(int(int32(a[0])))
	return uint64(id), err
}

func sysPidfdOpen(t *task.Task, a *amd64.Args) (uint64, error) {
	pid := int(int32(a[0]))
	if uint32(a[1])&^unix.PIDFD_NONBLOCK != 0 || pid <= 0 {
		return 0, unix.EINVAL
	}
	fd, err := t.OpenPID(pid, int(uint32(a[1])))
	return uint64(fd), err
}
