package entry

import "slowpath/arch/amd64"

// Admission is what a duty knows in advance of a task's calls: for which of them its
// handler of the entry would return Proceed and have no effect. While the task owes no
// other duty, such calls are executed on the fast path. A paired duty sees neither the
// entry nor the exit of a call that it admits; another duty of the exit has no admission. It
// is immutable.
type Admission struct {
	// Flag is the duty, or the duties of a joined admission.
	Flag Flag
	// Calls has a bit for each number whose calls of the ABI X86_64 are all admitted, and
	// Calls32 has those of the ABI I386.
	Calls, Calls32 [Calls / 64]uint64
	// Ask reports whether another call of the ABI X86_64 is admitted; nil admits no other. It
	// runs on the task's goroutine with interrupts on, must not sleep or change anything, and
	// reads of the frame only RIP and the arguments.
	Ask func(f *amd64.Frame, nr uint32) bool
	// Ask32 is Ask for the ABI I386. The frame has all arguments (Frame.Args32).
	Ask32 func(f *amd64.Frame, nr uint32) bool
}

// Admit adds all calls of the ABI X86_64 with a number below Calls to those that are admitted.
func (a *Admission) Admit(nr uint32) { a.Calls[nr/64] |= 1 << (nr % 64) }

// Admit32 is Admit for the ABI I386.
func (a *Admission) Admit32(nr uint32) { a.Calls32[nr/64] |= 1 << (nr % 64) }

// Join returns the admission for the duties of both: of the calls that both admit.
func (a *Admission) Join(b *Admission) *Admission {
	joined := &Admission{Flag: a.Flag | b.Flag}
	for i := range joined.Calls {
		joined.Calls[i] = a.Calls[i] & b.Calls[i]
		joined.Calls32[i] = a.Calls32[i] & b.Calls32[i]
	}
	if a.Ask != nil || b.Ask != nil {
		joined.Ask = func(f *amd64.Frame, nr uint32) bool { return a.admits(f, uint(nr)) && b.admits(f, uint(nr)) }
	}
	if a.Ask32 != nil || b.Ask32 != nil {
		joined.Ask32 = func(f *amd64.Frame, nr uint32) bool { return a.admits32(f, uint(nr)) && b.admits32(f, uint(nr)) }
	}
	return joined
}

// admits reports whether a call with a number below Calls is admitted.
func (a *Admission) admits(f *amd64.Frame, nr uint) bool { return a.lists(nr) || a.asks(f, nr) }

// lists reports whether all calls with a number below Calls are admitted.
func (a *Admission) lists(nr uint) bool { return a.Calls[nr/64%(Calls/64)]>>(nr%64)&1 != 0 }

// asks reports whether Ask admits a call.
func (a *Admission) asks(f *amd64.Frame, nr uint) bool { return a.Ask != nil && a.Ask(f, uint32(nr)) }

// admits32 is admits for the ABI I386.
func (a *Admission) admits32(f *amd64.Frame, nr uint) bool { return a.lists32(nr) || a.asks32(f, nr) }

// lists32 is lists for the ABI I386.
func (a *Admission) lists32(nr uint) bool { return a.Calls32[nr/64%(Calls/64)]>>(nr%64)&1 != 0 }

// asks32 is asks for the ABI I386.
func (a *Admission) asks32(f *amd64.Frame, nr uint) bool {
	return a.Ask32 != nil && a.Ask32(f, uint32(nr))
}

// SetAdmission sets the admission of the task, or nil. Any goroutine may call it. The
// task obeys it from its next call on.
func (s *Thread) SetAdmission(a *Admission) { s.admission.Store(a) }

// Admission returns the admission of the task, or nil. Any goroutine may call it.
func (s *Thread) Admission() *Admission { return s.admission.Load() }
