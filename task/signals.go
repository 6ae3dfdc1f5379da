package task

import (
	"golang.org/x/sys/unix"

	"slowpath/guard"
)

// signalsSubsystem is the signal mask of a thread, and the signal actions of a
// process.
var signalsSubsystem = Subsystem{
	Name: "signals",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		child.blocked = parent.Blocked()
		if !a.thread() {
			child.group.forkActions(parent.group, a.Flags)
		}
		return nil
	},
	Exec: (*Task).resetActions,
	Exit: (*Task).withdrawFromSignals,
}

// forkActions shares the actions of the parent process, or copies them.
func (g *ThreadGroup) forkActions(parent *ThreadGroup, flags uint64) {
	switch {
	case flags&unix.CLONE_SIGHAND != 0:
		g.actions.Store(parent.Actions())
	case flags&unix.CLONE_CLEAR_SIGHAND != 0:
		g.actions.Store(parent.Actions().CloneWithoutHandlers())
	default:
		g.actions.Store(parent.Actions().Clone())
	}
}

// resetActions gives the process actions of its own, in which every handler is
// back at SIG_DFL (execve(2)).
func (t *Task) resetActions(*Execution) {
	g := t.group
	g.actions.Store(g.Actions().CloneWithoutHandlers())
}

// withdrawFromSignals ends the thread's part in signals and stops: pending
// signals of the process go to other threads, and a stop that waited only for
// this thread is complete (Linux: exit_signals).
func (t *Task) withdrawFromSignals() {
	g := t.group
	locked := guard.Lock(&g.mu)
	defer locked.Release()
	t.ended = true
	if !g.groupExit {
		g.retarget(t, ^t.blocked)
	}
	stopped := t.joinStop()
	t.endTrapping()
	locked.Release()
	if stopped {
		g.notifyStopped(noticeStopped)
	}
}
