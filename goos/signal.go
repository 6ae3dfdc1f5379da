package goos

import (
	"math/bits"

	"slowpath/arch/amd64"
)

// The runtime uses two kinds of signal: SIGURG, sent by tgkill to preempt a
// goroutine, and those of faults, which become Go panics.
const (
	sigILL  = 4
	sigTRAP = 5
	sigFPE  = 8
	sigSEGV = 11

	signals = 64
)

// action is struct sigaction as the kernel takes it.
type action struct{ handler, flags, restorer, mask uint64 }

var actions [signals + 1]action

func rtSigaction(_ *thread, f *amd64.Frame) uint64 {
	sig := arg0(f)
	if sig == 0 || sig > signals {
		return fail(errINVAL)
	}
	if old := arg2(f); old != 0 {
		*at[action](old) = actions[sig]
	}
	if set := arg1(f); set != 0 {
		actions[sig] = *at[action](set)
	}
	return 0
}

func rtSigprocmask(t *thread, f *amd64.Frame) uint64 {
	if old := arg2(f); old != 0 {
		*at[uint64](old) = t.mask
	}
	if arg1(f) == 0 {
		return 0
	}
	set := *at[uint64](arg1(f))
	const add, remove = 0, 1
	switch arg0(f) {
	case add:
		t.mask |= set
	case remove:
		t.mask &^= set
	default:
		t.mask = set
	}
	return 0
}

// stackT is stack_t of Linux.
type stackT struct {
	base  uint64
	flags uint64
	size  uint64
}

func sigaltstack(t *thread, f *amd64.Frame) uint64 {
	if old := arg1(f); old != 0 {
		*at[stackT](old) = stackT{base: t.altStack, size: t.altSize}
	}
	if set := arg0(f); set != 0 {
		s := at[stackT](set)
		t.altStack, t.altSize = s.base, s.size
	}
	return 0
}

func tgkill(_ *thread, f *amd64.Frame) uint64 {
	for i := range maxThreads {
		if t := &threads[i]; t.state != dead && t.tid == arg1(f) {
			post(t, arg2(f))
			return 0
		}
	}
	return fail(errSRCH)
}

// post makes a signal pending and wakes or kicks the thread, which then
// delivers it.
func post(t *thread, sig uint64) {
	t.pending |= 1 << (sig - 1)
	switch {
	case t.state == blocked:
		wake(t, fail(errINTR))
	case t.state == running && t.cpu != amd64.CPU():
		amd64.SendIPI(t.cpu)
	}
}

// deliver gives the current thread a pending signal. A thread with interrupts
// off is inside a critical section of package amd64: it gets the signal at its
// next entry.
func deliver() {
	t := me()
	if isIdle(t) || !t.frame.InterruptsOn() {
		return
	}
	pending := t.pending &^ t.mask
	if pending == 0 {
		return
	}
	sig := uint64(bits.TrailingZeros64(pending)) + 1
	t.pending &^= 1 << (sig - 1)
	amd64.PreemptCPUTime(&t.frame)  // the runtime preempts goroutines by signal
	const sentByTgkill = ^uint64(5) // SI_TKILL, -6
	pushSignal(t, sig, sentByTgkill, 0)
}

// signalFrame is the part of Linux's rt_sigframe that the runtime reads,
// followed by what sigreturn needs.
type signalFrame struct {
	restorer uint64
	info     [16]uint64
	context  userContext
	vectors  [16][16]byte
	mxcsr    uint32
	valid    uint32 // 1 if rtSigreturn restores vectors and mxcsr
}

// userContext is struct ucontext of Linux.
type userContext struct {
	flags, link uint64
	stack       stackT
	registers   [23]uint64 // struct sigcontext_64
	reserved    [8]uint64
	mask        uint64
}

// frameAlign and redZone are the ABI's: a function may use 128 bytes below
// its stack pointer, and is entered with the stack 8 bytes off 16.
const (
	frameAlign = 16
	redZone    = 128
)

// pushSignal makes the thread run its handler of a signal.
func pushSignal(t *thread, sig, code, address uint64) {
	a := &actions[sig]
	if a.handler <= 1 {
		return // the runtime handles every signal that it can get
	}
	f := &t.frame
	top := f.RSP - redZone
	if f.RSP-t.altStack > t.altSize {
		top = t.altStack + t.altSize
	}
	const size = 1024 // of a signalFrame, rounded up
	sp := (top-size)&^(frameAlign-1) - 8
	s := at[signalFrame](sp)
	*s = signalFrame{restorer: a.restorer}
	s.info[0] = sig
	s.info[1] = code & 0xffffffff
	s.info[2] = address
	s.context.registers = [23]uint64{
		f.R8, f.R9, f.R10, f.R11, f.R12, f.R13, f.R14, f.R15,
		f.RDI, f.RSI, f.RBP, f.RBX, f.RDX, f.RAX, f.RCX, f.RSP,
		f.RIP, f.RFLAGS, 0x33, f.Error, f.Vector, 0, f.CR2,
	}
	s.context.mask = t.mask
	if f.VectorsSaved() {
		s.valid = 1
		s.vectors, s.mxcsr = f.XMM, f.MXCSR
	}
	t.mask |= a.mask | 1<<(sig-1)
	f.RIP, f.RSP = a.handler, sp
	f.RDI, f.RSI, f.RDX, f.RAX = sig, sp+infoOffset, sp+contextOffset, 0
	f.RFLAGS &^= amd64.FlagDF
	f.DropVectors()
}

// Offsets in a signalFrame.
const (
	infoOffset    = 8
	contextOffset = infoOffset + 16*8
)

func rtSigreturn(t *thread, f *amd64.Frame) uint64 {
	s := at[signalFrame](f.RSP - 8) // the handler's RET popped the restorer
	r := &s.context.registers
	f.R8, f.R9, f.R10, f.R11, f.R12, f.R13, f.R14, f.R15 = r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]
	f.RDI, f.RSI, f.RBP, f.RBX, f.RDX, f.RAX, f.RCX, f.RSP = r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]
	f.RIP, f.RFLAGS = r[16], r[17]|amd64.FlagIF|amd64.FlagFixed
	t.mask = s.context.mask
	f.DropVectors()
	if s.valid != 0 {
		f.SetVectors(&s.vectors, s.mxcsr)
	}
	return switched
}
