package entry

import "slowpath/arch/amd64"

// Admission is what a duty that is served at the entry only knows in advance of a
// task's calls: for which of them its handler would return Proceed and have no effect.
// While the task owes no other duty, such calls are executed on the fast path. It is
// immutable.
type Admission struct {
	// Flag is the duty.
	Flag Flag
	// Calls has a bit for each number whose calls are all admitted.
	Calls [Calls / 64]uint64
	// Ask reports whether another call is admitted. It runs on the task's goroutine
	// with interrupts on, must not sleep or change anything, and reads of the frame
	// only RIP and the arguments.
	Ask func(f *amd64.Frame, nr uint32) bool
}

// Admit adds all calls with a number below Calls to those that are admitted.
func (a *Admission) Admit(nr uint32) { a.Calls[nr/64] |= 1 << (nr % 64) }

// SetAdmission sets the admission of the task, or nil. Any goroutine may call it. The
// task obeys it from its next call on.
func (s *Thread) SetAdmission(a *Admission) { s.admission.Store(a) }

// Admission returns the admission of the task, or nil. Any goroutine may call it.
func (s *Thread) Admission() *Admission { return s.admission.Load() }

// admits reports whether a call with a number below Calls may be executed on the fast
// path while flags are set.
func (s *Thread) admits(f *amd64.Frame, flags Flag, nr uint) bool {
	a := s.admission.Load()
	return a != nil && a.Flag == flags && (a.Calls[nr/64%(Calls/64)]>>(nr%64)&1 != 0 || a.Ask(f, uint32(nr)))
}
