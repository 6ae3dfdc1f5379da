package signal

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// UserMemory is the memory of the program, as far as signal frames need it.
// Each call moves all of p or fails with EFAULT; it may sleep.
type UserMemory interface {
	CopyIn(address uint64, p []byte) error
	CopyOut(address uint64, p []byte) error
}

// Fault is what the last exception that became a signal left behind; a
// handler reads it in its ucontext.
type Fault struct {
	Vector, Error, Address uint64
}

// Delivery is everything about a signal that its frame depends on.
type Delivery struct {
	Info     *Info
	Action   *Action
	Saved    Set       // the blocked set that sigreturn brings back
	AltStack *AltStack // of the thread; SS_AUTODISARM disarms it
	Fault    Fault
	Scratch  *Scratch // of the thread
}

// Scratch is where a thread puts its signal frames together, and where it reads
// them back, so that neither allocates. The zero value is ready for use.
type Scratch struct{ bytes []byte }

// A Scratch has a frame and the floating-point state in the distance that they
// have on the user's stack, the state aligned for the CPU.
const (
	frameToState = (frameSize+frameAlign-1)&^(frameAlign-1) + returnAddress
	scratchState = 512
	scratchFrame = scratchState - frameToState
)

// buffers returns the room for a frame and for the state, and both as they are
// written to the user's stack.
func (s *Scratch) buffers() (frame *[frameSize]byte, state, both []byte) {
	if s.bytes == nil {
		s.bytes = amd64.AlignedBuffer(scratchState + stateSize())
	}
	return (*[frameSize]byte)(s.bytes[scratchFrame:]), s.bytes[scratchState:], s.bytes[scratchFrame:]
}

// The frame that a handler finds at its stack pointer: struct rt_sigframe of
// arch/x86/include/asm/sigframe.h. Offsets are from the frame's start, where
// the return address of the handler is.
const (
	frameUContext = 8
	frameInfo     = frameUContext + ucontextSize
	frameSize     = frameInfo + InfoSize

	// struct ucontext
	ucFlags      = 0
	ucLink       = 8
	ucStack      = 16
	ucContext    = 40 // struct sigcontext_64
	ucSigmask    = ucContext + sigcontextSize
	ucontextSize = ucSigmask + SetSize

	sigcontextSize = 256
	scFPState      = 184
)

// The flags of uc_flags (arch/x86/include/uapi/asm/ucontext.h).
const (
	ucFPXState        = 1 // the floating-point state has the XSAVE extension
	ucSigcontextSS    = 2 // sigcontext has a valid ss
	ucStrictRestoreSS = 4 // sigreturn takes ss as it is
)

// The software part of an FXSAVE area, by which user programs recognise the
// XSAVE format (struct _fpx_sw_bytes).
const (
	legacySize     = 512
	swReserved     = 464
	swMagic1       = swReserved
	swExtendedSize = swReserved + 4
	swFeatures     = swReserved + 8
	swStateSize    = swReserved + 16
	magic1         = 0x46505853
	magic2         = 0x46505845
	magic2Size     = 4
	fpStateAlign   = 64
	redZone        = 128 // below RSP belongs to leaf functions (System V ABI, 3.2.2)
	frameAlign     = 16
	returnAddress  = 8
)

// MinFrame is AT_MINSIGSTKSZ: how many bytes of stack a signal frame takes at
// most on this CPU.
func MinFrame() int {
	return frameSize + stateSize() + fpStateAlign + frameAlign
}

// stateSize is the size of the floating-point state in a frame, in bytes.
func stateSize() int {
	size := amd64.ExtendedSize()
	if amd64.ExtendedMask() != 0 {
		size += magic2Size
	}
	return size
}

// Push builds the frame of a handler on the user's stack and sets f so that
// the handler runs when the task returns to user mode. f has been settled. It
// fails with EFAULT if the stack cannot be written or the action has no
// restorer, and then has changed nothing.
func Push(m UserMemory, f *amd64.Frame, d *Delivery) error {
	if d.Action.Flags&SA_RESTORER == 0 {
		return unix.EFAULT // x86-64 has no other way to return
	}
	frame, state, err := place(f, d)
	if err != nil {
		return err
	}
	frameBytes, stateBytes, both := d.Scratch.buffers()
	encodeState(stateBytes, f)
	encodeFrame(frameBytes, f, d, state)
	if err := m.CopyOut(frame, both); err != nil {
		return err
	}
	if d.AltStack.Flags&SS_AUTODISARM != 0 {
		*d.AltStack = AltStack{}
	}
	f.ResetExtended() // a handler starts with rounding and masks of its own
	enterHandler(f, d, frame)
	return nil
}

