package task

import (
	"golang.org/x/sys/unix"

	"slowpath/signal"
)

// altStackSubsystem is the alternate signal stack. A child that shares the
// memory and runs at the same time has none: two threads must not run on one
// stack. A vfork(2) child keeps it, because its parent does not run.
var altStackSubsystem = Subsystem{
	Name: "alternate signal stack",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		if a.Flags&(unix.CLONE_VM|unix.CLONE_VFORK) != unix.CLONE_VM {
			child.AltStack = parent.AltStack
		} else {
			child.AltStack.Reset()
		}
		return nil
	},
	Exec: func(t *Task, _ *Execution) { t.AltStack = signal.AltStack{Flags: t.AltStack.Flags} }, // as on Linux
}
