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

// MinStackSize is MINSIGSTKSZ, the size in bytes of the smallest alternate stack
// that sigaltstack(2) accepts. A signal frame may be larger: AT_MINSIGSTKSZ is its
// size (getauxval(3)).
const MinStackSize = 2048

// AltStack is an alternate signal stack (sigaltstack(2)). The zero value stands for
// no alternate stack, as a new program has it.
type AltStack struct {
	Base uint64 // lowest user address
	Size uint64 // bytes
	// Flags are those of the last sigaltstack(2). Only SS_AUTODISARM has a meaning;
	// a signal frame has all of them.
	Flags uint32
}

// Stack returns the stack_t of sigaltstack(2). rsp is the user's stack pointer.
func (a *AltStack) Stack(rsp uint64) abi.Stack {
	return abi.Stack{SP: a.Base, Flags: a.Flags&SS_AUTODISARM | a.State(rsp), Size: a.Size}
}

// Saved returns the stack_t of a signal frame (Linux: __save_altstack).
func (a *AltStack) Saved() abi.Stack { return abi.Stack{SP: a.Base, Flags: a.Flags, Size: a.Size} }

// Reset removes the alternate stack (Linux: sas_ss_reset).
func (a *AltStack) Reset() { *a = AltStack{Flags: SS_DISABLE} }

// AltStackOf returns the alternate stack that a program's stack_t describes. Flags
// are not checked; Set checks them.
func AltStackOf(s *abi.Stack) AltStack {
	return AltStack{Base: s.SP, Size: s.Size, Flags: s.Flags}
}

// Holds reports whether the stack pointer rsp is on the alternate stack. The result
// is false for a stack with SS_AUTODISARM, so that a handler may switch to another
// stack and change the alternate stack.
func (a *AltStack) Holds(rsp uint64) bool {
	return a.Flags&SS_AUTODISARM == 0 && a.contains(rsp)
}

// contains reports whether rsp is in the stack's memory. Base does not count as in
// it, but the end does, because a stack is empty there (Linux: __on_sig_stack).
func (a *AltStack) contains(rsp uint64) bool { return rsp > a.Base && rsp-a.Base <= a.Size }

// State returns SS_DISABLE, SS_ONSTACK or 0, as in the ss_flags that sigaltstack(2)
// returns to a program with the stack pointer rsp.
func (a *AltStack) State(rsp uint64) uint32 {
	switch {
	case a.Size == 0:
		return SS_DISABLE
	case a.Holds(rsp):
		return SS_ONSTACK
	}
	return 0
}

// Set changes the alternate stack of a thread with the stack pointer rsp, as
// sigaltstack(2) does. Errors: EPERM if the thread runs on the alternate stack,
// EINVAL for unknown flags, ENOMEM if the new stack has less than minimum bytes.
func (a *AltStack) Set(next AltStack, rsp, minimum uint64) error {
	if a.Holds(rsp) {
		return unix.EPERM
	}
	mode := next.Flags &^ SS_AUTODISARM
	if mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE {
		return unix.EINVAL
	}
	if mode == SS_DISABLE {
		next.Base, next.Size = 0, 0
	} else if next.Size < minimum {
		return unix.ENOMEM
	}
	*a = next
	return nil
}
