package signal

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// The flags of a stack_t (sigaltstack(2)).
const (
	SS_ONSTACK    = 1
	SS_DISABLE    = 2
	SS_AUTODISARM = 1 << 31
)

// MinStackSize is MINSIGSTKSZ, the smallest alternate stack that
// sigaltstack(2) accepts, in bytes. A program that wants to know how much a
// frame really takes reads AT_MINSIGSTKSZ (getauxval(3)).
const MinStackSize = 2048

// AltStack is an alternate signal stack: a stack_t. Of its flags only
// SS_AUTODISARM is kept; the others follow from Size and from the stack
// pointer. The zero value is no alternate stack.
type AltStack struct {
	Base  uint64
	Size  uint64
	Flags uint32
}

// Stack returns the stack_t that the user reads while the stack pointer is rsp.
func (a *AltStack) Stack(rsp uint64) abi.Stack {
	return abi.Stack{SP: a.Base, Flags: a.Flags | a.State(rsp), Size: a.Size}
}

// AltStackOf returns the alternate stack that a program's stack_t describes.
// Flags are those of the program; Set checks them.
func AltStackOf(s *abi.Stack) AltStack {
	return AltStack{Base: s.SP, Size: s.Size, Flags: s.Flags}
}

// Holds reports whether the stack pointer rsp is on the alternate stack. A
// stack that is disarmed while a handler runs on it is never reported, so the
// handler may switch away and the stack be used again.
func (a *AltStack) Holds(rsp uint64) bool {
	return a.Flags&SS_AUTODISARM == 0 && a.contains(rsp)
}

// contains is Linux's __on_sig_stack: the lowest address is not on the stack,
// its end is.
func (a *AltStack) contains(rsp uint64) bool { return rsp > a.Base && rsp-a.Base <= a.Size }

// State returns the flags that the user reads: where rsp stands.
func (a *AltStack) State(rsp uint64) uint32 {
	switch {
	case a.Size == 0:
		return SS_DISABLE
	case a.Holds(rsp):
		return SS_ONSTACK
	}
	return 0
}

// Set changes the alternate stack of a task whose stack pointer is rsp, by the
// rules of sigaltstack(2): EPERM while on it, EINVAL for unknown flags, ENOMEM
// for one smaller than minimum bytes.
func (a *AltStack) Set(next AltStack, rsp, minimum uint64) error {
	if a.Holds(rsp) {
		return unix.EPERM
	}
	mode := next.Flags &^ SS_AUTODISARM
	if mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE {
		return unix.EINVAL
	}
	next.Flags &= SS_AUTODISARM
	if mode == SS_DISABLE {
		next.Base, next.Size = 0, 0
	} else if next.Size < minimum {
		return unix.ENOMEM
	}
	*a = next
	return nil
}
