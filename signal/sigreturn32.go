package signal

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
)

// Pop32 is sigreturn(2) of a 32-bit program: it returns from a handler without SA_SIGINFO.
// The stack pointer must be above the return address and the signal number. It is otherwise
// like Pop; the frame has no alternate stack, so HasAltStack is false.
func Pop32(m abi.UserMemory, f *amd64.Frame, s *Scratch) (Restored, error) {
	const below = 8 // the return address and the signal number
	bytes, _, _, _ := s.buffer32(sigframe32Size)
	if err := m.CopyIn(f.RSP-below, bytes); err != nil {
		return Restored{}, err
	}
	frame := abi.View[compat.Sigframe](bytes)
	blocked := Set(frame.Context.OldMask) | Set(frame.ExtraMask)<<32
	restored := Restored{Read: true, Blocked: blocked &^ Unblockable}
	context := frame.Context
	return restored, popContext32(m, f, s, &context, &restored)
}

// PopInfo32 is rt_sigreturn(2) of a 32-bit program: it returns from a handler with
// SA_SIGINFO. The stack pointer must be above the return address. It is otherwise like Pop.
func PopInfo32(m abi.UserMemory, f *amd64.Frame, s *Scratch) (Restored, error) {
	bytes, _, _, _ := s.buffer32(rtSigframe32Size)
	if err := m.CopyIn(f.RSP-returnAddress32, bytes); err != nil {
		return Restored{}, err
	}
	uc := &abi.View[compat.RTSigframe](bytes).UContext
	stack := abi.Stack{SP: uint64(uc.Stack.SP), Flags: uc.Stack.Flags, Size: uint64(uc.Stack.Size)}
	restored := Restored{
		Read: true, Blocked: Set(uc.Sigmask.Value()) &^ Unblockable,
		HasAltStack: true, AltStack: AltStackOf(&stack),
	}
	context := uc.MContext
	return restored, popContext32(m, f, s, &context, &restored)
}

// popContext32 loads the registers from a signal frame, and notes in restored a trap of the
// return to user mode (Linux: ia32_restore_sigcontext).
func popContext32(m abi.UserMemory, f *amd64.Frame, s *Scratch, sc *compat.Sigcontext, restored *Restored) error {
	amd64.Release(f) // the CPU may have the segment registers
	f.RDI, f.RSI, f.RBP, f.RSP = uint64(sc.EDI), uint64(sc.ESI), uint64(sc.EBP), uint64(sc.ESP)
	f.RBX, f.RDX, f.RCX, f.RAX = uint64(sc.EBX), uint64(sc.EDX), uint64(sc.ECX), uint64(sc.EAX)
	f.RIP = uint64(sc.EIP)
	f.RFLAGS = f.RFLAGS&^frameFlags | uint64(sc.EFlags)&frameFlags
	f.OrigRAX = amd64.NotInSyscall // no system call must be restarted
	for _, r := range [...]struct {
		register amd64.SegmentRegister
		selector uint32
	}{{amd64.GS, sc.GS}, {amd64.FS, sc.FS}, {amd64.DS, sc.DS}, {amd64.ES, sc.ES}} {
		f.SetSelector(r.register, dataSelector(uint16(r.selector)))
	}
	restored.Trap = loadCodeSegments(f, uint16(sc.CS)|userPrivilege, uint16(sc.SS)|userPrivilege)
	return popState32(m, f, uint64(sc.FPState), s)
}

// dataSelector returns a selector with the privilege of user mode. A null selector is 0, as
// IRET makes it, which Linux uses here (SDM vol. 2A, IRET).
func dataSelector(selector uint16) uint16 {
	if selector <= userPrivilege {
		return 0
	}
	return selector | userPrivilege
}

// popState32 loads the floating-point state from a user address: the x87 state in the
// format of FSAVE, and above it the FXSAVE or XSAVE area (Linux: __fpu_restore_sig). Address
// 0 stands for the initial state.
func popState32(m abi.UserMemory, f *amd64.Frame, address uint64, s *Scratch) error {
	if address == 0 {
		f.ResetExtended()
		return nil
	}
	_, fsave, state, _ := s.buffer32(0)
	if err := m.CopyIn(address, abi.Bytes(fsave)); err != nil {
		return err
	}
	if err := copyState(m, address+fsaveSize, state); err != nil {
		return err
	}
	if (address+fsaveSize)%fpStateAlign != 0 && amd64.ExtendedMask() != 0 {
		return unix.EFAULT
	}
	if software := abi.View[abi.FPXSWBytes](state[swReserved:]); software.Magic1 == magic1 {
		software.ExtendedSize -= fsaveSize
	}
	FromFSave(state, fsave)
	if !f.WriteExtended(state[:amd64.ExtendedSize()], !isExtended(state)) {
		return unix.EFAULT
	}
	return nil
}
