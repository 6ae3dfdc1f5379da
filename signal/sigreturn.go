package signal

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// Restored is what a signal frame brings back besides the registers.
type Restored struct {
	// Read is set when the frame could be read: only then Blocked counts, and
	// it counts also if the rest of the frame is bad.
	Read     bool
	Blocked  Set
	AltStack AltStack
	// Flags are those of the stack_t, for AltStack.Set.
	Flags uint32
	// Trap is the signal of the exception that the return itself would raise,
	// if its number is not 0: the frame asks for a segment or an address that
	// user mode cannot have. Vector, Error and CR2 of the register frame are
	// that exception's, and the other registers are loaded.
	Trap Info
}

// frameFlags are the bits of RFLAGS that a signal frame decides about; the
// others stay as they are (Linux: FIX_EFLAGS).
const frameFlags = amd64.UserFlags &^ amd64.FlagNT

// Pop is rt_sigreturn(2): it reads the frame that Push has built, and that the
// handler may have changed, back into f. The stack pointer is just above the
// return address. Everything in the frame is the user's choice and is checked
// or forced: what is left is safe to run, unless there is a Trap. An error
// means that the frame is bad: the program gets SIGSEGV, and its registers are
// not to be trusted.
func Pop(m UserMemory, f *amd64.Frame, s *Scratch) (Restored, error) {
	frame, state, _ := s.buffers()
	uc := (*[ucontextSize]byte)(frame[frameUContext:])
	if err := m.CopyIn(f.RSP-returnAddress+frameUContext, uc[:]); err != nil {
		return Restored{}, err
	}
	stack := DecodeStack(uc[ucStack:])
	restored := Restored{
		Read:     true,
		Blocked:  Set(binary.LittleEndian.Uint64(uc[ucSigmask:])) &^ Unblockable,
		AltStack: stack,
		Flags:    stack.Flags,
	}
	sc := (*[sigcontextSize]byte)(uc[ucContext:])
	kept := f.RFLAGS &^ frameFlags
	for i, register := range contextRegisters(f) {
		*register = binary.LittleEndian.Uint64(sc[8*i:])
	}
	f.RFLAGS = f.RFLAGS&frameFlags | kept
	f.OrigRAX = amd64.NotInSyscall // so that no call is restarted
	sane := f.Sanitize()
	if err := popState(m, f, binary.LittleEndian.Uint64(sc[scFPState:]), state); err != nil {
		return restored, err
	}
	if selector, bad := badSelector(sc); bad {
		restored.Trap = protectionTrap(f, selector)
	} else if !sane {
		restored.Trap = addressTrap(f)
	}
	return restored, nil
}

// badSelector finds a segment that is not the 64-bit user's, for there are no
// others to run in, and returns the error code of the IRET that would load it
// (SDM vol. 2A, IRET). Linux takes a stack segment of an LDT a long way round,
// on which the code is lost.
func badSelector(sc *[sigcontextSize]byte) (code uint64, bad bool) {
	const privilege, local = 3, 4
	cs := binary.LittleEndian.Uint16(sc[scCS:]) | privilege
	ss := binary.LittleEndian.Uint16(sc[scSS:]) | privilege
	switch {
	case cs != amd64.UserCS:
		return uint64(cs &^ privilege), true
	case ss&local != 0:
		return 0, true
	}
	return uint64(ss &^ privilege), ss != amd64.UserSS
}

// protectionTrap is #GP with an error code.
func protectionTrap(f *amd64.Frame, code uint64) Info {
	f.Vector, f.Error = amd64.GeneralProtection, code
	return KernelInfo(unix.SIGSEGV)
}

// addressTrap is what the first instruction would raise, or the loading of a
// segment's base: #GP for an address that is not canonical, and a page fault
// for one that is not the user's.
func addressTrap(f *amd64.Frame) Info {
	if f.RIP < amd64.UserLimit || !amd64.Canonical(f.RIP) {
		return protectionTrap(f, 0)
	}
	f.Vector, f.CR2 = amd64.PageFault, f.RIP
	f.Error = amd64.FaultFetch | amd64.FaultUser | amd64.FaultPresent
	return FaultInfo(unix.SIGSEGV, SEGV_MAPERR, f.RIP)
}

// popState reads the floating-point state at the address that the frame names,
// by way of state; 0 means the initial state.
func popState(m UserMemory, f *amd64.Frame, address uint64, state []byte) error {
	if address == 0 {
		f.ResetExtended()
		return nil
	}
	if address%fpStateAlign != 0 && amd64.ExtendedMask() != 0 {
		return unix.EFAULT
	}
	if m.CopyIn(address, state) != nil { // all of it, or what there must be at least
		clear(state)
		if err := m.CopyIn(address, state[:legacySize]); err != nil {
			return err
		}
	}
	if !f.WriteExtended(state[:amd64.ExtendedSize()], !isExtended(state)) {
		return unix.EFAULT
	}
	return nil
}

// isExtended reports whether the FXSAVE area says rightly that it begins an
// XSAVE area: else only the legacy part counts, as on Linux.
func isExtended(state []byte) bool {
	size := amd64.ExtendedSize()
	return amd64.ExtendedMask() != 0 &&
		binary.LittleEndian.Uint32(state[swMagic1:]) == magic1 &&
		binary.LittleEndian.Uint32(state[swStateSize:]) == uint32(size) &&
		binary.LittleEndian.Uint32(state[swExtendedSize:]) == uint32(len(state)) &&
		binary.LittleEndian.Uint64(state[swFeatures:])&^amd64.ExtendedMask() == 0 &&
		binary.LittleEndian.Uint32(state[size:]) == magic2
}
