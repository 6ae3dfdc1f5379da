package signal

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
)

// Restored holds the contents of a signal frame that are not registers.
type Restored struct {
	// Read is set if the frame could be read. Blocked is valid only if Read is
	// set, also if Pop returns an error.
	Read bool
	// Blocked is the set of signals to block.
	Blocked Set
	// HasAltStack is set if the frame has an AltStack: its stack_t with unchecked flags,
	// for AltStack.Set.
	HasAltStack bool
	AltStack    AltStack
	// Trap is the signal of an exception, or nil: the frame has an address that would make
	// IRET fault. Vector, Error and CR2 of the register frame describe the exception. The
	// other registers are those of the signal frame.
	Trap *Info
}

// frameFlags are the bits of RFLAGS that Pop loads from a signal frame (Linux:
// FIX_EFLAGS). It does not change the others.
const frameFlags = amd64.UserFlags &^ amd64.FlagNT

// Pop is rt_sigreturn(2): it loads the registers in f from the signal frame on the
// user's stack. The stack pointer must be just above the return address. The program
// may have changed the frame, so Pop checks every field or forces it to a safe value.
// Pop may sleep.
//
// EFAULT if the frame is invalid. The registers in f are undefined then, and the
// caller must send SIGSEGV. If the result has a Trap, the caller must send that
// signal before the task returns to user mode.
func Pop(m abi.UserMemory, f *amd64.Frame, s *Scratch) (Restored, error) {
	frame, state, both := s.buffers()
	uc := &frame.UContext
	at := f.RSP - returnAddress
	// The state is where Push has put it, unless the program has moved it.
	complete := m.CopyIn(at, both) == nil && uc.MContext.FPState == at+frameToState
	if !complete {
		if err := m.CopyIn(at+frameUContext, abi.Bytes(uc)); err != nil {
			return Restored{}, err
		}
	}
	restored := Restored{
		Read:        true,
		Blocked:     Set(uc.Sigmask) &^ Unblockable,
		HasAltStack: true,
		AltStack:    AltStackOf(&uc.Stack),
	}
	sc := &uc.MContext
	kept := f.RFLAGS &^ frameFlags
	loadRegisters(f, sc)
	f.RFLAGS = f.RFLAGS&frameFlags | kept
	f.OrigRAX = amd64.NotInSyscall // no system call must be restarted
	trap := loadCodeSegments(f, sc.CS|userPrivilege, sc.SS|userPrivilege)
	if uc.Flags&ucStrictRestoreSS == 0 && !f.Code32() && !f.StackSegmentServes() {
		f.SS = amd64.UserSS // for programs that do not know the field (Linux: force_valid_ss)
	}
	if !complete {
		if err := copyState(m, sc.FPState, state); err != nil {
			return restored, err
		}
	}
	if err := popState(f, sc.FPState, state); err != nil {
		return restored, err
	}
	restored.Trap = trap
	return restored, nil
}

// loadCodeSegments sets CS and SS of f, makes f's registers safe for the return to user
// mode, and returns the signal of the exception that the return would raise because of RIP,
// if any. Selectors of segments that do not exist are the program's exception when it
// returns.
func loadCodeSegments(f *amd64.Frame, cs, ss uint16) *Info {
	f.CS, f.SS = uint64(cs), uint64(ss)
	return ReturnTrap(f)
}

// userPrivilege are the bits of a selector that Linux sets in CS and SS of a signal
// frame: the privilege of user mode.
const userPrivilege = 3

// ReturnTrap makes the registers in f safe for the return to user mode. If RIP cannot
// be loaded or is not a user address, it records in f the exception that the return
// would raise, and returns its signal, as Pop does. Otherwise it returns nil. The caller is
// f's own goroutine.
func ReturnTrap(f *amd64.Frame) *Info {
	if f.Sanitize() {
		return nil
	}
	trap := addressTrap(f)
	return &trap
}

// protectionTrap records a #GP with an error code in f and returns its signal.
func protectionTrap(f *amd64.Frame, code uint64) Info {
	f.Vector, f.Error = amd64.GeneralProtection, code
	return KernelInfo(unix.SIGSEGV)
}

// addressTrap records in f the exception of a return to an RIP that is not a user
// address, and returns its signal. The exception is a page fault, or #GP if the
// address is not canonical or exceeds the limit of 32-bit code. It is also #GP if RIP is
// valid and a segment base is not.
func addressTrap(f *amd64.Frame) Info {
	if f.RIP < amd64.UserLimit || !amd64.Canonical(f.RIP) || f.Code32() {
		return protectionTrap(f, 0)
	}
	f.Vector, f.CR2 = amd64.PageFault, f.RIP
	f.Error = amd64.FaultFetch | amd64.FaultUser | amd64.FaultPresent
	return FaultInfo(unix.SIGSEGV, SEGV_MAPERR, f.RIP)
}

// copyState copies the floating-point state from a user address to state. Address 0
// stands for the initial state, which needs no copy.
func copyState(m abi.UserMemory, address uint64, state []byte) error {
	if address == 0 || m.CopyIn(address, state) == nil {
		return nil
	}
	clear(state) // perhaps only the FXSAVE part is mapped
	return m.CopyIn(address, state[:legacySize])
}

// popState loads the floating-point state in f from state, which was at a user address
// of the signal frame. Address 0 stands for the initial state.
func popState(f *amd64.Frame, address uint64, state []byte) error {
	if address == 0 {
		f.ResetExtended()
		return nil
	}
	if address%fpStateAlign != 0 && amd64.ExtendedMask() != 0 {
		return unix.EFAULT
	}
	if !f.WriteExtended(state[:amd64.ExtendedSize()], !isExtended(state)) {
		return unix.EFAULT
	}
	return nil
}

// isExtended reports whether state is a valid XSAVE area. If it is not, Pop loads
// only its FXSAVE part, as on Linux.
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
