package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/fs"
	"slowpath/fs/epoll"
	"slowpath/task"
	"slowpath/wait"
)

var epollCalls = []Row{
	{Number: unix.SYS_EPOLL_CREATE, Name: "epoll_create", Arguments: args(Int), Handler: sysEpollCreate},
	{Number: unix.SYS_EPOLL_WAIT, Name: "epoll_wait", Arguments: args(FD, Pointer, Int, Int), Handler: sysEpollWait},
	{Number: unix.SYS_EPOLL_CTL, Name: "epoll_ctl", Arguments: args(FD, Int, FD, Pointer), Handler: sysEpollCtl},
	{Number: unix.SYS_EPOLL_PWAIT, Name: "epoll_pwait", Arguments: args(FD, Pointer, Int, Int, Pointer, Uint), Handler: sysEpollPwait},
	{Number: unix.SYS_EPOLL_CREATE1, Name: "epoll_create1", Arguments: args(Hex), Handler: sysEpollCreate1},
	{Number: unix.SYS_EPOLL_PWAIT2, Name: "epoll_pwait2", Arguments: args(FD, Pointer, Int, Pointer, Pointer, Uint), Handler: sysEpollPwait2},
}

func sysEpollCreate(t *task.Task, a *amd64.Args) (uint64, error) {
	if int32(a[0]) <= 0 {
		return 0, unix.EINVAL
	}
	return install(t, epoll.New(t.FS.Mounts(), t), fs.KeepOnExec)
}

func sysEpollCreate1(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[0])&^unix.EPOLL_CLOEXEC != 0 {
		return 0, unix.EINVAL
	}
	return install(t, epoll.New(t.FS.Mounts(), t), uint32(a[0])&unix.EPOLL_CLOEXEC != 0)
}

func sysEpollCtl(t *task.Task, a *amd64.Args) (uint64, error) {
	var event epoll.Event
	if int32(a[1]) != unix.EPOLL_CTL_DEL {
		e, err := abi.CopyIn[abi.EpollEvent](t, a[3])
		if err != nil {
			return 0, err
		}
		event = epoll.Event{Events: e.Events, Data: uint64(e.DataHigh)<<32 | uint64(e.DataLow)}
	}
	return withFiles(t, a[0], a[2], func(file, target *fs.File) (uint64, error) {
		if target.Queue() == nil {
			return 0, unix.EPERM
		}
		set := epoll.Of(file)
		if set == nil || file == target {
			return 0, unix.EINVAL
		}
		switch int32(a[1]) {
		case unix.EPOLL_CTL_ADD:
			return 0, set.Add(target, fd(a[2]), event)
		case unix.EPOLL_CTL_MOD:
			return 0, set.Modify(target, fd(a[2]), event)
		case unix.EPOLL_CTL_DEL:
			return 0, set.Delete(target, fd(a[2]))
		}
		return 0, unix.EINVAL
	})
}

// maxEpollEvents is the most events that one call may request (EP_MAX_EVENTS):
// INT_MAX divided by the size of struct epoll_event.
const maxEpollEvents = 1 << 31 / abi.EpollEventSize

// epollBatch is the most events that one call returns. The other files stay
// ready for the next call.
const epollBatch = 1024

func epollWait(t *task.Task, a *amd64.Args, deadline int64) (uint64, error) {
	limit := int32(a[2])
	if limit <= 0 || uint64(limit) > maxEpollEvents {
		return 0, unix.EINVAL
	}
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		set := epoll.Of(file)
		if set == nil {
			return 0, unix.EINVAL
		}
		events := set.Collect(int(min(limit, epollBatch)))
		if len(events) == 0 && deadline != noWait {
			err := t.BlockWithin(set.Queue(), wait.In, deadline, t.PollSlack(deadline), func() bool {
				events = set.Collect(int(min(limit, epollBatch)))
				return len(events) > 0
			})
			if err == abi.ERESTARTSYS {
				return 0, unix.EINTR
			}
		}
		return storeEvents(t, set, a[1], events)
	})
}

// storeEvents stores the events of epoll_wait(2) and returns their number. If the array
// ends in memory that is not accessible, the events that do not fit stay in the set.
// EFAULT if none fits.
func storeEvents(t *task.Task, set *epoll.Set, address uint64, events []epoll.Event) (uint64, error) {
	array := make([]abi.EpollEvent, len(events))
	for i, e := range events {
		array[i] = abi.EpollEvent{Events: e.Events, DataLow: uint32(e.Data), DataHigh: uint32(e.Data >> 32)}
	}
	err := abi.CopyOutSlice(t, address, array)
	if err == nil {
		return uint64(len(array)), nil
	}
	stored := 0
	for stored < len(array) && abi.CopyOut(t, address+uint64(stored)*abi.EpollEventSize, array[stored]) == nil {
		stored++
	}
	set.PutBack(events[stored:])
	return moved(uint64(stored), err)
}

// epollDeadline returns the deadline that is the given number of milliseconds
// from now. A negative number means no deadline.
func epollDeadline(milliseconds uint64) int64 {
	if int32(milliseconds) < 0 {
		return 0
	}
	return deadlineIn(int64(int32(milliseconds)) * clock.Millisecond)
}

func sysEpollWait(t *task.Task, a *amd64.Args) (uint64, error) {
	return epollWait(t, a, epollDeadline(a[3]))
}

func sysEpollPwait(t *task.Task, a *amd64.Args) (uint64, error) {
	return withMask(t, a[4], a[5], func() (uint64, error) { return epollWait(t, a, epollDeadline(a[3])) })
}

func sysEpollPwait2(t *task.Task, a *amd64.Args) (uint64, error) {
	deadline, err := readTimeout(t, a[3])
	if err != nil {
		return 0, err
	}
	return withMask(t, a[4], a[5], func() (uint64, error) { return epollWait(t, a, deadline) })
}
