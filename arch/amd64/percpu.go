package amd64

import (
	"sync/atomic"
	"unsafe"
)

// MaxCPUs is how many CPUs the kernel can use: one SYSCALL landing each.
const MaxCPUs = 8

// perCPU is the per-CPU data of the trampolines. The blocks are at a constant
// address in a page of the image that boot/image reserves. A landing reads its own
// block by an absolute address. Other code in ring 0, with interrupts off, uses the
// selector in the task register as the index.
//
// Addresses are integers, which the garbage collector does not see. Code that puts
// a Frame here keeps it reachable by other means.
type perCPU struct {
	// userFrame is the frame whose state and page tables are both loaded:
	// EnterUser enters no other. Zero makes EnterUser return EventHandover.
	userFrame uint64
	// userSS is the address of userFrame's SS field, where the SYSCALL landing
	// begins to push.
	userSS      uint64
	scratch     uint64
	kernelFS    uint64 // FS base of the current runtime thread
	current     uint64 // frame of the current runtime thread
	stack       uint64 // top of package goos's stack
	inGoos      uint64 // non-zero while package goos runs
	fpregsOwner uint64 // frame whose state is in the registers (takecpu.go), or 0
	root        uint64 // the page tables that CR3 holds: see switchRoot
	id          uint64
	apicID      uint64
	saveWanted  uint64 // another CPU wants fpregsOwner's state saved
	extended    uint64 // 1 once CR4.OSXSAVE is set here
	// flushWanted and flushDone are generations of TLB flushes: another CPU
	// counts up the first, this one sets the second.
	flushWanted, flushDone uint64
	// nextRoot is the root that CR3 will hold, while switchRoot changes it. At
	// other times it is equal to root.
	nextRoot uint64
}

const (
	perCPUBase   = 0xffffffff80109000 // P_BASE of the trampolines
	perCPUStride = 128
)

// pointer converts an address that the hardware uses into a pointer. It must not be
// an address of Go's heap, which only a pointer keeps alive.
//
//go:nosplit
func pointer(address uint64) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

// cpuBlock returns the block of CPU i.
//
//go:nosplit
func cpuBlock(i uint64) *perCPU {
	return (*perCPU)(pointer(perCPUBase + tssBase*8 + i*perCPUStride))
}

// thisCPU returns the block of the CPU that runs the caller. Interrupts are off.
//
//go:nosplit
func thisCPU() *perCPU {
	return (*perCPU)(pointer(perCPUBase + taskRegister()*8))
}

// frameAddress returns the address of a frame, for a perCPU block.
//
//go:nosplit
func frameAddress(f *Frame) uint64 { return uint64(uintptr(unsafe.Pointer(f))) }

// frameAt is the inverse of frameAddress.
//
//go:nosplit
func frameAt(a uint64) *Frame { return (*Frame)(pointer(a)) }

// CPU returns the number of the CPU that runs the caller, 0 for the first. If
// interrupts are on, the caller may already run on another.
//
//go:nosplit
func CPU() int { return int(thisCPU().id) }

// Current returns the frame of the runtime thread that this CPU runs.
// Interrupts must be off.
//
//go:nosplit
func Current() *Frame { return frameAt(thisCPU().current) }

// SetCurrent makes f the frame of this CPU's current runtime thread: Resume
// continues it, and entries from the kernel save into it. Interrupts must be off. f
// must never move or become garbage.
//
//go:nosplit
func SetCurrent(f *Frame) { thisCPU().current = frameAddress(f) }

// Hooks are the functions of package goos that the trampolines call, on the CPU's
// own stack, with interrupts off and a g that belongs to no thread.
type Hooks struct {
	// Syscall handles a SYSCALL of the current thread. It calls EndCall first.
	Syscall func()
	// Trap handles an exception in the kernel, or an interrupt. f is the current
	// thread's frame, or that of the program that the thread ran in user mode:
	// then Trap calls EndEnterUser first.
	Trap func(f *Frame)
	// Fatal ends the machine after an exception in package goos, #DF or #MC.
	Fatal func()
}

