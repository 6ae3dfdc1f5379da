package amd64

// Results of EnterUser. A non-negative result is the number of a system call, the low
// 32 bits of RAX; Frame.Args returns the call's arguments. The fast path therefore
// needs only one compare, with the length of the table of system calls. A call of 32-bit
// code has Event32 in its result too, or is the vector Int80. A negative result is one of
// these events, or an encoded vector (see Vector).
const (
	// Event32 is added to the number of a call by SYSCALL in 32-bit code or SYSENTER.
	// BeginCall32 must be called for it.
	Event32 = 1 << 32
	// EventDuty: user mode was not entered, because the task owes a duty.
	EventDuty = -257
	// EventHandover: user mode was not entered, because this CPU has not
	// loaded the program's state and page tables. TakeCPU loads them.
	EventHandover = -258

	// EntryDuties are the bits of Frame.ThreadFlags that do not keep a program from
	// entering user mode, because they concern only its next system call: those of the
	// entry alone, SYSCALL_EMU, SECCOMP, RECORD_EXITS and SYSCALL_USER_DISPATCH, and the
	// paired ones, SYSCALL_AUDIT, NOHZ and SYSCALL_TRACEPOINT, which see no exit without
	// an entry (package entry). EnterUser ignores them without calling the function of
	// SetLastTest.
	EntryDuties = 0x1008c1c0

	// FirstInterrupt is the first vector of an interrupt. Package goos has
	// handled the interrupt before EnterUser returns.
	FirstInterrupt = 32
)

// Vector returns the vector that a negative result of EnterUser encodes, other than
// EventDuty and EventHandover. A vector below FirstInterrupt is an exception's, any
// other is an interrupt's. Any context.
func Vector(event int) int { return ^event }

// EnterUser runs f's program in user mode until it enters the kernel, and returns the
// cause of the entry. It first turns interrupts off and tests that no duty is owed,
// by two compares or the function of SetLastTest. A duty that is raised after the
// test interrupts user mode.
//
// The caller is f's own goroutine. Interrupts are on before and after the call. If
// a program or a tracer has set f's registers (sigreturn(2), ptrace(2)), Sanitize
// must have checked them since.
//
//go:noescape
func EnterUser(f *Frame) int

// ExecuteSyscall makes the frame that of a program that has executed a SYSCALL instruction
// which ends at next, as the landing of the trampolines does. It returns the event that
// EnterUser returns for it. The caller is f's own goroutine, and the frame is in no call.
func (f *Frame) ExecuteSyscall(next uint64) (event int) {
	if sysretKeepsAttributes {
		interruptsOff()
		fixStackSegment()
		interruptsOn()
	}
	f.RIP = next
	f.RFLAGS &^= FlagRF
	f.OrigRAX = f.RAX
	f.Flags = FrameFlags(f.RFLAGS) & stepping
	return int(uint32(f.RAX))
}

// NewFrame returns the frame of a new program: cleared registers as after execve(2) on
// Linux, interrupts on, initial extended state. root is the physical address of its
// page tables. It allocates, so only a goroutine may call it.
func NewFrame(root uint64) *Frame {
	f := &Frame{
		CS: UserCS, SS: UserSS,
		RFLAGS:  FlagIF | FlagFixed,
		Flags:   LeaveByIRET | CallOver,
		OrigRAX: NotInSyscall,
		root:    root,

		callReturn: noCallReturn,
	}
	f.area = make([]byte, extendedStateSize()+extendedAlign)
	f.extended = alignedArea(f.area)
	f.ResetExtended()
	return f
}

// Copy copies all registers and the extended state of from to f, for fork(2) and
// clone(2). f keeps its page tables. The caller is from's own goroutine, and f's
// task does not run.
func (f *Frame) Copy(from *Frame) {
	Release(from)
	Release(f)
	from.Settle()
	root, extended, area := f.root, f.extended, f.area
	copyRegisters(f, from)
	f.RFLAGS = from.ProgramFlags() // a child is not stepped
	f.controls, f.ldt, f.ports = from.controls.forked(), from.ldt, from.ports
	f.root, f.extended, f.area = root, extended, area
	copy(f.extendedBytes(), from.extendedBytes())
}

// InitKernelThread makes f the frame of a ring-0 thread that starts at rip with the
// given stack. Package goos calls it, with interrupts off.
func (f *Frame) InitKernelThread(rip, rsp uint64) {
	f.RIP, f.RSP = rip, rsp
	f.CS, f.SS = KernelCS, KernelSS
	f.RFLAGS = FlagIF | FlagFixed
	f.MXCSR = DefaultMXCSR
}

