package check

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// Kind is a way into the kernel, with what the kernel then does.
type Kind uint8

// The ways.
const (
	Syscall      Kind = iota // an ordinary call
	Exec                     // execve: the call replaces every register
	Sigreturn                // rt_sigreturn: the call loads registers that the user chose
	Exit                     // exit: the call does not return
	ForkedChild              // a new task's first way to user mode
	Exception                // a fault, which may raise a signal
	Interrupt                // the timer, or another CPU
	MachineCheck             // #MC on a stack of its own
	NMI                      // NMI on a stack of its own
	kinds
)

// Kinds returns all ways.
func Kinds() []Kind {
	var all []Kind
	for k := range kinds {
		all = append(all, k)
	}
	return all
}

// String names the way.
func (k Kind) String() string {
	return [...]string{
		"system call", "execve", "sigreturn", "exit", "new child", "exception", "interrupt", "machine check", "NMI",
	}[k]
}

// isCall reports whether the way is the SYSCALL instruction.
func (k Kind) isCall() bool { return k <= Exit }

// Registers of the model's program. RCX and R11 in memory are what an earlier
// entry left there: SYSCALL does not save them.
const (
	atCall, flagsAtCall   = 0x401000, amd64.FlagIF | amd64.FlagFixed | amd64.FlagCF
	userRCX, userR11      = 0x1111, 0x2222
	staleRCX, staleR11    = 0x3333, 0x4444
	elsewhere, otherFlags = 0x402000, amd64.FlagIF | amd64.FlagFixed | amd64.FlagZF
)

// arrive makes the frame what the trampoline makes it, and says what user mode
// must find at the end.
func (t *Task) arrive() {
	f := &t.frame
	f.ThreadFlags.Store(uint32(t.plan.Word))
	f.CS, f.SS = amd64.UserCS, amd64.UserSS
	f.RIP, f.RFLAGS = atCall, flagsAtCall
	t.want = registers{rip: atCall, rcx: atCall, r11: flagsAtCall, rflags: flagsAtCall}
	switch {
	case t.plan.Kind.isCall():
		f.RCX, f.R11, f.Flags, f.OrigRAX = staleRCX, staleR11, 0, 0
	case t.plan.Kind == ForkedChild: // a copy of its parent's, settled, in the middle of clone
		f.RCX, f.R11, f.Flags, f.OrigRAX = atCall, flagsAtCall, amd64.LeaveByIRET, 0
	default:
		f.RCX, f.R11, f.Flags, f.OrigRAX = userRCX, userR11, amd64.LeaveByIRET|amd64.CallOver, amd64.NotInSyscall
		t.want.rcx, t.want.r11 = userRCX, userR11
	}
	t.note(Arrived, 0)
}

// run is one turn of the user loop of package syscall: the event, and then the
// duties before user mode until EnterUser goes there.
func (t *Task) run() {
	t.arrive()
	if t.event() && !t.done() {
		t.work()
	}
	for !t.done() {
		if t.enterUser(t) {
			return
		}
		t.work()
	}
	if t.stuck {
		t.note(Stuck, 0)
	}
}

// event is what the task came for. It reports whether that is an event of
// Loop.slow: a call that owes nothing goes the fast way back.
func (t *Task) event() (slow bool) {
	switch t.plan.Kind {
	case Syscall, Exec, Sigreturn, Exit:
		return t.systemCall()
	case Exception:
		t.moment()
		if t.choose(1) != 0 {
			t.raise(entry.SigPending)
		}
	case MachineCheck:
		t.raise(entry.MCENotify)
	case Interrupt:
		t.raise(entry.RestartableSequence)
		t.raise(entry.NeedResched)
	}
	return t.plan.Kind != ForkedChild
}

// systemCall is a call: by the table if anything is owed, else at once.
func (t *Task) systemCall() (slow bool) {
	if entry.Pending(&t.frame.ThreadFlags) == 0 {
		t.call()
		return false
	}
	t.note(Began, 0)
	t.told |= t.flow.Syscall(t, &t.frame, func(t *Task, _ *amd64.Frame) { t.call() }, (*Task).done)
	t.note(Ended, 0)
	return true
}

// call is the system call itself. It may sleep.
func (t *Task) call() {
	t.note(Called, 0)
	t.moment()
	f := &t.frame
	switch t.plan.Kind {
	case Exec:
		f.RIP, f.RCX, f.R11, f.RFLAGS = elsewhere, 0, 0, amd64.FlagIF|amd64.FlagFixed
		f.Flags, f.OrigRAX = amd64.LeaveByIRET, amd64.NotInSyscall
		t.want = registers{elsewhere, 0, 0, f.RFLAGS}
	case Sigreturn:
		f.Settle()
		f.RIP, f.RCX, f.R11, f.RFLAGS = elsewhere, userRCX, userR11, otherFlags
		f.Sanitize()
		t.want = registers{elsewhere, userRCX, userR11, otherFlags}
	case Exit:
		t.leave()
	}
	t.note(Returned, 0)
}

// work is Loop.work: the duties before user mode, and the exit of a call that
// owed nothing when it began.
func (t *Task) work() {
	f := &t.frame
	if f.Flags&amd64.CallOver == 0 {
		t.told |= t.flow.SyscallExit(t, f, (*Task).done)
		t.note(Ended, 0)
	}
	t.note(Looping, 0)
	served, stuck := t.flow.ExitToUser(t, f, (*Task).passed)
	t.told |= served
	if stuck != 0 {
		t.note(Stuck, stuck)
		t.stuck = true
	}
	if !t.done() {
		f.ChooseExit()
	}
}

// EnterUser is the end of amd64.EnterUser, which is assembly: from CLI to
// SYSRET or IRETQ. It reports whether user mode was entered.
func (t *Task) EnterUser() bool {
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
	return t.follow(t.flow.LastTest(&t.frame))
}

// follow does what the last test decided.
func (t *Task) follow(decision amd64.Exit) (entered bool) {
	switch decision {
	case amd64.Stay:
		t.interrupts = true
		return false
	case amd64.BySYSRET:
		t.enter(BySYSRET)
	default:
		t.enter(ByIRET)
	}
	return true
}

// enter is the exit instruction: SYSRET takes RIP from RCX and RFLAGS from
// R11, IRETQ all from the frame.
func (t *Task) enter(by What) {
	f := &t.frame
	t.found = registers{f.RIP, f.RCX, f.R11, f.RFLAGS}
	if by == BySYSRET {
		t.found.rcx, t.found.r11 = f.RIP, f.RFLAGS
	}
	t.note(by, 0)
}
