package signal

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
)

// Restored is the content of a signal frame besides the registers.
type Restored struct {
	// Read is set if the frame could be read. Only then is Blocked valid; it
	// is valid even if the rest of the frame is bad.
	Read    bool
	Blocked Set
	// AltStack is the frame's stack_t, with unchecked flags, for AltStack.Set.
	AltStack AltStack
	// Trap is the signal of the exception that the return itself would raise,
	// if its number is not 0: the frame names a segment or an address that
	// user mode cannot have. Vector, Error and CR2 of the register frame
	// describe that exception. The other registers are loaded.
	Trap Info
}

// frameFlags are the bits of RFLAGS that a signal frame sets. The others stay
// as they are (Linux: FIX_EFLAGS).
const frameFlags = amd64.UserFlags &^ amd64.FlagNT

// Pop is rt_sigreturn(2). It loads the frame that Push has built, and that the
// program may have changed, into f. The stack pointer is just above the return
// address. Pop checks or forces every field, so the result is safe to run
// unless it has a Trap. It may sleep. An error means that the frame is bad: the
// program gets SIGSEGV, and its registers are undefined.
func Pop(m abi.UserMemory, f *amd64.Frame, s *Scratch) (Restored, error) {
	frame, state, _ := s.buffers()
	uc := &frame.UContext
	if err := m.CopyIn(f.RSP-returnAddress+frameUContext, abi.Bytes(uc)); err != nil {
		return Restored{}, err
	}
	restored := Restored{
		Read:     true,
		Blocked:  Set(uc.Sigmask) &^ Unblockable,
		AltStack: AltStackOf(&uc.Stack),
	}
	sc := &uc.MContext
	kept := f.RFLAGS &^ frameFlags
	for _, r := range contextRegisters(f, sc) {
		*r.register = *r.saved
	}
	f.RFLAGS = f.RFLAGS&frameFlags | kept
	f.OrigRAX = amd64.NotInSyscall // no call is restarted
	sane := f.Sanitize()
	if err := popState(m, f, sc.FPState, state); err != nil {
		return restored, err
	}
	if selector, bad := badSelector(sc); bad {
		restored.Trap = protectionTrap(f, selector)
	} else if !sane {
		restored.Trap = addressTrap(f)
	}
	return restored, nil
}

// badSelector reports whether a code or stack segment is not the 64-bit user
// segment, the only one that exists, and returns the error code of the IRET
// that would load it (SDM vol. 2A, IRET). For a stack segment of an LDT the
// error code is 0, because Linux loads it through espfix, which loses the code.
func badSelector(sc *abi.Sigcontext) (code uint64, bad bool) {
	const privilege, local = 3, 4
	cs, ss := sc.CS|privilege, sc.SS|privilege
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

// addressTrap is the exception at an instruction pointer that is not the user's:
// a page fault, or #GP if the address is not canonical. A bad segment base in
// the frame is #GP, too.
func addressTrap(f *amd64.Frame) Info {
	if f.RIP < amd64.UserLimit || !amd64.Canonical(f.RIP) {
		return protectionTrap(f, 0)
	}
	f.Vector, f.CR2 = amd64.PageFault, f.RIP
	f.Error = amd64.FaultFetch | amd64.FaultUser | amd64.FaultPresent
	return FaultInfo(unix.SIGSEGV, SEGV_MAPERR, f.RIP)
}

// popState loads the floating-point state at a user address, through the buffer
// state. Address 0 stands for the initial state.
func popState(m abi.UserMemory, f *amd64.Frame, address uint64, state []byte) error {
	if address == 0 {
		f.ResetExtended()
		return nil
	}
	if address%fpStateAlign != 0 && amd64.ExtendedMask() != 0 {
		return unix.EFAULT
	}
	if m.CopyIn(address, state) != nil { // the FXSAVE part is enough
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

// isExtended reports whether the state is a valid XSAVE area. Otherwise only
// its FXSAVE part is loaded, as on Linux.
func isExtended(state []byte) bool {
	size := amd64.ExtendedSize()
	software := abi.View[abi.FPXSWBytes](state[swReserved:])
	return amd64.ExtendedMask() != 0 &&
		software.Magic1 == magic1 &&
		software.XStateSize == uint32(size) &&
		software.ExtendedSize == uint32(len(state)) &&
		software.XFeatures&^amd64.ExtendedMask() == 0 &&
		*abi.View[uint32](state[size:]) == magic2
}
