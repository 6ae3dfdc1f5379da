package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/task"
)

// Flags of SECCOMP_IOCTL_NOTIF_ADDFD.
const (
	addSetFD = 1 << 0 // NewFD is the number
	addSend  = 1 << 1 // the number is the result of the call
)

// addition is a descriptor that a supervisor installs in a task. The task itself does
// it, on its own goroutine. The listener's lock guards the last fields.
type addition struct {
	caller  *task.Task // the supervisor
	file    *fs.File   // with the supervisor's reference
	request abi.SeccompNotifAddFD

	done   bool
	number int
	err    error
}

// complete ends an addition. The listener's lock is held.
func (a *addition) complete(number int, err error) { a.done, a.number, a.err = true, number, err }

// installed is the result of addition.install.
type installed struct {
	number int
	err    error
}

// install opens the descriptor in t, on t's own goroutine (Linux: receive_fd).
func (a *addition) install(t *task.Task) installed {
	onExec := fs.ExecAction(a.request.NewFDFlags&unix.O_CLOEXEC != 0)
	number, err := int(int32(a.request.NewFD)), error(nil)
	a.file.IncRef()
	if a.request.Flags&addSetFD != 0 {
		err = t.FDs.Replace(number, a.file, t.DescriptorLimit(), onExec)
	} else {
		number, err = t.FDs.Install(a.file, 0, t.DescriptorLimit(), onExec)
	}
	if err != nil {
		a.file.DecRef()
	}
	return installed{number, err}
}

// nextAddition removes and returns an addition of a notification, or nil.
func (l *listener) nextAddition(n *notification) *addition {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(n.additions) == 0 {
		return nil
	}
	a := n.additions[0]
	n.additions = n.additions[1:]
	return a
}

// finish stores the result of an addition and wakes the supervisor.
func (l *listener) finish(n *notification, a *addition, r installed) {
	l.store(n, a, r)
	a.caller.Sleeper.Wake()
}

func (l *listener) store(n *notification, a *addition, r installed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.complete(r.number, r.err)
	switch {
	case a.request.Flags&addSend == 0:
	case r.err != nil && l.closed:
		n.reply = failure(unix.ENOSYS)
	case r.err != nil:
		n.progress = received // the supervisor may try again
	default:
		n.reply = reply{value: int64(r.number)}
	}
}

// add queues an addition for the notification that it names. With SEND it is also the
// reply: EBUSY while others are queued.
func (l *listener) add(a *addition) (*notification, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.inProgress(a.request.ID)
	if err != nil {
		return nil, err
	}
	if a.request.Flags&addSend != 0 {
		if len(n.additions) > 0 {
			return nil, unix.EBUSY
		}
		n.progress = replied
	}
	n.additions = append(n.additions, a)
	return n, nil
}

// await sleeps until an addition is done, and returns the number of the descriptor. At a
// signal an addition that has not begun is withdrawn.
func (l *listener) await(n *notification, a *addition) (uint64, error) {
	err := a.caller.SleepUntil(task.Interruptible, 0, func() bool { return l.isDone(a) })
	if err != nil && l.withdrawAddition(n, a) {
		return 0, err
	}
	return uint64(a.number), a.err
}

func (l *listener) isDone(a *addition) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return a.done
}

// withdrawAddition removes an addition, and reports whether it was still queued. An
// addition that the task installs at the moment is not waited for.
func (l *listener) withdrawAddition(n *notification, a *addition) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.done {
		return false
	}
	if i := slices.Index(n.additions, a); i >= 0 {
		n.additions = slices.Delete(n.additions, i, i+1)
	}
	return true
}
