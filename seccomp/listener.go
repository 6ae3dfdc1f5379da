package seccomp

import (
	"encoding/binary"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/guard"
	"slowpath/seccomp/bpf"
	"slowpath/task"
	"slowpath/wait"
)

// listener is the open file through which a supervisor decides about calls
// (seccomp_unotify(2)). It holds no reference to its filter: the filter is in use while
// tasks have it, and the listener sees POLLHUP when none is left.
type listener struct {
	fs.FileBase
	queue        wait.Queue
	filter       *filter
	waitKillable bool

	mu      sync.Mutex
	closed  bool
	waiting []*notification // oldest first
	// unreceived counts the notifications that SECCOMP_IOCTL_NOTIF_RECV may still
	// take. One whose task was interrupted stays counted, as on Linux: RECV then
	// fails with ENOENT.
	unreceived int
	nextID     uint64
}

// progress is the state of a notification.
type progress uint8

const (
	posted   progress = iota // nobody has received it
	received                 // the supervisor decides
	replied                  // the task may go on
)

// notification is a task that waits for the decision about its call. The listener's
// lock guards the fields after data.
type notification struct {
	id   uint64
	task *task.Task
	data abi.SeccompData

	progress  progress
	reply     reply
	additions []*addition // the descriptors to install, oldest first
}

// reply is the decision about a call.
type reply struct {
	value   int64
	errno   int32 // negative, or 0
	proceed bool  // SECCOMP_USER_NOTIF_FLAG_CONTINUE
}

// result returns RAX (Linux: syscall_set_return_value).
func (r reply) result() uint64 {
	if r.errno != 0 {
		return uint64(int64(r.errno))
	}
	return uint64(r.value)
}

// failure returns the reply that makes the call fail.
func failure(err unix.Errno) reply { return reply{errno: -int32(err)} }

// newListener returns a listener for a filter that is to be installed.
func newListener(t *task.Task, f *filter, waitKillable bool) *listener {
	var start [8]byte
	t.Kernel().Random(start[:])
	return &listener{filter: f, waitKillable: waitKillable, nextID: binary.LittleEndian.Uint64(start[:])}
}

// hangUp wakes the supervisors, because no task has the filter any more.
func (l *listener) hangUp() { l.queue.Wake(wait.Hup) }

// Queue implements fs.FileOperations.
func (l *listener) Queue() *wait.Queue { return &l.queue }

// Readiness implements fs.FileOperations: readable with a notification that was not
// received, writable with one that waits for its reply, hung up without users.
func (l *listener) Readiness() (ready wait.Events) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.waiting {
		switch n.progress {
		case posted:
			ready |= wait.Readable
		case received:
			ready |= wait.Writable
		}
	}
	if l.filter.users.Load() == 0 {
		ready |= wait.Hup
	}
	return ready
}

// Release implements fs.FileOperations: the last descriptor is closed. The calls that
// wait fail with ENOSYS.
func (l *listener) Release() {
	l.filter.listener.CompareAndSwap(l, nil)
	for _, n := range l.close() {
		n.task.Sleeper.Wake()
	}
}

// close replies to all notifications and returns them.
func (l *listener) close() []*notification {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, n := range l.waiting {
		if n.progress != replied {
			n.progress, n.reply = replied, failure(unix.ENOSYS)
		}
	}
	return slices.Clone(l.waiting)
}

// ask asks the listener of the filter about a call of t, and sleeps until it has
// decided. ENOSYS without a listener; ERESTARTSYS at a signal (Linux:
// seccomp_do_user_notification).
func (f *filter) ask(t *task.Task, d *bpf.Data) reply {
	l := f.listener.Load()
	if l == nil {
		return failure(unix.ENOSYS)
	}
	n := &notification{task: t, data: abi.SeccompData{NR: d.NR, Arch: d.Arch, IP: d.IP, Args: *d.Args}}
	if !l.post(n) {
		return failure(unix.ENOSYS)
	}
	defer l.withdraw(n)
	l.queue.Wake(wait.Readable)
	for {
		if err := l.sleep(n); err != nil {
			return failure(abi.ERESTARTSYS)
		}
		if a := l.nextAddition(n); a != nil {
			l.finish(n, a, a.install(t))
		}
		if r, ok := l.decision(n); ok {
			return r
		}
	}
}

