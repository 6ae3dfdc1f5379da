package entry

import (
	"math/bits"

	"slowpath/arch/amd64"
)

// Syscall executes one system call that owes duties: those of its entry, the
// call unless one of them skipped it, those of its exit. call reads the number
// from OrigRAX, where a tracer may have put another one. RAX is -ENOSYS until
// somebody sets it, as every tracer expects (ptrace(2)).
//
// Which duties saw the entry is a local variable: so entry and exit pair by
// construction. done reports that the task leaves: a call that does not return
// has no exit to stop at, but what was begun is ended.
func (t *Table[T]) Syscall(task T, f *amd64.Frame, call func(T, *amd64.Frame), done func(T) bool) {
	f.Settle()
	f.RAX = noSuchCall
	entered, verdict := t.enter(task, f)
	if verdict == Proceed {
		begin := t.clock(f)
		call(task, f)
		t.step(task, 0, begin)
	}
	t.leave(task, f, entered, done)
}

// SyscallExit serves the exit of a call that owed nothing when it began, so
// that no entry was seen: a tracer that came during the call sees its end. If
// the exit was served already, nothing happens.
func (t *Table[T]) SyscallExit(task T, f *amd64.Frame, done func(T) bool) {
	if f.Flags&amd64.CallOver == 0 {
		t.leave(task, f, 0, done)
	}
}

// noSuchCall is -ENOSYS.
const noSuchCall = ^uint64(38) + 1

// enter serves the duties of the entry, top to bottom, and returns which there
// were. The first that skips the call is the last to look.
func (t *Table[T]) enter(task T, f *amd64.Frame) (entered Flag, verdict Verdict) {
	for i := range t.rows {
		r := &t.rows[i]
		if verdict == Skip || r.When&AtSyscallEntry == 0 || !r.owed(&f.Work) {
			continue
		}
		entered |= r.Duty.Flag
		begin := t.clock(f)
		verdict = r.Entry(task, f)
		t.step(task, r.Duty.Flag, begin)
	}
	t.served(task, entered)
	return entered, verdict
}

// leave serves the duties of the exit, bottom to top.
func (t *Table[T]) leave(task T, f *amd64.Frame, entered Flag, done func(T) bool) {
	left := Flag(0)
	for i := len(t.rows) - 1; i >= 0; i-- {
		r := &t.rows[i]
		if r.When&AtSyscallExit == 0 {
			continue
		}
		due := r.owed(&f.Work) && !done(task)
		if r.Paired {
			due = entered&r.Duty.Flag != 0
		}
		if !due {
			continue
		}
		f.Settle()
		left |= r.Duty.Flag
		begin := t.clock(f)
		r.Exit(task, f)
		t.step(task, r.Duty.Flag, begin)
	}
	f.Flags |= amd64.CallOver
	t.served(task, left)
}

// maxRounds bounds how often the loop before user mode goes round because
// duties came anew while others were served. It is far above what any program
// can cause in good order; a task that reaches it has a handler that raises
// its own duty.
const maxRounds = 10000

// ExitToUser serves the duties of the loop before user mode until none is
// left, and returns 0; or until done reports that the task leaves. EnterUser
// tests the word once more, with interrupts off.
//
// If duties come for ever, the last ones are returned: the caller names them
// and ends the task.
func (t *Table[T]) ExitToUser(task T, f *amd64.Frame, done func(T) bool) (stuck Flag) {
	for range maxRounds {
		owed := Pending(&f.Work) & t.before
		switch {
		case owed == 0:
			return 0
		case owed&(owed-1) == 0: // one duty: no order to keep
			t.claimAndServe(t.byBit[bits.TrailingZeros32(uint32(owed))], task, f)
		default:
			t.round(task, f)
		}
		if done(task) {
			return 0
		}
	}
	return Pending(&f.Work) & t.before
}

// round makes one pass over the duties of the loop.
func (t *Table[T]) round(task T, f *amd64.Frame) {
	for _, r := range t.loop {
		if r.owed(&f.Work) {
			t.claimAndServe(r, task, f)
		}
	}
}

// claimAndServe runs a handler of the loop, if its bit can be claimed.
func (t *Table[T]) claimAndServe(r *row[T], task T, f *amd64.Frame) {
	if !Claim(&f.Work, r.Duty.Flag) {
		return
	}
	if Pending(&f.Work)&RecordExits == 0 {
		r.serve(task, f)
	} else {
		begin := t.clock(f)
		r.serve(task, f)
		t.step(task, r.Duty.Flag, begin)
	}
	t.served(task, r.Duty.Flag)
}

// serve runs the row's handler of the loop.
func (r *row[T]) serve(task T, f *amd64.Frame) {
	if !r.Frame {
		r.Work(task)
		return
	}
	f.Settle()
	r.WorkFrame(task, f)
}

// Last serves the duties of the last step: EnterUser calls it, with interrupts
// off until user mode, so each duty is served once and for all.
//
//go:nosplit
func (t *Table[T]) Last(f *amd64.Frame) {
	for i := range t.rows {
		r := &t.rows[i]
		if r.When&LastStep != 0 && f.Work.And(^uint32(r.Duty.Flag))&uint32(r.Duty.Flag) != 0 {
			r.Handlers.Last(f)
		}
	}
}
