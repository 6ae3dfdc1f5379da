package entry

import (
	"math/bits"

	"slowpath/arch/amd64"
)

// maxRounds bounds how often the loop before user mode repeats because duties
// are raised while others are served. It is far above what a program can cause.
// A task that reaches it has a handler that raises its own duty.
const maxRounds = 10000

// exitToUser serves the duties of the loop before user mode until none is set,
// or until the task is exiting. It returns the duties that it served. LastTest
// tests the flags once more, with interrupts off.
//
// If duties are raised again and again, the last ones are returned as stuck. The
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
	// A single duty needs no order. Nobody but the task clears its flag.
	Lower(flags, owed)
	t.serve(t.byBit[bits.TrailingZeros32(uint32(owed))], task, s)
	if Pending(flags)&t.before == 0 {
		return owed, 0
	}
	return t.rounds(task, s, owed)
}

// rounds makes passes over the duties of the loop until a pass finds none.
// before is what has been served already.
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

// round makes one pass over the duties of the loop and returns those that it
// served.
func (t *Table[T]) round(task T, s *Thread) (served Flag) {
	for _, r := range t.loop {
		if r.owed(&s.Frame.ThreadFlags) && Claim(&s.Frame.ThreadFlags, r.Duty.Flag) {
			t.serve(r, task, s)
			served |= r.Duty.Flag
		}
	}
	return served
}

// serve runs the row's handler before user mode: with the complete register
// frame if the row asks for it, else without any.
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

// LastTest is the last test before user mode: EnterUser calls it with
// interrupts off, unless no flag is set and no call is open. It serves the
// duties of the last step. Nothing can happen between them and user mode, so
// they are served once.
//
// While the exit of a call is owed (CallOver is not set), any flag keeps the
// task in the kernel, because it may be a duty of the exit that was raised
// during the call. Afterwards only the duties of the loop do. The other flags
// are levels, which wait for the next call.
//
//go:nosplit
func (t *Table[T]) LastTest(f *amd64.Frame) amd64.Exit {
	flags := Pending(&f.ThreadFlags)
	if f.Flags&amd64.CallOver == 0 && (flags&^t.last != 0 || f.Stepping()) || flags&t.before != 0 {
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
