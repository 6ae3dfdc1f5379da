package signal

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
)

// Fault describes an exception that caused a signal, for the ucontext of the
// handler: the vector, the error code, and CR2 of a page fault.
type Fault struct {
	Vector, Error, Address uint64
}

// Delivery describes the delivery of a signal to a handler, for Push.
type Delivery struct {
	Info     *Info
	Action   *Action
	Saved    Set       // the blocked set that rt_sigreturn(2) restores
	AltStack *AltStack // of the thread; Push clears it if it has SS_AUTODISARM
	Fault    Fault     // the thread's last
	Scratch  *Scratch  // of the thread
	Returns  Returns   // of the program's vDSO
}

// Scratch is a thread's buffer for signal frames, which Push and Pop use to avoid
// allocations. The zero value is ready for use. Only one goroutine may use it at a
// time.
type Scratch struct {
	// frame and state are parts of both: see buffers.
	frame       *abi.RTSigframe
	state, both []byte
	narrow      []byte // for 32-bit frames
}

// The offsets in a Scratch. The frame and the floating-point state have the same
// distance as on the user's stack, so one copy writes both. The state is aligned
// for XSAVE.
const (
	frameToState = (frameSize+frameAlign-1)&^(frameAlign-1) + returnAddress
	scratchState = 512
	scratchFrame = scratchState - frameToState
)

// buffers returns the buffer of the frame, the buffer of the floating-point state,
// and the bytes of both. It allocates them on its first call.
func (s *Scratch) buffers() (frame *abi.RTSigframe, state, both []byte) {
	if s.frame == nil {
		s.allocate()
	}
	return s.frame, s.state, s.both
}

// allocate allocates the buffers. It is a function of its own so that buffers is inlined.
func (s *Scratch) allocate() {
	bytes := amd64.AlignedBuffer(scratchState + stateSize())
	s.state, s.both = bytes[scratchState:], bytes[scratchFrame:]
	s.frame = abi.View[abi.RTSigframe](s.both)
}

// The flags of uc_flags (arch/x86/include/uapi/asm/ucontext.h).
const (
	ucFPXState        = 1 // the floating-point state has the XSAVE extension
	ucSigcontextSS    = 2 // sigcontext has a valid ss
	ucStrictRestoreSS = 4 // sigreturn restores ss unchanged
)

// The layout of a signal frame, in bytes. The floating-point state is an XSAVE area.
// Its FXSAVE part contains a struct _fpx_sw_bytes, by which programs recognise the
// XSAVE format (arch/x86/include/uapi/asm/sigcontext.h).
const (
	legacySize    = 512        // size of the FXSAVE part
	swReserved    = 464        // offset of struct _fpx_sw_bytes in it
	magic1        = 0x46505853 // FP_XSTATE_MAGIC1, in struct _fpx_sw_bytes
	magic2        = 0x46505845 // FP_XSTATE_MAGIC2, behind the XSAVE area
	magic2Size    = 4
	fpStateAlign  = 64
	redZone       = 128 // leaf functions use this much below RSP (System V ABI, 3.2.2)
	frameAlign    = 16
	returnAddress = 8 // size of a return address
)

// MinFrame returns AT_MINSIGSTKSZ: the maximum size of a signal frame on this CPU,
// in bytes, with the padding for its alignment (getauxval(3)).
func MinFrame() int {
	return int(frameSize) + stateSize() + fpStateAlign + frameAlign
}

// stateSize is the size of the floating-point state in a frame, in bytes.
func stateSize() int {
	size := amd64.ExtendedSize()
	if amd64.ExtendedMask() != 0 {
		size += magic2Size
	}
	return size
}

// Push builds the signal frame on the user's stack and sets the registers in f, so
// the handler runs at the next return to user mode. The caller has called f.Settle.
// Push may sleep.
//
// EFAULT if the stack cannot be written or the action has no restorer. f and d are
// unchanged then.
func Push(m abi.UserMemory, f *amd64.Frame, d *Delivery) error {
	if d.Action.Flags&SA_IA32_ABI != 0 {
		return push32(m, f, d)
	}
	if d.Action.Flags&SA_RESTORER == 0 {
		return unix.EFAULT // on x86-64 a handler can only return to its restorer
	}
	at, stateAt, err := frameAddresses(f, d)
	if err != nil {
		return err
	}
	frame, state, both := d.Scratch.buffers()
	fillState(state, f)
	fillFrame(frame, f, d, stateAt)
	if err := m.CopyOut(at, both); err != nil {
		return err
	}
	if d.AltStack.Flags&SS_AUTODISARM != 0 {
		d.AltStack.Reset()
	}
	f.ResetExtended() // the handler starts in the initial floating-point state
	enterHandler(f, d, at)
	return nil
}

// frameAddresses returns the user addresses of the frame and of its floating-point
// state. EFAULT if the frame does not fit on the alternate stack.
func frameAddresses(f *amd64.Frame, d *Delivery) (frame, state uint64, err error) {
	top, onAltStack := d.stackTop(f, f.RSP-redZone)
	state = (top - uint64(stateSize())) &^ (fpStateAlign - 1)
	frame = state - frameToState
	return frame, state, d.checkAltStack(onAltStack, frame)
}

