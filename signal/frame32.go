package signal

import (
	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
)

// SA_IA32_ABI marks an action that a 32-bit system call has set: its handler is 32-bit
// code, and gets a frame of 32 bits. Programs do not see the flag (Linux: SA_IA32_ABI).
const SA_IA32_ABI = 0x02000000

// Returns are the functions of the vDSO to which a 32-bit handler returns if its action has
// no restorer: __kernel_sigreturn and __kernel_rt_sigreturn. 0 means that there is no vDSO.
// The handler then returns to code on its stack.
type Returns struct{ SigReturn, RTSigReturn uint64 }

// The layout of 32-bit frames, in bytes. The x87 state of FSAVE is directly below the XSAVE
// area, and the frame below both. Its address plus 4 is a multiple of 16, as at the entry
// of a C function (System V ABI for i386, 2.2.2).
const (
	fsaveSize       = 112
	scratchState32  = 1024
	frame32Align    = 16
	returnAddress32 = 4
)

// distance32 returns the distance from a frame of a size to its XSAVE area.
func distance32(size int) int {
	return (fsaveSize+size-returnAddress32+frame32Align-1)&^(frame32Align-1) + returnAddress32
}

// buffer32 returns the buffer of a 32-bit frame of a size: the frame, the x87 state, the
// XSAVE area, and the bytes of all.
func (s *Scratch) buffer32(size int) (frame []byte, fsave *compat.FSave, state, all []byte) {
	if s.narrow == nil {
		s.narrow = amd64.AlignedBuffer(scratchState32 + stateSize())
	}
	all = s.narrow[scratchState32-distance32(size):]
	return all[:size], abi.View[compat.FSave](s.narrow[scratchState32-fsaveSize:]), s.narrow[scratchState32:], all
}

// push32 is Push for an action with SA_IA32_ABI (Linux: ia32_setup_frame,
// ia32_setup_rt_frame).
func push32(m abi.UserMemory, f *amd64.Frame, d *Delivery) error {
	amd64.Release(f) // the CPU may have the segment registers
	kind := &frameKinds32[plainFrame]
	if d.Action.Flags&SA_SIGINFO != 0 {
		kind = &frameKinds32[infoFrame]
	}
	at, stateAt := kind.addresses(f, d)
	frame, fsave, state, all := d.Scratch.buffer32(kind.size)
	clear(all[:distance32(kind.size)])
	fillState(state, f)
	addFSaveSize(state)
	ds, _, _, _ := f.Selectors()
	*fsave = ToFSave(state, uint16(f.CS), uint16(ds))
	context := context32(f, d, stateAt-fsaveSize)
	if kind.info != 0 {
		kind.fillInfo(frame, at, context, d)
	} else {
		kind.fill(frame, at, context, d)
	}
	if err := m.CopyOut(at, all); err != nil {
		return err
	}
	if d.AltStack.Flags&SS_AUTODISARM != 0 {
		d.AltStack.Reset()
	}
	f.ResetExtended()
	enterHandler32(f, d, at, kind)
	return nil
}

// addFSaveSize adds the size of the x87 state to that of the floating-point state, as Linux
// does for 32-bit frames.
func addFSaveSize(state []byte) {
	if software := abi.View[abi.FPXSWBytes](state[swReserved:]); software.Magic1 == magic1 {
		software.ExtendedSize += fsaveSize
	}
}

// frameKind32 is one of the two kinds of frames.
type frameKind32 struct {
	size           int
	info, ucontext uint32   // offsets of the structures to which the handler's arguments point, or 0
	retcode        [8]uint8 // the code that calls sigreturn
	retcodeOffset  uint64
}

const (
	plainFrame = iota // of an action without SA_SIGINFO
	infoFrame
)

// frameKinds32 has the kinds. retcode is the code that Linux writes to the stack, where
// debuggers look for it.
var frameKinds32 = [...]frameKind32{
	plainFrame: {
		size:          sigframe32Size,
		retcode:       [8]uint8{0x58, 0xb8, 119, 0, 0, 0, 0xcd, 0x80}, // POP EAX; MOV EAX, 119; INT 0x80
		retcodeOffset: sigframe32Retcode,
	},
	infoFrame: {
		size: rtSigframe32Size, info: rtSigframe32Info, ucontext: rtSigframe32UContext,
		retcode:       [8]uint8{0xb8, 173, 0, 0, 0, 0xcd, 0x80, 0}, // MOV EAX, 173; INT 0x80
		retcodeOffset: rtSigframe32Retcode,
	},
}

