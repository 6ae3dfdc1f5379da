package entry

import (
	"fmt"

	"slowpath/arch/amd64"
)

// syscall executes a system call on the slow path: first the duties of the
// entry, then the call unless one of them skipped it, then the duties of the
// exit. It returns the served duties.
//
// RAX is -ENOSYS until a duty or the call sets it, as tracers expect (ptrace(2)).
// A paired duty sees the exit exactly if it saw the entry, even if the call does
// not return, or if a handler or the call panics (closePairs). syscall panics if a
// paired duty did not see the exit. The panic ends the task.
func (t *Table[T]) syscall(task T, s *Thread, call func(T, *Thread)) (served Flag) {
	f := s.Frame
	f.Settle()
	f.RAX = NoCall
	s.Call.load(f)
	s.entered = 0
	verdict := t.enter(task, s)
	if verdict == Proceed {
		begin := s.clock()
		call(task, s)
		s.step(0, begin)
	}
	entered := s.entered
	left := t.leave(task, s, verdict)
	if s.entered&t.paired != 0 {
		panic(fmt.Sprintf("entry: %v saw the entry of system call %d and not its exit", s.entered&t.paired, s.Call.NR))
	}
	return entered | left
}

// closePairs serves the exit of the paired duties that saw the entry but not the
// exit. There are such duties only if the call or a handler panicked. Run defers it.
func (t *Table[T]) closePairs(task T, s *Thread) {
	open := s.entered & t.paired & t.exit
	if open == 0 {
		return
	}
	s.Frame.Flags |= amd64.CallOver
	for i := len(t.rows) - 1; i >= 0; i-- {
		if r := &t.rows[i]; open&r.Duty.Flag != 0 {
			t.exitOf(task, s, r)
		}
	}
}

// syscallExit serves the duties of the exit of a call that began on the fast
// path. No duty saw its entry. A tracer that attached during the call sees its
// exit. If the exit was already served, it does nothing. It returns the served
// duties.
func (t *Table[T]) syscallExit(task T, s *Thread) (served Flag) {
	if s.Frame.Flags&amd64.CallOver != 0 {
		return 0
	}
	s.entered = 0
	if Pending(&s.Frame.ThreadFlags)&t.unpairedExit() != 0 {
		s.Call.load(s.Frame)
	}
	return t.leave(task, s, Proceed)
}

// enter serves the duties of the entry, top to bottom. It stops after the first
// duty that skips the call.
func (t *Table[T]) enter(task T, s *Thread) (verdict Verdict) {
	f := s.Frame
	if Pending(&f.ThreadFlags)&t.entry == 0 {
		return Proceed
	}
	for _, r := range t.entries {
		if !r.owed(&f.ThreadFlags) {
			continue
		}
		s.entered |= r.Duty.Flag
		begin := s.clock()
		verdict = r.Entry(task, &s.Call)
		s.Call.load(f)
		s.step(r.Duty.Flag, begin)
		if verdict != Proceed {
			break
		}
	}
	return verdict
}

// leave serves the duties of the exit, bottom to top, and returns the served
// ones. verdict is that of the entry.
func (t *Table[T]) leave(task T, s *Thread, verdict Verdict) (left Flag) {
	f := s.Frame
	f.Flags |= amd64.CallOver
	if (Pending(&f.ThreadFlags)|s.entered)&t.exit == 0 {
		return 0
	}
	for _, r := range t.exits {
		due := r.owed(&f.ThreadFlags) && !s.exiting && verdict != RollBack
		if r.Paired {
			due = s.entered&r.Duty.Flag != 0
		}
		if due {
			left |= r.Duty.Flag
			t.exitOf(task, s, r)
		}
	}
	return left
}

// exitOf runs the exit handler of a row. It closes the pair first, because
// closePairs must not run the handler again if it panics.
func (t *Table[T]) exitOf(task T, s *Thread, r *row[T]) {
	s.Frame.Settle()
	s.entered &^= r.Duty.Flag
	begin := s.clock()
	r.Exit(task, &s.Call)
	s.step(r.Duty.Flag, begin)
}
