package entry

import (
	"math/bits"

	"slowpath/arch/amd64"
)

// maxRounds is the maximum number of passes of the loop before user mode. More
// than one pass is needed if duties are raised while others are served. A program
// cannot cause that many. The limit is only reached if a handler raises its own
// duty, which is a bug.
const maxRounds = 10000

// exitToUser is the loop before user mode. It serves duties until none is set or
// the task is exiting, and returns the served duties. LastTest tests the flags
// again with interrupts off.
//
// If duties are still set after maxRounds passes, it returns them as stuck. The
// caller reports them and ends the task.
func (t *Table[T]) exitToUser(task T, s *Thread) (served, stuck Flag) {
	flags := &s.Frame.ThreadFlags
	owed := Pending(flags) & t.before
	if owed == 0 {
		return 0, 0
	}
	if owed&(owed-1) != 0 {
		return t.rounds(task, s, 0)
	}
	// A single duty needs no order and no claim: only the task clears its flag.
	Lower(flags, owed)
	if r := t.byBit[bits.TrailingZeros32(uint32(owed))]; r.Frame || Pending(flags)&RecordExits != 0 {
		t.serve(r, task, s)
	} else {
		r.Handlers.BeforeUser(task) // serve, with fewer instructions
	}
	if Pending(flags)&t.before == 0 {
		return owed, 0
	}
	return t.rounds(task, s, owed)
}

// rounds makes passes over the duties of the loop until a pass finds none.
// before is the set of duties that were served before the first pass.
func (t *Table[T]) rounds(task T, s *Thread, before Flag) (served, stuck Flag) {
	served = before
	for range maxRounds {
		if served != 0 && s.exiting {
			return served, 0
		}
		now := t.round(task, s)
		if now == 0 {
			return served, 0
		}
		served |= now
	}
	return served, Pending(&s.Frame.ThreadFlags) & t.before
}

// round makes one pass over the duties of the loop and returns the served ones.
func (t *Table[T]) round(task T, s *Thread) (served Flag) {
	for _, r := range t.loop {
		if r.owed(&s.Frame.ThreadFlags) && Claim(&s.Frame.ThreadFlags, r.Duty.Flag) {
			t.serve(r, task, s)
			served |= r.Duty.Flag
		}
	}
	return served
}

// serve runs the row's handler of the stage BeforeUser. It completes the frame
// first if the handler needs it.
func (t *Table[T]) serve(r *row[T], task T, s *Thread) {
	begin := s.clock()
	if r.Frame {
		s.Frame.Settle()
		r.BeforeUserFrame(task, s.Frame)
	} else {
		r.BeforeUser(task)
	}
	if begin != 0 {
		s.step(r.Duty.Flag, begin)
	}
}

// LastTest decides whether the task can enter user mode, and by which exit
// instruction. EnterUser calls it with interrupts off. (EnterUser skips the call
// for two common cases in which no flag is set.) LastTest serves the duties of
// the last step once. They cannot be raised again before user mode, because
// interrupts are off.
//
// While CallOver is not set, the exit of a call may still be pending. A duty of the
// exit that was raised during the call then keeps the task in the kernel, unless it is
// paired: it did not see the entry, or the fast path has served its exit. After the
// exit, only the duties of the loop do so. The remaining flags are levels, which the
// next call serves.
//
//go:nosplit
func (t *Table[T]) LastTest(f *amd64.Frame) amd64.Exit {
	flags := Pending(&f.ThreadFlags)
	if f.Flags&amd64.CallOver == 0 && (flags&t.unpairedExit() != 0 || f.Stepping()) || flags&t.before != 0 {
		return amd64.Stay
	}
	if flags&t.last != 0 {
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
