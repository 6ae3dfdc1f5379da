package amd64

// What EnterUser returns. A number that is not negative is a system call's:
// the low 32 bits of RAX, so that one compare against the table's length is
// all that the fast path asks. Its arguments are in RDI, RSI, RDX, R10, R8 and
// R9. A negative number is an event: one of these, or a vector (see Vector).
const (
	// EventDuty: the user was not entered, because a duty is owed.
	EventDuty = -257
	// EventHandover: the user was not entered, because its state is not what
	// this CPU has loaded. TakeCPU changes that.
	EventHandover = -258

	// FirstInterrupt is the first vector that is an interrupt: served before
	// EnterUser returned, there is nothing left to do for it.
	FirstInterrupt = 32
)

// Vector returns the vector of an event: of an exception, below
// FirstInterrupt, or of an interrupt.
func Vector(event int) int { return ^event }

// EnterUser runs the program whose registers f holds, in user mode, until it
// comes back, and returns why. Its last step
// before user mode, with interrupts off, is the test that no duty is owed (two
// compares, or else the function of SetLastTest), so a wake-up between
// that test and user mode arrives as an interrupt.
//
// The caller is the goroutine of f's task. It runs with interrupts on, before
// and after; f must have passed Sanitize since a user chose its registers.
//
//go:noescape
func EnterUser(f *Frame) int

// NewFrame returns a frame for a program that has not run: zero in every
// register that Linux clears at exec, interrupts on, and the initial extended
// state. root is the physical address of its page tables.
func NewFrame(root uint64) *Frame {
	f := &Frame{
		CS: UserCS, SS: UserSS,
		RFLAGS:  FlagIF | FlagFixed,
		Flags:   LeaveByIRET | CallOver,
		OrigRAX: NotInSyscall,
		root:    root,
	}
	f.area = make([]byte, extendedStateSize()+extendedAlign)
	f.extended = alignedArea(f.area)
	f.ResetExtended()
	return f
}

// Copy makes f what from is: all registers, extended state included, in the
// address space root. It is for fork(2) and clone(2). Both tasks must be in
// the kernel; from's state is parked, so the caller is from's own goroutine.
func (f *Frame) Copy(from *Frame) {
	Release(from)
	Release(f)
	from.Settle()
	root, extended, area := f.root, f.extended, f.area
	copyRegisters(f, from)
	f.controls = from.controls.forked()
	f.root, f.extended, f.area = root, extended, area
	copy(f.extendedBytes(), from.extendedBytes())
}

// InitKernelThread makes f the frame of a thread of ring 0 that begins at rip
// with the given stack. It is for package goos.
func (f *Frame) InitKernelThread(rip, rsp uint64) {
	f.RIP, f.RSP = rip, rsp
	f.CS, f.SS = KernelCS, KernelSS
	f.RFLAGS = FlagIF | FlagFixed
	f.MXCSR = DefaultMXCSR
}

// CopyRegisters copies the general registers, for a runtime thread that
// continues where another is: not the vectors, which a system call clobbers.
// It stores no pointer.
func (f *Frame) CopyRegisters(from *Frame) {
	copyRegisters(f, from)
	f.Flags = 0
}

// VectorsSaved reports whether the frame of a runtime thread holds the thread's
// XMM registers and MXCSR. It does after an interrupt or exception of the
// kernel's own code; a system call clobbers them. Interrupts are off.
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

// EndCall completes the frame of a runtime thread that executed SYSCALL: the
// kernel's flags are always the same, and a call clobbers the vectors, so there
// are none to load. Package goos calls it first.
func (f *Frame) EndCall() {
	f.RFLAGS = FlagIF | FlagFixed
	f.Flags = 0
}

// EndEnterUser makes f, a runtime thread's frame, what it is when an interrupt
// of user mode has ended the thread's call of EnterUser for user: the interrupt
// is then served as if it had come at the last instruction of that call.
// Package goos calls it first.
func (f *Frame) EndEnterUser(user *Frame) {
	f.RSP, f.RBP = user.kernelSP, user.kernelBP
	f.RIP = codeAddresses[justReturnCode]
	f.RFLAGS = FlagIF | FlagFixed
	f.Vector = user.Vector
	f.Flags = 0
}

// InterruptsOn reports whether the thread was interruptible: if not, it is
// inside a short section of this package and must go on as it is.
func (f *Frame) InterruptsOn() bool { return f.RFLAGS&FlagIF != 0 }

// copyRegisters copies all but the words that others may write meanwhile.
func copyRegisters(to, from *Frame) {
	to.RAX, to.RBX, to.RCX, to.RDX = from.RAX, from.RBX, from.RCX, from.RDX
	to.RSI, to.RDI, to.RBP, to.RSP = from.RSI, from.RDI, from.RBP, from.RSP
	to.R8, to.R9, to.R10, to.R11 = from.R8, from.R9, from.R10, from.R11
	to.R12, to.R13, to.R14, to.R15 = from.R12, from.R13, from.R14, from.R15
	to.RIP, to.CS, to.RFLAGS, to.SS = from.RIP, from.CS, from.RFLAGS, from.SS
	to.Vector, to.Error, to.CR2 = from.Vector, from.Error, from.CR2
	to.OrigRAX, to.Flags = from.OrigRAX, from.Flags
	to.FSBase, to.GSBase = from.FSBase, from.GSBase
	to.XMM, to.MXCSR = from.XMM, from.MXCSR
}

// ResetRegisters makes every register what execve(2) gives a new program. The
// thread flags and the page tables stay. So does OrigRAX, because the exit of
// execve(2) is still owed and a tracer reads the call's number there. The caller
// is f's own goroutine.
func (f *Frame) ResetRegisters() {
	Release(f)
	copyRegisters(f, &Frame{
		CS: UserCS, SS: UserSS,
		RFLAGS:  FlagIF | FlagFixed,
		Flags:   LeaveByIRET,
		OrigRAX: f.OrigRAX,
	})
	f.controls = f.controls.executed()
	f.ResetExtended()
}

// SetRoot moves f to other page tables, by the physical address of their
// root. The caller is f's own goroutine.
func (f *Frame) SetRoot(root uint64) {
	Release(f)
	f.root = root
}

// Root returns the physical address of f's page tables.
func (f *Frame) Root() uint64 { return f.root }
