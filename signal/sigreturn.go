package signal

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// Restored is what a signal frame brings back besides the registers.
type Restored struct {
	Blocked  Set
	AltStack AltStack
	// Flags are those of the stack_t, for AltStack.Set.
	Flags uint32
}

// Pop is rt_sigreturn(2): it reads the frame that Push has built, and that the
// handler may have changed, back into f. The stack pointer is just above the
// return address. Everything in the frame is the user's choice and is checked
// or forced: what is left is safe to run. An error means that the frame is
// bad: the program gets SIGSEGV, and its registers are not to be trusted.
func Pop(m UserMemory, f *amd64.Frame) (Restored, error) {
	var uc [ucontextSize]byte
	if err := m.CopyIn(f.RSP-returnAddress+frameUContext, uc[:]); err != nil {
		return Restored{}, err
	}
	sc := uc[ucContext:]
	if err := checkSelectors(sc); err != nil {
		return Restored{}, err
	}
	for i, register := range contextRegisters(f) {
		*register = binary.LittleEndian.Uint64(sc[8*i:])
	}
	f.OrigRAX = amd64.NotInSyscall // so that no call is restarted
	if !f.Sanitize() {
		return Restored{}, unix.EFAULT
	}
	if err := popState(m, f, binary.LittleEndian.Uint64(sc[scFPState:])); err != nil {
		return Restored{}, err
	}
	stack := DecodeStack(uc[ucStack:])
	return Restored{
		Blocked:  Set(binary.LittleEndian.Uint64(uc[ucSigmask:])) &^ Unblockable,
		AltStack: stack,
		Flags:    stack.Flags,
	}, nil
}

// checkSelectors refuses segments that are not the 64-bit user's: there are no
// others to run in.
func checkSelectors(sc []byte) error {
	cs := binary.LittleEndian.Uint16(sc[scCS:]) | 3
	ss := binary.LittleEndian.Uint16(sc[scSS:]) | 3
	if cs != amd64.UserCS || ss != amd64.UserSS {
		return unix.EFAULT
	}
	return nil
}

// popState reads the floating-point state at the address that the frame names;
// 0 means the initial state.
func popState(m UserMemory, f *amd64.Frame, address uint64) error {
	if address == 0 {
		amd64.Release(f)
		f.ResetExtended()
		return nil
	}
	if address%fpStateAlign != 0 && amd64.ExtendedMask() != 0 {
		return unix.EFAULT
	}
	state := make([]byte, stateSize())
	if err := m.CopyIn(address, state[:legacySize]); err != nil {
		return err
	}
	size := legacySize
	if extended := extendedSize(state[:legacySize]); extended != 0 {
		if err := m.CopyIn(address+legacySize, state[legacySize:extended+magic2Size]); err != nil {
			return err
		}
		if binary.LittleEndian.Uint32(state[extended:]) == magic2 {
			size = extended
		}
	}
	if !f.WriteExtended(state[:size]) {
		return unix.EFAULT
	}
	return nil
}

// extendedSize returns the size of the XSAVE area that the FXSAVE area says it
// begins, or 0 if it does not say so rightly: then only the legacy part counts,
// as on Linux.
func extendedSize(legacy []byte) int {
	size := int(binary.LittleEndian.Uint32(legacy[swStateSize:]))
	whole := int(binary.LittleEndian.Uint32(legacy[swExtendedSize:]))
	features := binary.LittleEndian.Uint64(legacy[swFeatures:])
	switch {
	case amd64.ExtendedMask() == 0,
		binary.LittleEndian.Uint32(legacy[swMagic1:]) != magic1,
		size != amd64.ExtendedSize(),
		whole != size+magic2Size,
		features&^amd64.ExtendedMask() != 0:
		return 0
	}
	return size
}
