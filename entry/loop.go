package entry

import (
	"fmt"
	"math/bits"

	"slowpath/arch/amd64"
)

// Syscall executes one system call that owes duties: those of its entry, the
// call unless one of them skipped it, those of its exit. call reads the number
// from OrigRAX, where a tracer may have put another one. RAX is -ENOSYS until
// somebody sets it, as every tracer expects (ptrace(2)).
//
// Which duties saw the entry is a local variable: so entry and exit pair by
// construction, and Syscall panics if they do not: that ends the task. done
// reports that the task leaves: a call that does not return has no exit to stop
// at, but what was begun is ended. Syscall returns what it served.
func (t *Table[T]) Syscall(task T, f *amd64.Frame, call func(T, *amd64.Frame), done func(T) bool) (served Flag) {
	f.Settle()
	f.RAX = noSuchCall
	entered, verdict := t.enter(task, f)
	if verdict == Proceed {
		begin := t.clock(f)
		call(task, f)
		t.step(task, 0, begin)
	}
	left := t.leave(task, f, entered, done)
	if unpaired := (entered ^ left) & t.paired; unpaired != 0 {
		panic(fmt.Sprintf("entry: %v saw one end of system call %d and not the other", unpaired, int32(f.OrigRAX)))
	}
	return entered | left
}

// SyscallExit serves the exit of a call that owed nothing when it began, so
// that no entry was seen: a tracer that came during the call sees its end. If
// the exit was served already, nothing happens. It returns what it served.
func (t *Table[T]) SyscallExit(task T, f *amd64.Frame, done func(T) bool) (served Flag) {
	if f.Flags&amd64.CallOver != 0 {
		return 0
	}
	return t.leave(task, f, 0, done)
}

// noSuchCall is -ENOSYS.
const noSuchCall = ^uint64(38) + 1

// enter serves the duties of the entry, top to bottom, and returns which there
// were. The first that skips the call is the last to look.
func (t *Table[T]) enter(task T, f *amd64.Frame) (entered Flag, verdict Verdict) {
	if Pending(&f.ThreadFlags)&t.entry == 0 {
		return 0, Proceed
	}
	for i := range t.rows {
		r := &t.rows[i]
		if verdict == Skip || r.When&AtSyscallEntry == 0 || !r.owed(&f.ThreadFlags) {
			continue
		}
		entered |= r.Duty.Flag
		begin := t.clock(f)
		verdict = r.Entry(task, f)
		t.step(task, r.Duty.Flag, begin)
	}
	return entered, verdict
}

// leave serves the duties of the exit, bottom to top, and returns which.
func (t *Table[T]) leave(task T, f *amd64.Frame, entered Flag, done func(T) bool) (left Flag) {
	f.Flags |= amd64.CallOver
	if (Pending(&f.ThreadFlags)|entered)&t.exit == 0 {
		return 0
	}
	for i := len(t.rows) - 1; i >= 0; i-- {
		r := &t.rows[i]
		if r.When&AtSyscallExit == 0 {
			continue
		}
		due := r.owed(&f.ThreadFlags) && !done(task)
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
	return left
}

// maxRounds bounds how often the loop before user mode goes round because
// duties came anew while others were served. It is far above what any program
// can cause in good order; a task that reaches it has a handler that raises
// its own duty.
const maxRounds = 10000

// ExitToUser serves the duties of the loop before user mode until none is left,
// or until duties are left but done reports that the task leaves. It returns
// what it served. LastTest looks at the word once more, with interrupts off.
//
// If duties come for ever, the last ones are returned as stuck: the caller
// names them and ends the task.
func (t *Table[T]) ExitToUser(task T, f *amd64.Frame, done func(T) bool) (served, stuck Flag) {
	owed := Pending(&f.ThreadFlags) & t.before
	if owed == 0 {
		return 0, 0
	}
	if owed&(owed-1) == 0 { // one duty: no order to keep
		if Claim(&f.ThreadFlags, owed) {
			t.serve(t.byBit[bits.TrailingZeros32(uint32(owed))], task, f)
			served = owed
		}
		if Pending(&f.ThreadFlags)&t.before == 0 {
			return served, 0
		}
	}
	return t.rounds(task, f, served, done)
}

// rounds is ExitToUser for several duties, or after some were served.
func (t *Table[T]) rounds(task T, f *amd64.Frame, before Flag, done func(T) bool) (served, stuck Flag) {
	served = before
	for range maxRounds {
		if Pending(&f.ThreadFlags)&t.before == 0 || served != 0 && done(task) {
			return served, 0
		}
		served |= t.round(task, f)
	}
	return served, Pending(&f.ThreadFlags) & t.before
}

// round makes one pass over the duties of the loop, and returns those that it
// served.
func (t *Table[T]) round(task T, f *amd64.Frame) (served Flag) {
	for _, r := range t.loop {
		if r.owed(&f.ThreadFlags) && Claim(&f.ThreadFlags, r.Duty.Flag) {
			t.serve(r, task, f)
			served |= r.Duty.Flag
		}
	}
	return served
}

// serve runs the row's handler of the loop, which of the two ways it goes.
func (t *Table[T]) serve(r *row[T], task T, f *amd64.Frame) {
	begin := t.clock(f)
	if r.Frame {
		f.Settle()
		r.WorkFrame(task, f)
	} else {
		r.Work(task)
	}
	if begin != 0 {
		t.step(task, r.Duty.Flag, begin)
	}
}

// LastTest is the last look at a frame before user mode: EnterUser calls it
// with interrupts off, unless no duty is set and no call is open. It serves the
// duties of the last step, each once and for all, as nothing can come between.
//
// While a call's exit is owed (CallOver is not set) any duty keeps the task in
// the kernel: it may be one of the exit, which came during the call. Later only
// those of the loop do; what else is set are levels, which wait for the next
// call.
//
//go:nosplit
func (t *Table[T]) LastTest(f *amd64.Frame) amd64.Exit {
	work := Pending(&f.ThreadFlags)
	if f.Flags&amd64.CallOver == 0 && (work&^t.last != 0 || f.Stepping()) || work&t.before != 0 {
		return amd64.Stay
	}
	if work&t.last != 0 {
		t.lastStep(f)
	}
	return f.Exit()
}

// lastStep serves the duties of the last step.
//
//go:nosplit
func (t *Table[T]) lastStep(f *amd64.Frame) {
	for i := range t.rows {
		r := &t.rows[i]
		if r.When&LastStep != 0 && f.ThreadFlags.And(^uint32(r.Duty.Flag))&uint32(r.Duty.Flag) != 0 {
			r.Last(f)
		}
	}
}
