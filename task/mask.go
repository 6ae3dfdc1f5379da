package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/entry"
	"slowpath/signal"
	"slowpath/wait"
)

// waitReadable is what a queue is woken with when there is something to take.
const waitReadable = wait.Readable

// Blocked returns the set of blocked signals.
func (t *Task) Blocked() signal.Set {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	return t.blocked
}

// SetBlocked makes set the blocked signals. Only the task itself calls it.
// Signals of the process that the task now blocks are offered to its other
// threads.
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

// retarget wakes other threads for the pending signals of the process in
// which, because t will not take them. The group's lock is held.
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

// Pending returns the signals that are pending for the thread and for its
// process, and of those the ones that wait for the thread alone.
func (t *Task) Pending() (all, own signal.Set) {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	return t.pending.Set | t.group.shared.Set, t.pending.Set
}

// Suspend is rt_sigsuspend(2): it blocks set instead of the current mask and
// sleeps until a signal ends the sleep. The mask comes back when the task
// returns to user mode. The error is always ERESTARTNOHAND.
func (t *Task) Suspend(set signal.Set) error {
	t.BlockTemporarily(set)
	t.SleepUntil(Interruptible, 0, func() bool { return false })
	return abi.ERESTARTNOHAND
}

// BlockTemporarily sets the mask for the rest of this system call: ppoll(2),
// pselect(2), epoll_pwait(2). The caller ends with RestoreBlocked.
func (t *Task) BlockTemporarily(set signal.Set) {
	if !t.suspended {
		t.suspendMask = t.Blocked()
		t.suspended = true
	}
	t.SetBlocked(set)
}

// RestoreBlocked undoes BlockTemporarily, unless the call was interrupted:
// then the mask must last until the signal that it let through is delivered,
// and DeliverSignals restores it.
func (t *Task) RestoreBlocked(interrupted bool) {
	if !t.suspended || interrupted {
		return
	}
	t.suspended = false
	t.SetBlocked(t.suspendMask)
}

// WaitSignal is rt_sigtimedwait(2): it takes a pending signal of set, or waits
// for one until the deadline. Errors: EAGAIN at the deadline, EINTR at another
// signal.
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

// waitFor unblocks set while the task waits for it, so that senders wake the
// task; the signals count as blocked for everything else.
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

// TakeSignal removes a pending signal of set, the thread's own first.
// signalfd(2) reads by it.
func (t *Task) TakeSignal(set signal.Set) (signal.Info, bool) {
	t.group.mu.Lock()
	info, ok := t.dequeue(^set)
	if ok {
		t.recalculate()
	}
	t.group.mu.Unlock()
	if ok {
		t.group.Timers.signalTaken(&info)
	}
	return info, ok
}

// SignalsPosted is the queue that is woken whenever a signal becomes pending
// for the process or one of its threads.
func (g *ThreadGroup) SignalsPosted() *wait.Queue { return &g.posted }

// SetAction is rt_sigaction(2). A signal that now does nothing is removed from
// the queues.
func (t *Task) SetAction(s signal.Signal, action signal.Action) (signal.Action, error) {
	g := t.group
	old, err := g.Actions.Set(s, action)
	if err != nil {
		return old, err
	}
	if action.Discards(s) {
		g.mu.Lock()
		g.discard(signal.SetOf(s))
		g.mu.Unlock()
	}
	return old, nil
}

// Pause is pause(2): it sleeps until a signal. The error is always
// ERESTARTNOHAND.
func (t *Task) Pause() error {
	t.SleepUntil(Interruptible, 0, func() bool { return false })
	return abi.ERESTARTNOHAND
}