// place decides where the frame and the floating-point state go.
func place(f *amd64.Frame, d *Delivery) (frame, state uint64, err error) {
	top := f.RSP - redZone
	nested := d.AltStack.Holds(f.RSP)
	entering := d.Action.Flags&SA_ONSTACK != 0 && d.AltStack.State(f.RSP) == 0
	if entering {
		top = d.AltStack.Base + d.AltStack.Size
	}
	state = (top - uint64(stateSize())) &^ (fpStateAlign - 1)
	frame = state - frameToState
	if (nested || entering) && !d.AltStack.contains(frame) {
		return 0, 0, unix.EFAULT // it would overflow the alternate stack
	}
	return frame, state, nil
}

// enterHandler is what the handler finds in its registers (System V ABI: RDI,
// RSI and RDX are its three arguments).
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

// encodeState writes the floating-point state in the format of the signal
// frame.
func encodeState(state []byte, f *amd64.Frame) {
	size := amd64.ExtendedSize()
	f.ReadExtended(state[:size])
	clear(state[swReserved:legacySize])
	if amd64.ExtendedMask() == 0 {
		return
	}
	binary.LittleEndian.PutUint32(state[swMagic1:], magic1)
	binary.LittleEndian.PutUint32(state[swExtendedSize:], uint32(len(state)))
	binary.LittleEndian.PutUint64(state[swFeatures:], amd64.ExtendedMask())
	binary.LittleEndian.PutUint32(state[swStateSize:], uint32(size))
	binary.LittleEndian.PutUint32(state[size:], magic2)
}

// encodeFrame writes the frame below the floating-point state.
func encodeFrame(frame *[frameSize]byte, f *amd64.Frame, d *Delivery, state uint64) {
	clear(frame[:])
	binary.LittleEndian.PutUint64(frame[:], d.Action.Restorer)
	uc := (*[ucontextSize]byte)(frame[frameUContext:])
	flags := uint64(ucSigcontextSS | ucStrictRestoreSS)
	if amd64.ExtendedMask() != 0 {
		flags |= ucFPXState
	}
	binary.LittleEndian.PutUint64(uc[ucFlags:], flags)
	d.AltStack.Encode(uc[ucStack:], d.AltStack.Flags|d.AltStack.State(f.RSP))
	encodeContext((*[sigcontextSize]byte)(uc[ucContext:]), f, d, state)
	binary.LittleEndian.PutUint64(uc[ucSigmask:], uint64(d.Saved))
	d.Info.Encode(frame[frameInfo:])
}

// contextRegisters lists the registers in the order of struct sigcontext_64.
func contextRegisters(f *amd64.Frame) [18]*uint64 {
	return [...]*uint64{
		&f.R8, &f.R9, &f.R10, &f.R11, &f.R12, &f.R13, &f.R14, &f.R15,
		&f.RDI, &f.RSI, &f.RBP, &f.RBX, &f.RDX, &f.RAX, &f.RCX, &f.RSP, &f.RIP, &f.RFLAGS,
	}
}

// Offsets in struct sigcontext_64 behind the registers.
const (
	scCS      = 144
	scSS      = 150
	scError   = 152
	scVector  = 160
	scOldmask = 168
	scCR2     = 176
)

func encodeContext(sc *[sigcontextSize]byte, f *amd64.Frame, d *Delivery, state uint64) {
	for i, register := range contextRegisters(f) {
		binary.LittleEndian.PutUint64(sc[8*i:], *register)
	}
	binary.LittleEndian.PutUint16(sc[scCS:], uint16(f.CS))
	binary.LittleEndian.PutUint16(sc[scSS:], uint16(f.SS))
	binary.LittleEndian.PutUint64(sc[scError:], d.Fault.Error)
	binary.LittleEndian.PutUint64(sc[scVector:], d.Fault.Vector)
	binary.LittleEndian.PutUint64(sc[scOldmask:], uint64(d.Saved))
	binary.LittleEndian.PutUint64(sc[scCR2:], d.Fault.Address)
	binary.LittleEndian.PutUint64(sc[scFPState:], state)
}
