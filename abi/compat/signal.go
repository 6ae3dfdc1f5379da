package compat

// Sigaction is struct sigaction of rt_sigaction(2) (linux/compat.h, compat_sigaction).
type Sigaction struct {
	Handler, Flags, Restorer uint32
	Mask                     Uint64
}

// OldSigaction is struct old_sigaction of sigaction(2) (compat_old_sigaction).
type OldSigaction struct{ Handler, Mask, Flags, Restorer uint32 }

// Stack is stack_t (sigaltstack(2), compat_stack_t).
type Stack struct{ SP, Flags, Size uint32 }

// Siginfo is siginfo_t (linux/compat.h, compat_siginfo). Signo and Code determine the
// meaning of the words of Fields, its union.
type Siginfo struct {
	Signo, Errno, Code int32
	Fields             [29]uint32
}

// Sigcontext is struct sigcontext_32 (asm/sigcontext.h): the registers of the interrupted
// program in a signal frame. A segment register has 16 bits, and 16 bits of padding.
type Sigcontext struct {
	GS, FS, ES, DS         uint32
	EDI, ESI, EBP, ESP     uint32
	EBX, EDX, ECX, EAX     uint32
	TrapNumber, Error, EIP uint32
	CS, EFlags             uint32
	ESPAtSignal, SS        uint32
	FPState, OldMask, CR2  uint32
}

// UContext is struct ucontext_ia32, the third argument of a signal handler.
type UContext struct {
	Flags, Link uint32
	Stack       Stack
	MContext    Sigcontext
	Sigmask     Uint64
}

// Sigframe is struct sigframe_ia32 (arch/x86/include/asm/sigframe.h): what the handler of a
// signal without SA_SIGINFO finds at its stack pointer.
type Sigframe struct {
	Pretcode  uint32 // the handler's return address
	Signo     int32
	Context   Sigcontext
	Unused    [624]uint8 // struct _fpstate_32
	ExtraMask uint32     // the high half of the blocked set
	Retcode   [8]uint8
}

// RTSigframe is struct rt_sigframe_ia32, that of a handler with SA_SIGINFO.
type RTSigframe struct {
	Pretcode       uint32
	Signo          int32
	Pinfo, Pucontx uint32 // the addresses of Info and UContext: the handler's arguments
	Info           Siginfo
	UContext       UContext
	Retcode        [8]uint8
}

// FSave is the format of the x87 state of FSAVE (SDM vol. 1, figure 8-9), followed by the
// two words that Linux adds in struct _fpstate_32. The first 108 bytes are struct
// user_i387_ia32_struct of ptrace(2).
type FSave struct {
	CWD, SWD, TWD, FIP, FCS, FOO, FOS uint32
	ST                                [8][10]uint8
	Status, Magic                     uint16
}
