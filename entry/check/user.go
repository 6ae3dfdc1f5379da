package check

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// enterUser is the model of amd64.EnterUser. The first call of a run returns the
// event of the plan's kind. Later calls model the end of the trampoline, from CLI
// to SYSRET or IRETQ. The run ends when user mode is entered.
func (t *Task) enterUser(*amd64.Frame) int {
	t.report()
	t.Visit.Served = 0
	if !t.arrived {
		t.arrived = true
		if t.arrive(); t.plan.Kind != ForkedChild {
			return kindTable[t.plan.Kind].event
		}
	}
	t.note(Entering, 0)
	if t.elsewhere {
		return amd64.EventHandover
	}
	return t.test()
}

// arrive initialises the frame as the trampoline does at a kernel entry, and
// stores the registers that user mode must have at the end.
func (t *Task) arrive() {
	f := &t.frame
	f.ThreadFlags.Store(uint32(t.plan.Word))
	f.CS, f.SS = amd64.UserCS, amd64.UserSS
	f.RAX, f.RIP, f.RFLAGS = 0, atCall, flagsAtCall
	t.elsewhere = kindTable[t.plan.Kind].moved
	kind := t.plan.Kind
	switch {
	case kindTable[kind].fast32: // the vDSO has ECX in EBP
		f.RCX, f.R11, f.Flags, f.OrigRAX = staleRCX, staleR11, amd64.Call32, kind.number()
		f.RBP = userRCX
		if kind == RefusedCall32 { // by an instruction outside of the vDSO
			f.RIP = elsewhere
		}
	case kindTable[kind].call && kind != Int80:
		f.RCX, f.R11, f.Flags, f.OrigRAX = staleRCX, staleR11, 0, 0
	case t.plan.Kind == ForkedChild: // a complete copy of the parent's frame, during clone
		f.RCX, f.R11, f.Flags, f.OrigRAX = atCall, flagsAtCall, amd64.LeaveByIRET, 0
	default:
		f.RCX, f.R11, f.Flags, f.OrigRAX = userRCX, userR11, amd64.LeaveByIRET|amd64.CallOver, amd64.NotInSyscall
	}
	f.SetLandingPad32(landingPad)
	if kind.stepped() {
		f.RFLAGS |= amd64.FlagTF
		f.Flags |= amd64.FlagTF // as LANDING in the trampoline stores it
	}
	if t.plan.Kind == StepEnd {
		f.RIP = slot
		t.Hold()
		t.Defer(entry.SigPending)
	}
	t.want = registers{rip: f.RIP, rcx: f.RIP, r11: f.RFLAGS, rflags: f.RFLAGS}
	if f.Flags&amd64.CallOver != 0 {
		t.want.rcx, t.want.r11 = userRCX, userR11
	}
	if kindTable[kind].fast32 {
		t.want.rip, t.want.rcx = landingPad, userRCX
	}
	t.note(Arrived, 0)
	if t.plan.Kind == StepEnd {
		t.note(Deferred, entry.SigPending)
	}
	if kindTable[kind].call && (t.plan.Word != 0 || kind == SixthArgument32) {
		t.note(Began, 0)
	}
}

// test is the model of EnterUser's last test.
func (t *Task) test() int {
	t.moment() // the last moment of this attempt
	t.interrupts = false
	t.note(Tested, 0)
	if exit, possible := t.frame.QuickExit(); possible {
		return t.follow(exit)
	}
	return t.follow(t.table.LastTest(&t.frame))
}

// follow executes the decision of the last test.
func (t *Task) follow(decision amd64.Exit) int {
	switch decision {
	case amd64.Stay:
		t.interrupts = true
		return amd64.EventDuty
	case amd64.BySYSRET:
		t.leaveKernel(BySYSRET)
	case amd64.BySYSRET32:
		t.leaveKernel(BySYSRET32)
	default:
		t.leaveKernel(ByIRET)
	}
	t.SetExiting() // end the loop
	return amd64.EventHandover
}

// leaveKernel is the model of the exit instruction. SYSRET loads RIP from RCX and
// RFLAGS from R11. IRETQ loads all registers from the frame. SYSRET with TF set
// would trap before the program's next instruction, which is wrong. After SYSRET to 32-bit
// code the vDSO pops RCX.
func (t *Task) leaveKernel(by What) {
	f := &t.frame
	t.found = registers{f.RIP, f.RCX, f.R11, f.RFLAGS}
	if by != ByIRET {
		t.found.rcx, t.found.r11 = f.RIP, f.RFLAGS
		if by == BySYSRET32 && f.RIP == landingPad {
			t.found.rcx = userRCX
		}
		if f.RFLAGS&amd64.FlagTF != 0 {
			t.found.rflags = 0
		}
	}
	t.note(by, 0)
}

// TakeCPU implements entry.Task. It loads the task's state on this CPU. The
// migration interrupts a restartable sequence.
func (t *Task) TakeCPU() int {
	if !t.elsewhere {
		return amd64.EventHandover // follow ended the run
	}
	t.elsewhere = false
	t.raise(entry.RestartableSequence)
	t.moment()
	return amd64.EventHandover
}

// AfterInterrupt implements entry.Task.
func (t *Task) AfterInterrupt() {
	t.raise(entry.RestartableSequence)
	t.raise(entry.NeedResched)
}

// ReadWord implements entry.Task. A page fault may sleep.
func (t *Task) ReadWord(uint64) (uint32, bool) {
	t.moment()
	return 0, t.plan.Kind != RefusedCall32
}

// Stuck implements entry.Task.
func (t *Task) Stuck(duties entry.Flag) {
	t.note(Stuck, duties)
	t.giveUp()
}

// exception handles every exception.
func (t *Task) exception(_ *amd64.Frame, vector int) bool {
	switch vector {
	case amd64.Breakpoint:
		t.raise(entry.SigPending)
	case amd64.PageFault:
		t.moment()
		if t.choose(1) != 0 {
			t.raise(entry.SigPending)
		}
	case amd64.MachineCheck:
		t.raise(entry.MCENotify)
	}
	return true
}

// call is the handler of the system call. It may sleep.
func (t *Task) call(*entry.Args) (uint64, error) {
	t.note(Called, 0)
	t.requested = false
	t.moment()
	t.mayPanic()
	f := &t.frame
	switch t.plan.Kind {
	case Exec:
		f.RIP, f.RCX, f.R11, f.RFLAGS = elsewhere, 0, 0, amd64.FlagIF|amd64.FlagFixed
		f.Flags = amd64.LeaveByIRET
		t.want = registers{elsewhere, 0, 0, f.RFLAGS}
	case Sigreturn:
		f.Settle()
		f.RIP, f.RCX, f.R11, f.RFLAGS = elsewhere, userRCX, userR11, otherFlags
		f.OrigRAX = amd64.NotInSyscall
		f.Sanitize()
		t.want = registers{elsewhere, userRCX, userR11, otherFlags}
	case Exit:
		t.leave()
		f.ThreadFlags.Or(uint32(entry.SigPending)) // as exit(2) does
	}
	t.note(Returned, 0)
	return 0, nil
}
