package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/entry"
	"slowpath/guard"
	"slowpath/signal"
	"slowpath/wait"
)

// waitReadable is the event of the queues in this package.
const waitReadable = wait.Readable

// Blocked returns the set of blocked signals. Any goroutine may call it.
func (t *Task) Blocked() signal.Set {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	return t.blocked
}

// OwnBlocked is Blocked for the task's own goroutine. It needs no lock, because only
// that goroutine changes the set while the task runs.
func (t *Task) OwnBlocked() signal.Set { return t.blocked }

// SetBlocked sets the blocked signals; SIGKILL and SIGSTOP are left out. Pending
// signals of the process that the task newly blocks are retargeted to other
// threads. Only the task's own goroutine calls it.
func (t *Task) SetBlocked(set signal.Set) {
	g := t.group
	set &^= signal.Unblockable
	g.mu.Lock()
	defer g.mu.Unlock()
	if newly := set &^ t.blocked; newly != 0 {
		g.retarget(t, newly)
	}
	t.blocked = set
	t.recalculate()
}

// retarget wakes other threads for those pending signals of the process that are
// in which, because t will not take them (Linux: retarget_shared_pending). The
// group's lock is held.
func (g *ThreadGroup) retarget(t *Task, which signal.Set) {
	which &= g.shared.Set
	for _, other := range g.threads {
		if which == 0 {
			return
		}
		if other == t || other.ended {
			continue
		}
		if take := which &^ other.blocked; take != 0 {
			which &^= take
			other.Raise(entry.SigPending)
		}
	}
}

// Pending returns the signals that are pending for the thread or its process, and
// those that are pending for the thread alone. Any goroutine may call it.
func (t *Task) Pending() (all, own signal.Set) {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	return t.pending.Set | t.group.shared.Set, t.pending.Set
}

// Suspend is rt_sigsuspend(2): it replaces the mask by set and sleeps until a
// signal. The mask is restored on the return to user mode. The error is always
// ERESTARTNOHAND.
func (t *Task) Suspend(set signal.Set) error {
	t.BlockTemporarily(set)
	t.SleepUntil(Interruptible, 0, func() bool { return false })
	return abi.ERESTARTNOHAND
}

// BlockTemporarily sets the mask for the rest of this system call: ppoll(2),
// pselect(2), epoll_pwait(2). The caller must call RestoreBlocked.
func (t *Task) BlockTemporarily(set signal.Set) {
	if !t.suspended {
		t.suspendMask = t.blocked
		t.suspended = true
	}
	t.SetBlocked(set)
}

// RestoreBlocked undoes BlockTemporarily. If the call was interrupted, the
// temporary mask stays until the signal is delivered, and DeliverSignals restores
// the old one.
func (t *Task) RestoreBlocked(interrupted bool) {
	if !t.suspended || interrupted {
		return
	}
	t.suspended = false
	t.SetBlocked(t.suspendMask)
}

// WaitSignal is rt_sigtimedwait(2): it takes a pending signal of set, or sleeps
// until there is one. The deadline is a time of clock.Monotonic in nanoseconds; 0
// stands for none, and a negative one does not sleep. Errors: EAGAIN at the
// deadline, EINTR at another signal.
func (t *Task) WaitSignal(set signal.Set, deadline int64) (signal.Info, error) {
	set &^= signal.Unblockable
	info, taken := t.TakeSignal(set)
	if taken || deadline < 0 {
		return info, errorUnless(taken, unix.EAGAIN)
	}
	t.waitFor(set)
	err := t.SleepUntil(Interruptible, deadline, func() bool {
		if !taken {
			info, taken = t.TakeSignal(set)
		}
		return taken
	})
	t.waitFor(0)
	if !taken {
		info, taken = t.TakeSignal(set)
	}
	switch {
	case taken:
		return info, nil
	case err == unix.ETIMEDOUT:
		return info, unix.EAGAIN
	}
	return info, unix.EINTR
}

func errorUnless(ok bool, err error) error {
	if ok {
		return nil
	}
	return err
}

// waitFor unblocks set, so that a sender wakes the task, and keeps the real mask
// in t.waited. An empty set restores the mask.
func (t *Task) waitFor(set signal.Set) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if set != 0 {
		t.waited = t.blocked
		t.blocked &^= set
	} else {
		t.blocked, t.waited = t.waited, 0
	}
	t.recalculate()
}

// TakeSignal removes and returns a pending signal of set. The thread's own
// signals come first. Only the task's own goroutine calls it.
func (t *Task) TakeSignal(set signal.Set) (info signal.Info, taken bool) {
	locked := guard.Lock(&t.group.mu)
	defer locked.Release()
	queue := t.dequeue(^set, &info)
	if queue == nil {
		return info, false
	}
	t.recalculate()
	locked.Release()
	t.group.Timers.signalTaken(&info)
	return info, true
}

// SignalsPosted returns the queue that is woken when a signal becomes pending for
// the process or for one of its threads.
func (g *ThreadGroup) SignalsPosted() *wait.Queue { return &g.posted }

// SetAction is rt_sigaction(2): it returns the old action. A pending signal that
// the new action ignores is discarded. Error: EINVAL for SIGKILL and SIGSTOP.
func (t *Task) SetAction(s signal.Signal, action signal.Action) (signal.Action, error) {
	g := t.group
	old, err := g.Actions().Set(s, action)
	if err != nil {
		return old, err
	}
	if signal.Discards(action.Handler, s) {
		guard.With(&g.mu, func() { g.discard(signal.SetOf(s)) })
	}
	return old, nil
}

// Pause is pause(2): it sleeps until a signal. The error is always
// ERESTARTNOHAND.
func (t *Task) Pause() error {
	t.SleepUntil(Interruptible, 0, func() bool { return false })
	return abi.ERESTARTNOHAND
}