// Variables that the trampolines read. The first three are set once, before the
// first runtime thread runs.
var (
	onSyscall, onTrap, onFatal uint64 // addresses of func values

	// lastTest is what EnterUser calls if a duty is owed or CallOver is clear.
	// lastMask are the duties that it serves itself.
	lastTest func(*Frame) Exit
	lastMask uint32

	// goosG is the g of package goos. Its stack bound is 0, so no function
	// grows the stack. FS base points to goosTLS+8; trampoline_amd64.s initialises it.
	goosG   [1024]byte
	goosTLS [2]uint64

	kernelMXCSR uint32 = DefaultMXCSR

	// kernelNMIs and userNMIs count the NMIs in the kernel and in user mode.
	kernelNMIs, userNMIs uint64
)

// SetHooks installs the functions of package goos, which must be top-level
// functions. It is called once, at boot, on the first CPU.
func SetHooks(h Hooks) {
	onSyscall, onTrap, onFatal = funcAddress(&h.Syscall), funcAddress(&h.Trap), funcAddress(&h.Fatal)
}

// funcAddress returns what a func value points to: static data, for a
// top-level function.
func funcAddress[F func() | func(*Frame)](f *F) uint64 { return *(*uint64)(unsafe.Pointer(f)) }

// Exit is the decision of the last test before user mode.
type Exit int

// The decisions, which EnterUser compares as it does a frame's flags.
const (
	// Stay makes EnterUser return EventDuty.
	Stay Exit = EventDuty
	// BySYSRET, BySYSRET32 and ByIRETQ enter user mode: by SYSRET to 64-bit code, by
	// SYSRET to 32-bit code, and by IRETQ.
	BySYSRET   Exit = 0
	BySYSRET32 Exit = Exit(Call32)
	ByIRETQ    Exit = Exit(LeaveByIRET)
)

// SetLastTest sets the function that decides, with interrupts off, whether and how
// a frame that owes duties enters user mode. last are the bits of
// Frame.ThreadFlags that TakeCPU raises when the CPU's controls are not those that
// the frame wants (LoadControls); test serves them. test is a top-level function.
// It and all its callees are nosplit. SetLastTest is called once, before the first
// task runs.
func SetLastTest(last uint32, test func(*Frame) Exit) { lastTest, lastMask = test, last }

// CountUserNMI counts an NMI in user mode. The trampoline counts those in the
// kernel. Package goos calls it, with interrupts off.
//
//go:nosplit
func CountUserNMI() { atomic.AddUint64(&userNMIs, 1) }

// NMIs returns the number of NMIs in user mode and in the kernel since boot. Any
// context.
func NMIs() (user, kernel uint64) {
	return atomic.LoadUint64(&userNMIs), atomic.LoadUint64(&kernelNMIs)
}

// landings and codeAddresses are initialised in trampoline_amd64.s.
var (
	landings      [3][MaxCPUs]uint64
	codeAddresses [10]uint64
)

// The indices of landings: the entries of SYSCALL in 64-bit and in 32-bit code, and of
// SYSENTER.
const (
	landing64 = iota
	landing32
	landingSysenter
)

// The indices of codeAddresses.
const (
	trapCode = iota
	paranoidCode
	idleCode
	copyUserCode
	copyUserEndCode
	runtimeStartCode
	runtimeClockCode
	justReturnCode
	readFSBaseCode
	writeFSBaseCode
)

// RuntimeStart returns the address of the Go runtime's entry point. It expects the
// stack that execve(2) prepares. Any context.
func RuntimeStart() uint64 { return codeAddresses[runtimeStartCode] }

// Idle returns the address of the code of the idle threads. Any context.
func Idle() uint64 { return codeAddresses[idleCode] }

// FatalState returns what the stub and the CPU pushed for an exception without a
// frame: vector, error code, RIP, CS, RFLAGS, RSP, SS. Hooks.Fatal calls it, with
// interrupts off.
func FatalState() *[7]uint64 { return (*[7]uint64)(pointer(thisCPU().scratch)) }
