package check

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// The model of package uprobe: its exception handler, and the outcomes of its duty.

// putOff has the duties that interpret RIP, which are put off while the task executes an
// instruction in a slot.
const putOff = entry.SigPending | entry.RestartableSequence

// breakpoint is the handler of #BP of the owner ByUprobe.
func (t *Task) breakpoint(f *amd64.Frame, _ int) bool {
	switch t.plan.Kind {
	case Breakpoint:
		t.hit = true
		t.raise(entry.Uprobe)
		t.moment() // it may sleep
		return true
	case StepEnd:
		if f.RIP == slot {
			t.leaveSlot()
			return true
		}
	}
	return false
}

// leaveSlot ends the execution in a slot. The duties that were put off are raised again.
func (t *Task) leaveSlot() {
	t.frame.RIP = afterProbed
	t.want.rip, t.want.rcx = afterProbed, userRCX
	t.note(Resumed, 0)
	t.release(t.Release)
}

// release calls a function that raises the duties that were put off.
func (t *Task) release(f func()) {
	before := entry.Pending(&t.frame.ThreadFlags)
	f()
	if raised := entry.Pending(&t.frame.ThreadFlags) &^ before; raised != 0 {
		t.note(Raised, raised)
	}
}

// serveUprobe is the duty UPROBE of a task that has hit a breakpoint. Its outcomes are: the
// instruction was emulated, is executed in a slot, has faulted, or is a SYSCALL that the
// user loop must execute. A task that was killed meanwhile gives up. It reports false for
// another task, for the ordinary outcomes of a duty.
func (t *Task) serveUprobe() bool {
	switch {
	case t.killed:
		t.killed = false
		if t.requested {
			t.requested = false
			t.note(Withdrawn, 0)
			t.release(t.CancelCall)
		} else {
			t.release(t.Release)
		}
		t.leave()
		return true
	case !t.hit:
		return false
	}
	t.hit = false
	switch t.choose(4) {
	case 0: // emulated
		t.frame.RIP, t.want.rip = afterProbed, afterProbed
	case 1: // in a slot
		t.frame.RIP, t.want.rip = slot, slot
		t.Hold()
	case 2: // a fault
		t.raise(entry.SigPending)
	case 3:
		t.requested = true
		t.recorded, t.servedBefore = true, t.recorder.Served()
		t.note(Requested, 0)
		t.RequestCall(afterProbed)
		t.frame.RAX = 0
		t.want = registers{afterProbed, afterProbed, flagsAtCall, flagsAtCall}
	case 4:
		t.leave()
	}
	return true
}