// stackTop returns the address below which the frame is built: top, or the end of the
// alternate stack if the handler switches to it. It reports whether the frame must be on
// the alternate stack.
func (d *Delivery) stackTop(f *amd64.Frame, top uint64) (address uint64, onAltStack bool) {
	if d.Action.Flags&SA_ONSTACK != 0 && d.AltStack.State(f.RSP) == 0 {
		return d.AltStack.Base + d.AltStack.Size, true
	}
	return top, d.AltStack.Holds(f.RSP)
}

// checkAltStack returns EFAULT if a frame that must be on the alternate stack does not fit.
func (d *Delivery) checkAltStack(onAltStack bool, frame uint64) error {
	if onAltStack && !d.AltStack.contains(frame) {
		return unix.EFAULT
	}
	return nil
}

// enterHandler sets the registers to call the handler with its three arguments in
// RDI, RSI and RDX (System V ABI, 3.2.3).
func enterHandler(f *amd64.Frame, d *Delivery, frame uint64) {
	f.RDI = uint64(d.Info.Signo)
	f.RSI = frame + frameInfo
	f.RDX = frame + frameUContext
	f.RAX = 0
	f.RSP = frame
	f.RIP = d.Action.Handler
	f.CS, f.SS = amd64.UserCS, amd64.UserSS
	f.RFLAGS &^= amd64.FlagDF | amd64.FlagRF | amd64.FlagTF
	f.OrigRAX = amd64.NotInSyscall
	f.Flags |= amd64.LeaveByIRET
}

// fillState writes the floating-point state of f to state, in the format of a signal
// frame.
func fillState(state []byte, f *amd64.Frame) {
	size := amd64.ExtendedSize()
	f.ReadExtended(state[:size])
	software := abi.View[abi.FPXSWBytes](state[swReserved:])
	*software = abi.FPXSWBytes{}
	if amd64.ExtendedMask() == 0 {
		return
	}
	software.Magic1 = magic1
	software.ExtendedSize = uint32(len(state))
	software.XFeatures = amd64.ExtendedMask()
	software.XStateSize = uint32(size)
	*abi.View[uint32](state[size:]) = magic2
}

// fillFrame fills in the frame from f and d. It writes every field, because the
// buffer holds an earlier frame. stateAt is the user address of the
// floating-point state.
func fillFrame(frame *abi.RTSigframe, f *amd64.Frame, d *Delivery, stateAt uint64) {
	flags := uint64(ucSigcontextSS)
	if !f.Code32() {
		flags |= ucStrictRestoreSS
	}
	if amd64.ExtendedMask() != 0 {
		flags |= ucFPXState
	}
	frame.Pretcode = d.Action.Restorer
	uc := &frame.UContext
	uc.Flags, uc.Link = flags, 0
	uc.Stack = d.AltStack.Saved()
	uc.Sigmask = uint64(d.Saved)
	d.Info.store(&frame.Info)
	sc := &uc.MContext
	saveRegisters(sc, f)
	sc.CS, sc.GS, sc.FS, sc.SS = uint16(f.CS), 0, 0, uint16(f.SS)
	sc.Error, sc.TrapNumber, sc.CR2 = d.Fault.Error, d.Fault.Vector, d.Fault.Address
	sc.OldMask = uint64(d.Saved)
	sc.FPState = stateAt
	sc.Reserved = [8]uint64{}
}

// saveRegisters copies the registers that a signal frame saves unchanged. It is one
// assignment for each register, and no list of pointers, because it is on the path of
// every signal; a test compares it with loadRegisters.
func saveRegisters(sc *abi.Sigcontext, f *amd64.Frame) {
	sc.R8, sc.R9, sc.R10, sc.R11 = f.R8, f.R9, f.R10, f.R11
	sc.R12, sc.R13, sc.R14, sc.R15 = f.R12, f.R13, f.R14, f.R15
	sc.RDI, sc.RSI, sc.RBP, sc.RBX = f.RDI, f.RSI, f.RBP, f.RBX
	sc.RDX, sc.RAX, sc.RCX = f.RDX, f.RAX, f.RCX
	sc.RSP, sc.RIP, sc.RFLAGS = f.RSP, f.RIP, f.RFLAGS
}

// loadRegisters is the inverse of saveRegisters.
func loadRegisters(f *amd64.Frame, sc *abi.Sigcontext) {
	f.R8, f.R9, f.R10, f.R11 = sc.R8, sc.R9, sc.R10, sc.R11
	f.R12, f.R13, f.R14, f.R15 = sc.R12, sc.R13, sc.R14, sc.R15
	f.RDI, f.RSI, f.RBP, f.RBX = sc.RDI, sc.RSI, sc.RBP, sc.RBX
	f.RDX, f.RAX, f.RCX = sc.RDX, sc.RAX, sc.RCX
	f.RSP, f.RIP, f.RFLAGS = sc.RSP, sc.RIP, sc.RFLAGS
}
