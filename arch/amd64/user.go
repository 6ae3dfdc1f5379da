package amd64

import (
	"sync/atomic"
	"unsafe"
)

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

// HasVectors reports whether a runtime thread was interrupted, so that its
// XMM registers and MXCSR must be kept too.
func (f *Frame) HasVectors() bool { return f.Flags&vectorsValid != 0 }

// SetVectors says whether the thread's XMM registers and MXCSR are to be
// loaded when it goes on.
func (f *Frame) SetVectors(valid bool) {
	f.Flags &^= vectorsValid
	if valid {
		f.Flags |= vectorsValid
	}
}

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

// LiveCPU returns the number of the CPU that holds f's state, or -1: where f
// enters user mode next, unless EnterUser says Handover first. Any context.
func (f *Frame) LiveCPU() int {
	c := atomic.LoadUint64(&f.cpu)
	if c == 0 {
		return -1
	}
	return int((*perCPU)(pointer(c)).id)
}

// TakeCPU loads f's page tables, extended state and GS base on the CPU that
// runs the caller, after parking there whose they are, and after fetching f's
// from the CPU that has them live. The caller is f's own goroutine, with
// interrupts on. By the time it returns the caller may run elsewhere: then
// EnterUser says so again.
//
// It reports false, and nothing is loaded, if the runtime thread of the caller
// is not bound to the CPUs of f's affinity: package goos binds it.
func TakeCPU(f *Frame) bool {
	for {
		switch tryTakeCPU(f) {
		case taken:
			return true
		case refused:
			return false
		}
		Pause()
	}
}

// taking is how an attempt to take a CPU ended.
type taking uint8

const (
	taken taking = iota
	refused
	again // another CPU was asked to park the state
)

//go:nosplit
func tryTakeCPU(f *Frame) taking {
	interruptsOff()
	result := takeThis(thisCPU(), f)
	interruptsOn()
	return result
}

// takeThis is tryTakeCPU with interrupts off, on CPU c.
//
//go:nosplit
func takeThis(c *perCPU, f *Frame) taking {
	if misplaced(c, f) {
		return refused
	}
	if c.live != frameAddress(f) {
		if other := atomic.LoadUint64(&f.cpu); other != 0 {
			requestPark((*perCPU)(pointer(other)))
			return again
		}
		enableExtendedState(c)
		park(c)
		unpark(c, f)
		if misplaced(c, f) { // SetAffinity came in between
			park(c)
			return refused
		}
	}
	if c.root != f.root {
		c.root = f.root
		loadCR3(f.root)
	}
	raiseControls(c, f)
	c.owner = frameAddress(f)
	c.userSS = uint64(uintptr(unsafe.Pointer(&f.SS)))
	return taken
}

// park saves what is live on this CPU into its frame. Only the CPU itself
// does so, with interrupts off, so no lock is needed.
//
//go:nosplit
func park(c *perCPU) {
	if c.live == 0 {
		return
	}
	f := frameAt(c.live)
	saveExtended(f)
	f.GSBase = readGSBase()
	keepSelectors(f, &controlsLoaded[c.id], readSelectors())
	c.owner, c.live = 0, 0
	atomic.StoreUint64(&f.cpu, 0)
}

// unpark loads f, which is live nowhere. The exchange orders it before the
// load of Work in EnterUser (see Kick), and of f's affinity (see SetAffinity).
//
//go:nosplit
func unpark(c *perCPU, f *Frame) {
	restoreExtended(f.extended)
	writeGSBase(f.GSBase)
	c.live = frameAddress(f)
	f.lastCPU.Store(uint32(c.id))
	atomic.SwapUint64(&f.cpu, uint64(uintptr(unsafe.Pointer(c))))
}

// requestPark asks another CPU to park what it has live.
//
//go:nosplit
func requestPark(c *perCPU) {
	atomic.StoreUint64(&c.fetch, 1)
	sendIPI(c)
}

// Release parks f's state in memory, wherever it is live. After it, and until
// the task enters user mode again, the frame is complete in memory: it may be
// read, changed or freed. The caller is f's own goroutine, or f's task is not
// running.
func Release(f *Frame) {
	for !tryRelease(f) {
		Pause()
	}
}

//go:nosplit
func tryRelease(f *Frame) bool {
	if atomic.LoadUint64(&f.cpu) == 0 {
		return true
	}
	interruptsOff()
	c := thisCPU()
	if c.live == frameAddress(f) {
		park(c)
	} else if other := atomic.LoadUint64(&f.cpu); other != 0 {
		requestPark((*perCPU)(pointer(other)))
	}
	interruptsOn()
	return atomic.LoadUint64(&f.cpu) == 0
}

// TickNanoseconds is how often the timer charges a CPU's time to a program.
const TickNanoseconds = 4_000_000

// ChargeTick charges a timer interrupt to the program whose state this CPU has
// live. Package goos calls it, with interrupts off.
//
//go:nosplit
func ChargeTick(fromUser bool) {
	c := thisCPU()
	if c.live == 0 {
		return
	}
	if f := frameAt(c.live); fromUser {
		f.UserTicks.Add(1)
	} else {
		f.SystemTicks.Add(1)
	}
}

// Kick interrupts the CPU on which f's program may be in user mode, so that a
// duty just raised in f.ThreadFlags is seen. If it runs in no user mode nothing is
// lost: the raise and EnterUser's test are ordered by locked instructions.
// Any goroutine may call it.
//
//go:nosplit
func Kick(f *Frame) {
	if atomic.LoadUint64(&f.cpu) == 0 {
		return
	}
	interruptsOff()
	other := atomic.LoadUint64(&f.cpu)
	if c := (*perCPU)(pointer(other)); other != 0 && c != thisCPU() {
		sendIPI(c)
	}
	interruptsOn()
}
