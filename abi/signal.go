package abi

// Sigaction is the kernel's struct sigaction (rt_sigaction(2), asm/signal.h).
type Sigaction struct {
	Handler  uint64
	Flags    uint64
	Restorer uint64
	Mask     uint64
}

// Stack is stack_t (sigaltstack(2), asm/signal.h).
type Stack struct {
	SP    uint64
	Flags uint32
	Pad   uint32
	Size  uint64
}

// Sigcontext is the 64-bit struct sigcontext (asm/sigcontext.h): the registers
// of the interrupted program in a signal frame.
type Sigcontext struct {
	R8, R9, R10, R11, R12, R13, R14, R15 uint64
	RDI, RSI, RBP, RBX, RDX, RAX, RCX    uint64
	RSP, RIP, RFLAGS                     uint64
	CS, GS, FS, SS                       uint16
	Error, TrapNumber                    uint64
	OldMask                              uint64
	CR2                                  uint64
	FPState                              uint64
	Reserved                             [8]uint64
}

// UContext is struct ucontext (asm-generic/ucontext.h), the third argument of a
// signal handler.
type UContext struct {
	Flags    uint64
	Link     uint64
	Stack    Stack
	MContext Sigcontext
	Sigmask  uint64
}

// RTSigframe is struct rt_sigframe (arch/x86/include/asm/sigframe.h): what a
// handler finds at its stack pointer. It is not in the headers for programs.
type RTSigframe struct {
	Pretcode uint64 // the handler's return address
	UContext UContext
	Info     Siginfo
}

// FPXSWBytes is struct _fpx_sw_bytes (asm/sigcontext.h): the last 48 bytes of
// the FXSAVE area in a signal frame, by which programs recognise an XSAVE area.
type FPXSWBytes struct {
	Magic1       uint32
	ExtendedSize uint32
	XFeatures    uint64
	XStateSize   uint32
	Padding      [7]uint32
}

// Sigevent is struct sigevent (sigevent(7), asm-generic/siginfo.h). Of its
// union it has the thread of SIGEV_THREAD_ID.
type Sigevent struct {
	Value  uint64
	Signo  int32
	Notify int32
	TID    int32
	Pad    [11]int32
}

// SignalfdSiginfo is struct signalfd_siginfo (signalfd(2), linux/signalfd.h).
type SignalfdSiginfo struct {
	Signo              uint32
	Errno, Code        int32
	PID, UID           uint32
	FD                 int32
	TID, Band          uint32
	Overrun, Trapno    uint32
	Status, Int        int32
	Ptr                uint64
	Utime, Stime, Addr uint64
	AddrLSB            uint16
	Pad                uint16
	Syscall            int32
	CallAddr           uint64
	Arch               uint32
	Pad1               [28]uint8
}
