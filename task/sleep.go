package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/clock"
	"slowpath/entry"
	"slowpath/wait"
)

// SleepMode is the kind of a sleep: which signals interrupt it.
type SleepMode uint32

// The sleep modes. Awake is the state of a task that does not sleep.
const (
	Awake SleepMode = iota
	// Interruptible: any deliverable signal ends the sleep.
	Interruptible
	// Killable: only a fatal signal ends the sleep.
	Killable
	// Uninterruptible: no signal ends the sleep. It must be short.
	Uninterruptible
	// Stopped: stopped by job control, until SIGCONT or a fatal signal.
	Stopped
	// Traced: in a ptrace stop: see Trap.
	Traced
)

// Interrupted reports whether SIGPENDING is set. A system call that would sleep
// must then return ERESTARTSYS, or its partial result. Any goroutine may call it.
func (t *Task) Interrupted() bool {
	return entry.Pending(&t.Frame.ThreadFlags)&entry.SigPending != 0
}

// Killed reports whether the task must exit before it returns to user mode. Any
// goroutine may call it.
func (t *Task) Killed() bool { return t.killed.Load() }

// Raise sets a duty in the thread flags word and kicks the task's CPU if it is in
// user mode. SIGPENDING also ends an interruptible sleep. Any goroutine may call
// it; it does not sleep.
func (t *Task) Raise(flag entry.Flag) {
	entry.Raise(&t.Frame.ThreadFlags, flag)
	if flag&entry.SigPending != 0 && SleepMode(t.mode.Load()) == Interruptible {
		t.Sleeper.Wake()
	}
	t.kernel.kick(t)
}

// Waiter returns a waiter that wakes the task for the events of mask. The caller
// adds it to a queue before it checks its condition, and removes it afterwards.
func (t *Task) Waiter(mask wait.Events) *wait.Waiter { return t.Sleeper.Waiter(mask) }

// Block sleeps until ready returns true. It calls ready before the first sleep and
// after each wake-up of q with an event of mask. With a nil q only Sleeper.Wake
// wakes the task. The deadline is a time of clock.Monotonic in nanoseconds; 0
// stands for none, and a negative one does not sleep. Only the task's own goroutine
// calls it.
//
// Errors: ETIMEDOUT at the deadline, ERESTARTSYS at a signal. If ready returns
// true, there is no error.
func (t *Task) Block(q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error {
	return t.block(Interruptible, q, mask, deadline, ready)
}

// BlockKillable is Block, but only a fatal signal interrupts it.
func (t *Task) BlockKillable(q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error {
	return t.block(Killable, q, mask, deadline, ready)
}

// BlockWithin is Block with a timer slack other than the task's: the sleep may end so many
// nanoseconds after the deadline.
func (t *Task) BlockWithin(q *wait.Queue, mask wait.Events, deadline, slack int64, ready func() bool) error {
	w := t.Sleeper.OwnWaiter(mask)
	q.Add(w)
	defer q.Remove(w)
	return t.SleepWithin(deadline, slack, ready)
}

func (t *Task) block(mode SleepMode, q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error {
	if q != nil {
		w := t.Sleeper.OwnWaiter(mask)
		q.Add(w)
		defer q.Remove(w)
	}
	return t.SleepUntil(mode, deadline, ready)
}

// SleepUntil is Block for a caller that has added its own waiters to any number of
// queues (poll(2)).
func (t *Task) SleepUntil(mode SleepMode, deadline int64, ready func() bool) error {
	return t.sleepWithin(mode, deadline, ownSlack, ready)
}

// SleepWithin is an interruptible SleepUntil with a timer slack other than the task's, in
// nanoseconds.
func (t *Task) SleepWithin(deadline, slack int64, ready func() bool) error {
	return t.sleepWithin(Interruptible, deadline, slack, ready)
}

// ownSlack stands for the slack of the task.
const ownSlack = -1

func (t *Task) sleepWithin(mode SleepMode, deadline, slack int64, ready func() bool) error {
	var err error
	for {
		// The mode is stored before SIGPENDING is read, and a sender sets
		// SIGPENDING before it reads the mode: one of them sees the other.
		t.mode.Store(uint32(mode))
		if ready() {
			break
		}
		if deadline != 0 || t.sleepEnds(mode) {
			if err = t.endOfSleep(mode, deadline); err != nil {
				break
			}
		}
		if deadline == 0 {
			t.Sleeper.Sleep(0)
			continue
		}
		if slack == ownSlack {
			slack = t.slack()
		}
		t.Sleeper.SleepWithin(deadline, slack)
	}
	t.mode.Store(uint32(Awake))
	return err
}

// endOfSleep returns ERESTARTSYS if a signal ends a sleep, ETIMEDOUT after the deadline, or nil.
func (t *Task) endOfSleep(mode SleepMode, deadline int64) error {
	if t.sleepEnds(mode) {
		return abi.ERESTARTSYS
	}
	if deadline == 0 || clock.Monotonic() < deadline {
		return nil
	}
	if deadline > 0 {
		t.group.Timers.expireDue()
	}
	return unix.ETIMEDOUT
}

// sleepEnds reports whether a signal ends a sleep of the given mode.
func (t *Task) sleepEnds(mode SleepMode) bool {
	switch mode {
	case Interruptible:
		return t.Interrupted() || t.Killed()
	case Killable, Stopped:
		return t.Killed()
	}
	return false
}

// StateLetter returns the state of proc(5): R runnable, S interruptible sleep, D
// uninterruptible sleep, T stopped, t in a
// ptrace stop, Z zombie, X dead. Any goroutine may call it.
func (t *Task) StateLetter() byte {
	switch exitState(t.exitState.Load()) {
	case zombie:
		return 'Z'
	case dead:
		return 'X'
	}
	return "RSDDTt"[t.mode.Load()]
}
