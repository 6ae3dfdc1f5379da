package check

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// enterUser is the model of amd64.EnterUser. Its first call of a run returns the
// event with which the task arrives. Later ones are the end of the trampoline,
// from CLI to SYSRET or IRETQ; the run ends when user mode is entered.
func (t *Task) enterUser(*amd64.Frame) int {
	t.told |= t.Visit.Served
	t.Visit.Served = 0
	if !t.arrived {
		t.arrived = true
		if t.arrive(); t.plan.Kind != ForkedChild {
			return ways[t.plan.Kind].event
		}
	}
	t.note(Entering, 0)
	if t.elsewhere {
		return amd64.EventHandover
	}
	return t.test()
}

// arrive makes the frame what the trampoline makes it, and notes what user mode
// must find at the end.
func (t *Task) arrive() {
	f := &t.frame
	f.ThreadFlags.Store(uint32(t.plan.Word))
	f.CS, f.SS = amd64.UserCS, amd64.UserSS
	f.RIP, f.RFLAGS = atCall, flagsAtCall
	t.elsewhere = ways[t.plan.Kind].moved
	switch {
	case ways[t.plan.Kind].call:
		f.RCX, f.R11, f.Flags, f.OrigRAX = staleRCX, staleR11, 0, 0
	case t.plan.Kind == ForkedChild: // a settled copy of its parent's frame, in the middle of clone
		f.RCX, f.R11, f.Flags, f.OrigRAX = atCall, flagsAtCall, amd64.LeaveByIRET, 0
	default:
		f.RCX, f.R11, f.Flags, f.OrigRAX = userRCX, userR11, amd64.LeaveByIRET|amd64.CallOver, amd64.NotInSyscall
	}
	if t.plan.Kind == SteppedSyscall {
		f.RFLAGS |= amd64.FlagTF
		f.Flags = amd64.FlagTF // as the landing stores it
	}
	t.want = registers{rip: f.RIP, rcx: f.RIP, r11: f.RFLAGS, rflags: f.RFLAGS}
	if f.Flags&amd64.CallOver != 0 {
		t.want.rcx, t.want.r11 = userRCX, userR11
	}
	t.note(Arrived, 0)
	if ways[t.plan.Kind].call && t.plan.Word != 0 {
		t.note(Began, 0)
	}
}

// test is EnterUser's last test and what follows from it.
func (t *Task) test() int {
	t.moment() // the last one
	t.interrupts = false
	t.note(Tested, 0)
	if entry.Pending(&t.frame.ThreadFlags) == 0 {
		switch t.frame.Flags {
		case 0:
			return t.follow(amd64.BySYSRET)
		case amd64.LeaveByIRET | amd64.CallOver:
			return t.follow(amd64.ByIRETQ)
		}
	}
	return t.follow(t.table.LastTest(&t.frame))
}

// follow does what the last test decided.
func (t *Task) follow(decision amd64.Exit) int {
	switch decision {
	case amd64.Stay:
		t.interrupts = true
		return amd64.EventDuty
	case amd64.BySYSRET:
		t.leaveKernel(BySYSRET)
	default:
		t.leaveKernel(ByIRET)
	}
	t.SetExiting() // the loop ends with the run
	return amd64.EventHandover
}

// leaveKernel is the exit instruction: SYSRET loads RIP from RCX and RFLAGS from
// R11, IRETQ loads all from the frame. SYSRET with TF set would trap before the
// program's next instruction, which the program does not expect.
func (t *Task) leaveKernel(by What) {
	f := &t.frame
	t.found = registers{f.RIP, f.RCX, f.R11, f.RFLAGS}
	if by == BySYSRET {
		t.found.rcx, t.found.r11 = f.RIP, f.RFLAGS
		if f.RFLAGS&amd64.FlagTF != 0 {
			t.found.rflags = 0
		}
	}
	t.note(by, 0)
}

// TakeCPU implements entry.Task: the task has its state on this CPU again, and a
// restartable sequence was left.
func (t *Task) TakeCPU() {
	if !t.elsewhere {
		return // the end of the run
	}
	t.elsewhere = false
	t.raise(entry.RestartableSequence)
	t.moment()
}

// AfterInterrupt implements entry.Task.
func (t *Task) AfterInterrupt() {
	t.raise(entry.RestartableSequence)
	t.raise(entry.NeedResched)
}

// Stuck implements entry.Task.
func (t *Task) Stuck(duties entry.Flag) {
	t.note(Stuck, duties)
	t.giveUp()
}

// exception is the owner of every exception.
func (t *Task) exception(_ *amd64.Frame, vector int) bool {
	switch vector {
	case vectorPageFault:
		t.moment()
		if t.choose(1) != 0 {
			t.raise(entry.SigPending)
		}
	case amd64.MachineCheck:
		t.raise(entry.MCENotify)
	}
	return true
}

// call is the system call itself. It may sleep.
func (t *Task) call(*entry.Args) (uint64, error) {
	t.note(Called, 0)
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
