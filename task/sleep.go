package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/clock"
	"slowpath/entry"
	"slowpath/wait"
)

// SleepMode says what ends a sleep besides what is waited for.
type SleepMode uint32

// The sleep modes. Awake is the state of a task that does not sleep.
const (
	Awake SleepMode = iota
	// Interruptible sleeps end at any signal that would be delivered.
	Interruptible
	// Killable sleeps end only when the task is to die.
	Killable
	// Uninterruptible sleeps end at nothing else. They must be short.
	Uninterruptible
	// Stopped is job control's: ended by SIGCONT or by death.
	Stopped
)

// Interrupted reports whether a signal waits for the task, so that a system
// call that would sleep must return (ERESTARTSYS, or what it has done so far).
func (t *Task) Interrupted() bool {
	return entry.Pending(&t.Frame.ThreadFlags)&entry.SigPending != 0
}

// Killed reports whether the task is to die before it returns to user mode.
func (t *Task) Killed() bool { return t.killed.Load() }

// Raise makes the task owe a duty. Anybody may call it, at any time; it does
// not sleep. A task in user mode is brought out of it; for SIGPENDING a task
// in an interruptible sleep is woken.
func (t *Task) Raise(flag entry.Flag) {
	entry.Raise(&t.Frame.ThreadFlags, flag)
	if flag&entry.SigPending != 0 && SleepMode(t.mode.Load()) == Interruptible {
		t.Sleeper.Wake()
	}
	t.kernel.kick(t)
}

// Waiter returns an entry for a wait queue that wakes the task; the caller
// puts it on the queue before it looks, and takes it off after.
func (t *Task) Waiter(mask wait.Events) *wait.Waiter { return t.Sleeper.Waiter(mask) }

// Block sleeps until ready reports true: it is asked before the first sleep
// and after each wake-up of q with an event of mask. A nil q waits for
// Sleeper.Wake alone. The deadline is a time of clock.Monotonic in
// nanoseconds, 0 for none.
//
// Errors: ETIMEDOUT at the deadline, ERESTARTSYS at a signal. What is ready is
// reported before either.
func (t *Task) Block(q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error {
	return t.block(Interruptible, q, mask, deadline, ready)
}

// BlockKillable is Block, but only death interrupts it, with ERESTARTSYS.
func (t *Task) BlockKillable(q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error {
	return t.block(Killable, q, mask, deadline, ready)
}

func (t *Task) block(mode SleepMode, q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error {
	if q != nil {
		w := t.Waiter(mask)
		q.Add(w)
		defer q.Remove(w)
	}
	return t.SleepUntil(mode, deadline, ready)
}

// SleepUntil is Block for a caller that has its own waiters on any number of
// queues (poll(2)).
func (t *Task) SleepUntil(mode SleepMode, deadline int64, ready func() bool) error {
	defer t.mode.Store(uint32(Awake))
	for {
		// The mode is set before the look at the signals, and a sender sets
		// the signal before it looks at the mode: one of them sees the other.
		t.mode.Store(uint32(mode))
		if ready() {
			return nil
		}
		if t.sleepEnds(mode) {
			return abi.ERESTARTSYS
		}
		if deadline != 0 && clock.Monotonic() >= deadline {
			if deadline > 0 { // a negative one only looks
				t.group.Timers.expireDue()
			}
			return unix.ETIMEDOUT
		}
		t.Sleeper.Sleep(deadline)
	}
}

// sleepEnds reports whether a sleep of the given mode must end now.
func (t *Task) sleepEnds(mode SleepMode) bool {
	switch mode {
	case Interruptible:
		return t.Interrupted() || t.Killed()
	case Killable, Stopped:
		return t.Killed()
	}
	return false
}

// StateLetter returns the state of proc(5): R running, S sleeping, D sleeping
// without interruption, T stopped, Z zombie, X dead.
func (t *Task) StateLetter() byte {
	switch exitState(t.exitState.Load()) {
	case zombie:
		return 'Z'
	case dead:
		return 'X'
	}
	return "RSDDT"[t.mode.Load()]
}
