package task

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// registersSubsystem is the task's frame: pt_regs and the extended state.
var registersSubsystem = Subsystem{
	Name: "registers",
	Fork: (*Task).forkRegisters,
	Exec: func(t *Task, x *Execution) {
		t.Frame.ResetRegisters()
		t.Frame.RIP, t.Frame.RSP = x.image.start, x.image.stack
	},
	Exit: func(t *Task) { amd64.Release(t.Frame) },
}

// forkRegisters copies the frame: the child returns 0 from the same call. The
// memory's row sets the page tables.
func (t *Task) forkRegisters(child *Task, a *CloneArgs) error {
	f := amd64.NewFrame(0)
	f.Copy(t.Frame)
	f.RAX = 0
	if a.Stack != 0 {
		f.RSP = a.Stack
	}
	if a.Flags&unix.CLONE_SETTLS != 0 {
		f.FSBase = a.TLS
	}
	child.Frame = f
	return nil
}

// tscSubsystem is PR_SET_TSC (prctl(2)), which execve(2) keeps.
var tscSubsystem = Subsystem{
	Name: "time-stamp counter",
	Fork: func(parent, child *Task, _ *CloneArgs) error {
		return nil
	},
}