// CopyRegisters copies the registers of a runtime thread that made a system call
// to a new thread. The new thread starts with unspecified XMM registers, because a
// system call may clobber them. CopyRegisters stores no pointer. Package goos calls
// it, with interrupts off.
func (f *Frame) CopyRegisters(from *Frame) {
	copyRegisters(f, from)
	f.Flags = 0
}

// VectorsSaved reports whether the frame of a runtime thread holds the thread's
// XMM registers and MXCSR. An interrupt or exception in the kernel saves
// them; a system call does not, because it may clobber them. Interrupts are off.
func (f *Frame) VectorsSaved() bool { return f.Flags&vectorsValid != 0 }

// SetVectors sets the XMM registers and MXCSR that a runtime thread continues
// with. Interrupts are off.
func (f *Frame) SetVectors(xmm *[16][16]byte, mxcsr uint32) {
	f.XMM, f.MXCSR = *xmm, mxcsr
	f.Flags |= vectorsValid
}

// DropVectors makes a runtime thread continue with unspecified XMM registers, as
// after a system call. Interrupts are off.
func (f *Frame) DropVectors() { f.Flags &^= vectorsValid }

// EndCall sets the fields of a runtime thread's frame that the SYSCALL landing does
// not save: RFLAGS, which is always the same in a runtime thread, and Flags, which
// say that there are no XMM registers to restore. Package goos calls it first in
// Hooks.Syscall.
func (f *Frame) EndCall() {
	f.RFLAGS = FlagIF | FlagFixed
	f.Flags = 0
}

// EndEnterUser completes f, the frame of a runtime thread, after an interrupt of user
// mode that ends the thread's call of EnterUser(user). It makes f look as if the
// interrupt had arrived at the RET of that call. Package goos calls it first in
// Hooks.Trap.
func (f *Frame) EndEnterUser(user *Frame) {
	f.RSP, f.RBP = user.kernelSP, user.kernelBP
	f.RIP = codeAddresses[justReturnCode]
	f.RFLAGS = FlagIF | FlagFixed
	f.Vector = user.Vector
	f.Flags = 0
}

// InterruptsOn reports whether interrupts were on when the thread entered package
// goos. If they were off, the thread is in a critical section of this package and
// must be resumed without a change of its frame. Interrupts are off.
func (f *Frame) InterruptsOn() bool { return f.RFLAGS&FlagIF != 0 }

// copyRegisters copies the registers and the fields that describe the last entry to
// the kernel. It copies no field that another goroutine may write.
func copyRegisters(to, from *Frame) {
	to.RAX, to.RBX, to.RCX, to.RDX = from.RAX, from.RBX, from.RCX, from.RDX
	to.RSI, to.RDI, to.RBP, to.RSP = from.RSI, from.RDI, from.RBP, from.RSP
	to.R8, to.R9, to.R10, to.R11 = from.R8, from.R9, from.R10, from.R11
	to.R12, to.R13, to.R14, to.R15 = from.R12, from.R13, from.R14, from.R15
	to.RIP, to.CS, to.RFLAGS, to.SS = from.RIP, from.CS, from.RFLAGS, from.SS
	to.Vector, to.Error, to.CR2 = from.Vector, from.Error, from.CR2
	to.OrigRAX, to.Flags = from.OrigRAX, from.Flags
	to.FSBase, to.GSBase = from.FSBase, from.GSBase
	to.landingPad, to.callReturn, to.wordOwed = from.landingPad, from.callReturn, from.wordOwed
	to.XMM, to.MXCSR = from.XMM, from.MXCSR
}

// ResetRegisters sets every register as execve(2) does for a new program. It
// does not change ThreadFlags, the page tables and OrigRAX. OrigRAX is still needed:
// the duties of execve's exit are yet to be served, and a tracer reads the call's
// number there. The caller is f's own goroutine.
func (f *Frame) ResetRegisters() {
	Release(f)
	copyRegisters(f, &Frame{
		CS: UserCS, SS: UserSS,
		RFLAGS:  FlagIF | FlagFixed,
		Flags:   LeaveByIRET,
		OrigRAX: f.OrigRAX,

		callReturn: noCallReturn,
	})
	f.controls, f.ldt = f.controls.executed(), nil
	f.ResetExtended()
}

// SetRoot sets f's page tables, by the physical address of their root. The caller
// is f's own goroutine.
func (f *Frame) SetRoot(root uint64) {
	Release(f)
	f.root = root
}

// Root returns the physical address of f's page tables. Any context.
func (f *Frame) Root() uint64 { return f.root }