// post adds a notification. It reports false if the listener is closed.
func (l *listener) post(n *notification) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	n.id = l.nextID
	l.nextID++
	l.waiting = append(l.waiting, n)
	l.unreceived++
	return true
}

// withdraw removes a notification whose task goes on. Descriptors that were not
// installed fail with ESRCH.
func (l *listener) withdraw(n *notification) {
	for _, a := range l.remove(n) {
		a.caller.Sleeper.Wake()
	}
}

func (l *listener) remove(n *notification) (left []*addition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, n); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	left, n.additions = n.additions, nil
	for _, a := range left {
		a.complete(0, unix.ESRCH)
	}
	return left
}

// sleep sleeps until there is a reply or a descriptor to install. With WAIT_KILLABLE
// only a fatal signal interrupts it once the notification was received.
func (l *listener) sleep(n *notification) error {
	for {
		mode := l.sleepMode(n)
		err := n.task.SleepUntil(mode, 0, func() bool { return l.mustWake(n, mode) })
		if mode == task.Killable || l.sleepMode(n) == mode {
			return err
		}
	}
}

// sleepMode returns how the task of a notification sleeps.
func (l *listener) sleepMode(n *notification) task.SleepMode {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.modeOf(n)
}

// modeOf is sleepMode with the lock held.
func (l *listener) modeOf(n *notification) task.SleepMode {
	if l.waitKillable && n.progress == received {
		return task.Killable
	}
	return task.Interruptible
}

// mustWake reports whether a sleep of the given mode must end.
func (l *listener) mustWake(n *notification, mode task.SleepMode) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return n.progress == replied || len(n.additions) > 0 || l.modeOf(n) != mode
}

// decision returns the reply, if there is one.
func (l *listener) decision(n *notification) (reply, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return n.reply, n.progress == replied
}

// find returns the notification with an id, nil if its task does not wait any more. The
// lock is held.
func (l *listener) find(id uint64) *notification {
	for _, n := range l.waiting {
		if n.id == id {
			return n
		}
	}
	return nil
}

// inProgress returns the notification with an id that was received and not replied to:
// ENOENT without it, EINPROGRESS in another state. The lock is held.
func (l *listener) inProgress(id uint64) (*notification, error) {
	n := l.find(id)
	switch {
	case n == nil:
		return nil, unix.ENOENT
	case n.progress != received:
		return nil, unix.EINPROGRESS
	}
	return n, nil
}

// take takes one of the notifications that RECV may take. It reports false if there is
// none.
func (l *listener) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unreceived == 0 {
		return false
	}
	l.unreceived--
	return true
}

// receive returns the oldest notification that nobody has received: ENOENT if its task
// was interrupted.
func (l *listener) receive() (*notification, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.waiting {
		if n.progress == posted {
			n.progress = received
			return n, nil
		}
	}
	return nil, unix.ENOENT
}

// unreceive makes a notification one that nobody has received, because the supervisor
// has a bad buffer.
func (l *listener) unreceive(n *notification) {
	locked := guard.Lock(&l.mu)
	defer locked.Release()
	if l.find(n.id) != n {
		return
	}
	n.progress = posted
	l.unreceived++
	locked.Release()
	l.queue.Wake(wait.Readable)
}

// respond stores the reply to a notification, and returns its task.
func (l *listener) respond(id uint64, r reply) (*task.Task, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.inProgress(id)
	if err != nil {
		return nil, err
	}
	n.progress, n.reply = replied, r
	return n.task, nil
}

// valid reports whether the notification with an id waits for its reply.
func (l *listener) valid(id uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.inProgress(id)
	return err == nil
}
