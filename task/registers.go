package task

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/signal"
)

// registersSubsystem is the task's frame: pt_regs, the extended state and what the
// task wants of a CPU's controls, such as PR_SET_TSC (prctl(2)).
var registersSubsystem = Subsystem{
	Name: "registers",
	Fork: (*Task).forkRegisters,
	Exec: func(t *Task, x *Execution) {
		t.Frame.ResetRegisters()
		rules := x.program.rules()
		t.Frame.CS = rules.code
		t.Frame.SetSelector(amd64.DS, rules.data)
		t.Frame.SetSelector(amd64.ES, rules.data)
		t.Frame.RIP, t.Frame.RSP = x.image.start, x.image.stack
		if trap := signal.ReturnTrap(t.Frame); trap.Signo != 0 {
			t.ForceSignal(signal.KernelInfo(unix.SIGSEGV)) // the entry point is no user address (Linux: load_elf_binary)
		}
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
