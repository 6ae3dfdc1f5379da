package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/signal"
	"slowpath/task/elf"
)

// registersSubsystem is the task's frame: pt_regs, the extended state and what the
// task wants of a CPU's controls, such as PR_SET_TSC (prctl(2)).
var registersSubsystem = Subsystem{
	Name: "registers",
	Fork: (*Task).forkRegisters,
	Exec: func(t *Task, x *Execution) {
		t.Frame.ResetRegisters()
		if x.program.image.Class == elf.Class32 {
			t.Frame.StartCode32()
			t.Frame.SetSelector(amd64.DS, amd64.UserSS)
			t.Frame.SetSelector(amd64.ES, amd64.UserSS)
			t.Frame.SetLandingPad32(x.image.vdso.LandingPad)
		}
		t.Frame.RIP, t.Frame.RSP = x.image.start, x.image.stack
		if trap := signal.ReturnTrap(t.Frame); trap != nil {
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
	child.Frame = f
	switch {
	case a.Flags&unix.CLONE_SETTLS == 0:
	case a.ThreadArea != nil:
		return child.SetThreadArea(a.ThreadArea.EntryNumber, a.ThreadArea)
	default:
		f.FSBase = a.TLS
	}
	return nil
}

// Registers32 returns the registers as struct user_regs_struct32, without the TF of a tracer
// (Linux: getreg32). The caller is the task's own goroutine, or the task is stopped.
func (t *Task) Registers32() compat.UserRegs {
	f := t.Frame
	amd64.Release(f)
	ds, es, fs, gs := f.Selectors()
	return compat.UserRegs{
		EBX: uint32(f.RBX), ECX: uint32(f.RCX), EDX: uint32(f.RDX), ESI: uint32(f.RSI), EDI: uint32(f.RDI),
		EBP: uint32(f.RBP), EAX: uint32(f.RAX), DS: uint32(ds), ES: uint32(es), FS: uint32(fs), GS: uint32(gs),
		OrigEAX: uint32(f.OrigRAX), EIP: uint32(f.RIP), CS: uint32(uint16(f.CS)),
		EFlags: uint32(f.ProgramFlags()), ESP: uint32(f.RSP), SS: uint32(uint16(f.SS)),
	}
}