// addresses returns the user addresses of the frame and of its XSAVE area. There is no red
// zone, and Linux does not check that the frame fits on the alternate stack.
func (k *frameKind32) addresses(f *amd64.Frame, d *Delivery) (frame, state uint64) {
	top, _ := d.stackTop(f, f.RSP)
	state = (top - uint64(stateSize())) &^ (fpStateAlign - 1)
	return state - uint64(distance32(k.size)), state
}

// restorer returns the handler's return address: the action's, or that of the vDSO, or of
// the code in the frame at an address.
func (k *frameKind32) restorer(d *Delivery, at uint64) uint32 {
	if d.Action.Flags&SA_RESTORER != 0 {
		return uint32(d.Action.Restorer)
	}
	function := d.Returns.SigReturn
	if k.info != 0 {
		function = d.Returns.RTSigReturn
	}
	if function != 0 {
		return uint32(function)
	}
	return uint32(at + k.retcodeOffset)
}

// fill fills in the frame of an action without SA_SIGINFO.
func (k *frameKind32) fill(frame []byte, at uint64, sc compat.Sigcontext, d *Delivery) {
	s := abi.View[compat.Sigframe](frame)
	s.Pretcode, s.Signo, s.Context = k.restorer(d, at), int32(d.Info.Signo), sc
	s.ExtraMask, s.Retcode = uint32(d.Saved>>32), k.retcode
}

// fillInfo fills in the frame of an action with SA_SIGINFO.
func (k *frameKind32) fillInfo(frame []byte, at uint64, sc compat.Sigcontext, d *Delivery) {
	s := abi.View[compat.RTSigframe](frame)
	s.Pretcode, s.Signo = k.restorer(d, at), int32(d.Info.Signo)
	s.Pinfo, s.Pucontx = uint32(at)+k.info, uint32(at)+k.ucontext
	s.Info, s.Retcode = d.Info.Siginfo32(), k.retcode
	uc := &s.UContext
	if amd64.ExtendedMask() != 0 {
		uc.Flags = ucFPXState
	}
	saved := d.AltStack.Saved()
	uc.Stack = compat.Stack{SP: uint32(saved.SP), Flags: saved.Flags, Size: uint32(saved.Size)}
	uc.MContext, uc.Sigmask = sc, compat.NewUint64(uint64(d.Saved))
}

// context32 returns the registers of the interrupted program.
func context32(f *amd64.Frame, d *Delivery, fpState uint64) compat.Sigcontext {
	ds, es, fs, gs := f.Selectors()
	return compat.Sigcontext{
		GS: uint32(gs), FS: uint32(fs), ES: uint32(es), DS: uint32(ds),
		EDI: uint32(f.RDI), ESI: uint32(f.RSI), EBP: uint32(f.RBP), ESP: uint32(f.RSP),
		EBX: uint32(f.RBX), EDX: uint32(f.RDX), ECX: uint32(f.RCX), EAX: uint32(f.RAX),
		TrapNumber: uint32(d.Fault.Vector), Error: uint32(d.Fault.Error), EIP: uint32(f.RIP),
		CS: uint32(uint16(f.CS)), EFlags: uint32(f.RFLAGS), ESPAtSignal: uint32(f.RSP), SS: uint32(uint16(f.SS)),
		FPState: uint32(fpState), OldMask: uint32(d.Saved), CR2: uint32(d.Fault.Address),
	}
}

// enterHandler32 sets the registers to call a handler. Its arguments are in the frame, and
// also in EAX, EDX and ECX, where code that was compiled with regparm finds them.
func enterHandler32(f *amd64.Frame, d *Delivery, frame uint64, kind *frameKind32) {
	f.RAX, f.RDX, f.RCX = uint64(d.Info.Signo), 0, 0
	if kind.info != 0 {
		f.RDX, f.RCX = frame+uint64(kind.info), frame+uint64(kind.ucontext)
	}
	f.RSP, f.RIP = frame, d.Action.Handler
	f.CS, f.SS = amd64.User32CS, amd64.UserSS
	f.SetSelector(amd64.DS, amd64.UserSS)
	f.SetSelector(amd64.ES, amd64.UserSS)
	f.RFLAGS &^= amd64.FlagDF | amd64.FlagRF | amd64.FlagTF
	f.OrigRAX = amd64.NotInSyscall
	f.Flags |= amd64.LeaveByIRET
}
