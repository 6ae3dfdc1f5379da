package seccomp

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/wait"
)

// The requests of a listener (seccomp_unotify(2)).
const (
	ioctlReceive = 0xc0502100
	ioctlSend    = 0xc0182101
	ioctlValid   = 0x40082102
	// ioctlValidWrong is SECCOMP_IOCTL_NOTIF_ID_VALID with the wrong direction, as it
	// was published first.
	ioctlValidWrong = 0x80082102
	ioctlAddFD      = 0x40182103

	ioctlDirections = 3 << 30
	ioctlSize       = 0x3fff << 16
)

// NotifySizes is SECCOMP_GET_NOTIF_SIZES.
func NotifySizes() abi.SeccompNotifSizes {
	return abi.SeccompNotifSizes{
		Notif: uint16(len(abi.Bytes(new(abi.SeccompNotif)))), Resp: uint16(len(abi.Bytes(new(abi.SeccompNotifResp)))),
		Data: uint16(len(abi.Bytes(new(abi.SeccompData)))),
	}
}

// notifyContinue is SECCOMP_USER_NOTIF_FLAG_CONTINUE.
const notifyContinue = 1

// Ioctl implements fs.FileOperations. Unlike that of other files it may sleep, because
// only a system call of a task uses it: RECV waits for a notification, and ADDFD for
// the task that installs the descriptor.
func (l *listener) Ioctl(_ *fs.File, caller fs.Caller, request uint32, argument uint64) (uint64, error) {
	t, ok := caller.(*task.Task)
	if !ok {
		return 0, unix.ENOTTY
	}
	switch request {
	case ioctlReceive:
		return 0, l.receiveTo(t, argument)
	case ioctlSend:
		return 0, l.send(t, argument)
	case ioctlValid, ioctlValidWrong:
		return 0, l.checkID(t, argument)
	}
	if request&^(ioctlDirections|ioctlSize) == ioctlAddFD&^(ioctlDirections|ioctlSize) {
		return l.addFD(t, argument, int(request&ioctlSize>>16))
	}
	return 0, unix.EINVAL
}

// receiveTo is SECCOMP_IOCTL_NOTIF_RECV: EINVAL for a buffer that is not zero, EINTR at
// a signal, ENOENT if the task was interrupted.
func (l *listener) receiveTo(t *task.Task, address uint64) error {
	buffer, err := abi.CopyIn[abi.SeccompNotif](t, address)
	if err != nil {
		return err
	}
	if buffer != (abi.SeccompNotif{}) {
		return unix.EINVAL
	}
	if t.Block(&l.queue, wait.Readable, 0, l.take) != nil {
		return unix.EINTR
	}
	n, err := l.receive()
	if err != nil {
		return err
	}
	l.queue.Wake(wait.Writable)
	err = abi.CopyOut(t, address, abi.SeccompNotif{ID: n.id, PID: uint32(n.task.TID()), Data: n.data})
	if err != nil {
		l.unreceive(n)
	}
	if l.waitKillable {
		n.task.Sleeper.Wake() // it changes how it sleeps
	}
	return err
}

// send is SECCOMP_IOCTL_NOTIF_SEND: EINVAL, ENOENT, EINPROGRESS.
func (l *listener) send(t *task.Task, address uint64) error {
	r, err := abi.CopyIn[abi.SeccompNotifResp](t, address)
	if err != nil {
		return err
	}
	proceed := r.Flags&notifyContinue != 0
	if r.Flags&^notifyContinue != 0 || proceed && (r.Error != 0 || r.Val != 0) {
		return unix.EINVAL
	}
	waiting, err := l.respond(r.ID, reply{value: r.Val, errno: r.Error, proceed: proceed})
	if err != nil {
		return err
	}
	waiting.Sleeper.Wake()
	return nil
}

// checkID is SECCOMP_IOCTL_NOTIF_ID_VALID: ENOENT.
func (l *listener) checkID(t *task.Task, address uint64) error {
	id, err := abi.CopyIn[uint64](t, address)
	if err == nil && !l.valid(id) {
		err = unix.ENOENT
	}
	return err
}

// addFD is SECCOMP_IOCTL_NOTIF_ADDFD with a structure of the given size. Errors: EINVAL,
// E2BIG for a longer structure that is not zero, EBADF, ENOENT, EINPROGRESS, EBUSY,
// ESRCH, and those of the installation.
func (l *listener) addFD(t *task.Task, address uint64, size int) (uint64, error) {
	request, err := copyAddFD(t, address, size)
	if err != nil {
		return 0, err
	}
	if request.NewFDFlags&^unix.O_CLOEXEC != 0 || request.Flags&^(addSetFD|addSend) != 0 ||
		request.NewFD != 0 && request.Flags&addSetFD == 0 {
		return 0, unix.EINVAL
	}
	file, err := t.FDs.Get(int(int32(request.SrcFD)))
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	a := &addition{caller: t, file: file, request: request}
	n, err := l.add(a)
	if err != nil {
		return 0, err
	}
	n.task.Sleeper.Wake()
	return l.await(n, a)
}

// copyAddFD copies a structure that a later version of the interface may have made
// longer (Linux: copy_struct_from_user).
func copyAddFD(t *task.Task, address uint64, size int) (request abi.SeccompNotifAddFD, err error) {
	known := len(abi.Bytes(&request))
	if size < known || size >= mm.PageSize {
		return request, unix.EINVAL
	}
	rest := make([]byte, size-known)
	if err := t.CopyIn(address+uint64(known), rest); err != nil {
		return request, err
	}
	for _, b := range rest {
		if b != 0 {
			return request, unix.E2BIG
		}
	}
	return abi.CopyIn[abi.SeccompNotifAddFD](t, address)
}
