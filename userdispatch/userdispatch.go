// Package userdispatch is syscall user dispatch (prctl(2),
// PR_SET_SYSCALL_USER_DISPATCH): a thread whose system calls from outside of a range of
// addresses become SIGSYS, so that a program can emulate another system's calls. A byte
// of user memory, the selector, switches it on and off without a system call.
//
// Its duty is the first at the entry that may skip a call, because the call has the ABI
// of another system: no tracer and no filter sees it. It is a level that is set while
// the dispatch is on. A new thread or process begins without it, and execve(2) ends it.
package userdispatch

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task"
)

// Modes of PR_SET_SYSCALL_USER_DISPATCH.
const (
	Off = 0
	On  = 1
)

// Values of the selector.
const (
	selectAllow = 0
	selectBlock = 1
)

// Config is the dispatch of a thread (PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG).
type Config struct {
	Mode     uint64 // Off or On
	Selector uint64 // user address of the selector, or 0 for none
	// Calls from the Length bytes at Offset are allowed.
	Offset, Length uint64
}

// state is the part of a task. Only its own goroutine changes it, or its tracer while
// it is stopped.
type state struct {
	on                       atomic.Bool
	selector, offset, length uint64

	peek mm.Peek // of the selector; the task itself renews it
}

// Register adds the subsystem to a kernel. It must be called before the first task is
// made.
func Register(k *task.Kernel) {
	task.NewSlot[state](k)
	k.Register(task.Subsystem{
		Name:      "syscall user dispatch",
		Exec:      func(t *task.Task, _ *task.Execution) { of(t).on.Store(false) },
		Levels:    levels,
		Admission: func(t *task.Task) *entry.Admission { return newAdmission(of(t)) },
	})
}

// of returns the state of a task, nil if the subsystem is not registered.
func of(t *task.Task) *state { return task.SlotOf[state](t) }

func levels(t *task.Task) entry.Flag {
	if of(t).on.Load() {
		return entry.UserDispatch
	}
	return 0
}

// Handlers returns the handlers of the duty SYSCALL_USER_DISPATCH.
func Handlers() entry.Handlers[*task.Task] {
	return entry.Handlers[*task.Task]{Flag: entry.UserDispatch, Entry: enter}
}

// Set is PR_SET_SYSCALL_USER_DISPATCH, for the caller itself or for its stopped tracee.
// Errors: EINVAL for an unknown mode, for arguments with mode Off and for an empty or
// overflowing range that does not begin at 0, EFAULT for a selector outside of user
// memory.
func Set(t *task.Task, c Config) error {
	s := of(t)
	switch {
	case s == nil, c.Mode > On,
		c.Mode == Off && c.Offset|c.Length|c.Selector != 0,
		c.Mode == On && c.Offset != 0 && c.Offset+c.Length <= c.Offset:
		return unix.EINVAL
	case c.Selector >= amd64.UserLimit:
		return unix.EFAULT
	}
	s.selector, s.offset, s.length, s.peek = c.Selector, c.Offset, c.Length, mm.Peek{}
	s.on.Store(c.Mode == On)
	t.UpdateLevels()
	return nil
}

// Get returns the dispatch of the caller or of its stopped tracee.
func Get(t *task.Task) Config {
	s := of(t)
	if s == nil {
		return Config{}
	}
	c := Config{Selector: s.selector, Offset: s.offset, Length: s.length}
	if s.on.Load() {
		c.Mode = On
	}
	return c
}

// newAdmission returns the admission of the dispatch: calls that are allowed by their
// address, and those that are allowed by a selector that can be read without a page
// fault. Ask is a function literal, because a method value would be one call more, and
// newAdmission is not inlined, because Read would not be inlined into Ask then.
//
//go:noinline
func newAdmission(s *state) *entry.Admission {
	ask := func(f *amd64.Frame, _ uint32) bool {
		if f.RIP-s.offset < s.length {
			return true
		}
		selector, ok := s.peek.Read()
		return ok && selector == selectAllow
	}
	return &entry.Admission{Flag: entry.UserDispatch, Ask: ask, Ask32: ask}
}

// isSignalReturn reports whether a call is that by which a signal handler of a 32-bit program
// returns through the vDSO. It is always allowed (Linux: arch_syscall_is_vdso_sigreturn).
func isSignalReturn(t *task.Task, rip uint64) bool {
	// The offsets of the instructions after INT 0x80 in the two functions.
	const afterSigReturn, afterRTSigReturn = 8, 7
	p := t.Program()
	if p == nil || p.VDSO.SigReturn == 0 {
		return false
	}
	return rip == p.VDSO.SigReturn+afterSigReturn || rip == p.VDSO.RTSigReturn+afterRTSigReturn
}

// readSelector reads the selector, and prepares the next reads. Error: EFAULT.
func (s *state) readSelector(t *task.Task) (byte, error) {
	if selector, ok := s.peek.Read(); ok {
		return selector, nil
	}
	var selector [1]byte
	if err := t.CopyIn(s.selector, selector[:]); err != nil {
		return 0, err
	}
	s.peek, _ = t.MM.PeekAt(s.selector) // without it the next call reads it by CopyIn again
	return selector[0], nil
}

// enter is the handler of the entry (Linux: syscall_user_dispatch).
func enter(t *task.Task, c *entry.Call) entry.Verdict {
	s, f := of(t), t.Frame
	if f.RIP-s.offset < s.length {
		return entry.Proceed
	}
	if isSignalReturn(t, f.RIP) {
		return entry.Proceed
	}
	if s.selector != 0 {
		selector, err := s.readSelector(t)
		if err != nil {
			t.ForceFatal(unix.SIGSEGV)
			return entry.Skip
		}
		switch selector {
		case selectAllow:
			return entry.Proceed
		case selectBlock:
		default:
			t.ForceFatal(unix.SIGSYS)
			return entry.Skip
		}
	}
	f.RAX = f.OrigRAX // the handler sees the registers before the call
	t.ForceSignal(signal.SyscallInfo(signal.SYS_USER_DISPATCH, 0, f.RIP, c.NR, c.ABI.AuditArch()))
	return entry.RollBack
}
