package entry

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// int80Event is the result of EnterUser for INT 0x80.
const int80Event = ^amd64.Int80

// fast32 begins a call of the ABI I386. If the task owes no duty, it executes the call and
// returns handled. Otherwise it returns the event for slow, which has amd64.Event32.
func (l *Loop[T]) fast32(f *amd64.Frame, s *Thread, t T, event int) int {
	needed := false // the word on the stack
	if event == int80Event {
		f.BeginInt80()
	} else {
		_, needed = f.BeginCall32()
	}
	nr := uint(f.OrigRAX)
	event = amd64.Event32 | int(nr)
	if f.ThreadFlags.Load() != 0 {
		return event
	}
	c := &l.calls32[min(nr, noNumber)]
	if (needed || c.Arguments == maxArguments) && !takeCallWord(t, f) {
		refuse32(f)
		return handled
	}
	a := &s.args32
	f.Args32(a)
	result, err := c.Handler(t, a)
	if err != nil {
		result = failure(err)
	}
	f.RAX = result
	return handled
}

// maxArguments is the number of arguments of a call that has the word on the stack as its
// last.
const maxArguments = uint8(len(Args{}))

// noNumber is the index of an entry of Dispatch32 without a call.
const noNumber = Calls - 1

// complete returns the table with a handler in every entry.
func complete[T any](calls *Dispatch32[T]) (all Dispatch32[T]) {
	if calls != nil {
		all = *calls
	}
	for i := range all {
		if all[i].Handler == nil {
			all[i].Handler = func(T, *Args) (uint64, error) { return NoCall, nil }
		}
	}
	return all
}

// refuse32 ends a call that cannot begin, because the word on the stack cannot be read. It
// has no entry and no exit (Linux: do_fast_syscall_32).
func refuse32(f *amd64.Frame) {
	f.RAX = failure(unix.EFAULT)
	f.Flags |= amd64.CallOver
}

// takeCallWord reads the word on the stack that a call by SYSCALL or SYSENTER in 32-bit code
// owes, and reports whether it could be read (see amd64.BeginCall32).
func takeCallWord[T Task](t T, f *amd64.Frame) bool {
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
