package signal

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
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

// StackSize is the size of a stack_t in bytes.
const StackSize = 24

// Encode writes the stack_t with the given flags.
func (a *AltStack) Encode(dst []byte, flags uint32) {
	_ = dst[StackSize-1]
	binary.LittleEndian.PutUint64(dst[0:], a.Base)
	binary.LittleEndian.PutUint32(dst[8:], flags)
	binary.LittleEndian.PutUint32(dst[12:], 0)
	binary.LittleEndian.PutUint64(dst[16:], a.Size)
}

// DecodeStack reads a stack_t of StackSize bytes.
func DecodeStack(src []byte) AltStack {
	_ = src[StackSize-1]
	return AltStack{
		Base:  binary.LittleEndian.Uint64(src[0:]),
		Flags: binary.LittleEndian.Uint32(src[8:]),
		Size:  binary.LittleEndian.Uint64(src[16:]),
	}
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
