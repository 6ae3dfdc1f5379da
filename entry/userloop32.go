package entry

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// int80Event is the result of EnterUser for INT 0x80.
const int80Event = ^amd64.Int80

// fast32 is the fast path for calls by SYSCALL of the 32-bit vDSO. It alternates between user
// mode and such calls while the task owes no duty, and returns the first other event, which
// may be the one that it was called for.
//
// A call with at most five arguments leaves the frame incomplete, as a call of x86-64 does.
// completeCall32 completes it before anybody looks at it.
func (l *Loop[T]) fast32(f *amd64.Frame, t T, event int) (next int) {
	user := l.entrance
	nr := uint(event) ^ amd64.Event32
	for nr < Calls { // several tests, because each takes fewer instructions than one
		if f.ThreadFlags.Load() != 0 {
			break
		}
		if !f.CalledByVDSO32() {
			break
		}
		handler := l.bare32[nr]
		if handler == nil {
			c := &l.calls32[nr]
			if c.needsFrame() {
				break
			}
			f.LoadRegisterArgs32()
			handler = c.Handler
		}
		f.RIP += amd64.Int80Size
		result, err := handler(t, f.LoadedArgs32())
		if err != nil {
			f.RAX = Failure(err)
		} else {
			f.RAX = result
		}
		nr = uint(user.enter(f)) ^ amd64.Event32
	}
	return int(nr ^ amd64.Event32)
}

// fast80 is fast32 for calls by INT 0x80, whose frame is always complete.
func (l *Loop[T]) fast80(f *amd64.Frame, t T, event int) (next int) {
	user := l.entrance
	for event == int80Event && f.ThreadFlags.Load() == 0 {
		c := &l.calls32[min(f.BeginInt80(), noNumber)]
		if c.Arguments != 0 {
			f.LoadArgs32()
		}
		result, err := c.Handler(t, f.LoadedArgs32())
		if err != nil {
			f.RAX = Failure(err)
		} else {
			f.RAX = result
		}
		event = user.enter(f)
	}
	return event
}

// callsOf32 handles an event of the ABI I386, and all others that follow. It returns the first
// event that is none. slow is set for a call of the slow path, whose event has
// amd64.Event32.
func (l *Loop[T]) callsOf32(f *amd64.Frame, t T, event int) (next int, slow bool) {
	for {
		switch {
		case event >= amd64.Event32:
			if event = l.fast32(f, t, event); event < amd64.Event32 {
				continue
			}
			if needed := f.BeginCall32(); !l.call32(t, f, needed) {
				return event, true
			}
		case event == int80Event:
			if event = l.fast80(f, t, event); event != int80Event {
				continue
			}
			if nr := f.BeginInt80(); !l.call32(t, f, false) {
				return amd64.Event32 | int(nr), true
			}
		default:
			return event, false
		}
		event = l.entrance.enter(f)
	}
}

// call32 executes the call of a frame that is complete, but for EBP after SYSCALL or SYSENTER.
// needed is set if EBP must be completed first. It reports false, without an effect on the
// program, for a call of the slow path.
//
// Completing EBP may sleep. So it comes before the first test of the flags, as on Linux
// (do_fast_syscall_32): a duty that is raised meanwhile is served.
func (l *Loop[T]) call32(t T, f *amd64.Frame, needed bool) bool {
	nr := min(uint(f.OrigRAX), noNumber)
	if (needed || l.calls32[nr].Arguments > 5) && !completeCall32(t, f) {
		refuse32(f)
		return true
	}
	if f.ThreadFlags.Load() == 0 {
		l.execute32(t, f, nr)
		return true
	}
	return uint(f.OrigRAX) < Calls && l.flagged32(t, f, nr)
}

// flagged32 is flagged for one call of the ABI I386. Unlike a call of X86_64, one that is
// observed always has its exit observed too, because the handlers are those of the slow path.
func (l *Loop[T]) flagged32(t T, f *amd64.Frame, nr uint) bool {
	s := t.thread()
	if a := s.admission.Load(); a != nil && a.Flag == Pending(&f.ThreadFlags) && a.lists32(nr) {
		l.execute32(t, f, nr)
		return true
	}
	if !completeCall32(t, f) {
		refuse32(f)
		return true
	}
	flags := Pending(&f.ThreadFlags)
	if a := s.admission.Load(); a != nil && a.Flag == flags && a.admits32(f, nr) {
		l.execute32(t, f, nr)
		return true
	}
	if flags&l.unobserved != 0 {
		return false
	}
	f.RAX = NoCall
	l.duties.watch32(t, s)
	l.execute32(t, f, nr)
	l.duties.unwatch(t, s)
	return true
}

// watch32 is watch for a call of the ABI I386, from the first row on.
func (t *Table[T]) watch32(task T, s *Thread) {
	s.LoadCall()
	for r := t.firstObserver; r != nil; r = r.next {
		if !r.owed(&s.Frame.ThreadFlags) {
			continue
		}
		s.entered |= r.Duty.Flag
		s.fast.count(r.Duty.Flag, r.number)
		r.Entry(task, &s.Call)
	}
}

// execute32 executes the call at an index of calls32.
func (l *Loop[T]) execute32(t T, f *amd64.Frame, nr uint) {
	f.LoadArgs32()
	result, err := l.calls32[nr].Handler(t, f.LoadedArgs32())
	if err != nil {
		result = Failure(err)
	}
	f.RAX = result
}

// noNumber is the index of an entry of Dispatch32 without a call.
const noNumber = Calls - 1

// setCalls32 sets the calls of the ABI I386. Every entry gets a handler.
func (l *Loop[T]) setCalls32(calls *Dispatch32[T]) {
	if calls != nil {
		l.calls32 = *calls
	}
	for i := range l.calls32 {
		c := &l.calls32[i]
		if c.Handler == nil {
			c.Handler = func(T, *Args) (uint64, error) { return NoCall, nil }
		}
		if c.Arguments == 0 && !c.Frame {
			l.bare32[i] = c.Handler
		}
	}
}

// refuse32 ends a call that cannot begin, because the word on the stack cannot be read. It
// has no entry and no exit (Linux: do_fast_syscall_32).
func refuse32(f *amd64.Frame) {
	f.RAX = Failure(unix.EFAULT)
	f.Flags |= amd64.CallOver
}

// completeCall32 completes the frame in or after a call by SYSCALL or SYSENTER in 32-bit code:
// it reads the word on the stack. It reports whether that could be read. For another frame it
// does nothing.
func completeCall32[T Task](t T, f *amd64.Frame) bool {
	address, owed := f.CallWordOwed()
	if !owed {
		return true
	}
	word, ok := t.ReadWord(address)
	if !ok {
		f.DropCallWord()
		return false
	}
	f.SetCallWord(word)
	return true
}
