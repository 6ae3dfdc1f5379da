package amd64

import (
	"sync/atomic"
	"unsafe"
)

// MaxCPUs is how many CPUs the kernel can use: one SYSCALL landing each.
const MaxCPUs = 8

// perCPU is what the trampolines know of one CPU. The blocks lie at a constant
// address in the image (boot/image reserves the page), so that a landing
// reads its own with an absolute address; elsewhere in ring 0, with interrupts
// off, the selector in the task register is the index.
//
// Addresses are integers here: the garbage collector does not see what a CPU
// holds, and whoever puts a Frame in keeps it reachable by other means.
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
	root        uint64 // what CR3 holds
	id          uint64
	apicID      uint64
	saveWanted  uint64 // another CPU wants fpregsOwner's state saved
	extended    uint64 // 1 once CR4.OSXSAVE is set here
	// flushWanted and flushDone are generations of TLB flushes: another CPU
	// counts up the first, this one sets the second.
	flushWanted, flushDone uint64
	_                      uint64
}

const (
	perCPUBase   = 0xffffffff80109000 // P_BASE of the trampolines
	perCPUStride = 128
)

// pointer makes an address that the hardware knows into a pointer. It must not
// be one of Go's heap, which only a pointer keeps alive.
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

// thisCPU returns the block of the CPU it runs on: meaningful only while
// interrupts are off.
//
//go:nosplit
func thisCPU() *perCPU {
	return (*perCPU)(pointer(perCPUBase + taskRegister()*8))
}

// frameAddress is a frame's name in a perCPU block.
//
//go:nosplit
func frameAddress(f *Frame) uint64 { return uint64(uintptr(unsafe.Pointer(f))) }

// frameAt is the inverse of frameAddress.
//
//go:nosplit
func frameAt(a uint64) *Frame { return (*Frame)(pointer(a)) }

// CPU returns the number of the CPU that runs the caller, 0 for the first.
// Interrupts must be off, or the answer may be old.
//
//go:nosplit
func CPU() int { return int(thisCPU().id) }

// Current returns the frame of the runtime thread that this CPU runs.
// Interrupts must be off.
//
//go:nosplit
func Current() *Frame { return frameAt(thisCPU().current) }

// SetCurrent makes f the frame that Resume continues and that kernel entries
// of this CPU save into. Interrupts must be off. f must never move or die.
//
//go:nosplit
func SetCurrent(f *Frame) { thisCPU().current = frameAddress(f) }

// Hooks are the three functions of package goos that the trampolines call, on
// the CPU's own stack, with interrupts off and a g that belongs to no thread.
type Hooks struct {
	// Syscall: the current thread executed SYSCALL. It begins with EndCall.
	Syscall func()
	// Trap: an exception in the kernel, or an interrupt. f is the current
	// thread's frame if that was interrupted, else that of the program that the
	// current thread ran in user mode: then it begins with EndEnterUser.
	Trap func(f *Frame)
	// Fatal: an exception inside package goos, #DF or #MC. It does not return.
	Fatal func()
}

// What the trampolines read. The first three are set once, before the first
// runtime thread runs.
var (
	onSyscall, onTrap, onFatal uint64 // addresses of func values

	// lastTest is EnterUser's when a duty is owed or a call is not over, and
	// lastMask selects the duties that it serves itself.
	lastTest func(*Frame) Exit
	lastMask uint32

	// goosG is the g of package goos: all zero, so its stack bound is 0 and
	// no function asks for more stack. goosTLS is where FS points.
	goosG   [1024]byte
	goosTLS [2]uint64

	kernelMXCSR uint32 = DefaultMXCSR

	// kernelNMIs counts the NMIs that came while a CPU was in the kernel, and
	// userNMIs those that interrupted a program.
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

// Exit is what the last test before user mode decides.
type Exit int

// The ways on from the last test. EnterUser knows them by their sign.
const (
	// Stay: not to user mode. EnterUser returns EventDuty.
	Stay Exit = EventDuty
	// BySYSRET and ByIRETQ: to user mode, by that instruction.
	BySYSRET Exit = 0
	ByIRETQ  Exit = Exit(LeaveByIRET)
)

// SetLastTest says who decides, with interrupts off, whether and how a frame
// that owes something may go to user mode, and which bits of Frame.ThreadFlags stand
// for a CPU register that is not the frame's: TakeCPU raises them, the test
// serves them. test is a top-level function that is nosplit, as is all that it
// calls. Called once, before the first task runs.
func SetLastTest(last uint32, test func(*Frame) Exit) { lastTest, lastMask = test, last }

// CountUserNMI counts an NMI that interrupted a program; those that find a CPU
// in the kernel are counted by the trampoline. Package goos calls it, with
// interrupts off.
//
//go:nosplit
func CountUserNMI() { atomic.AddUint64(&userNMIs, 1) }

// NMIs returns how many NMIs interrupted a program since the boot, and how many
// found a CPU in the kernel. Any context.
func NMIs() (user, kernel uint64) {
	return atomic.LoadUint64(&userNMIs), atomic.LoadUint64(&kernelNMIs)
}

// landings and codeAddresses are filled by the assembler.
var (
	landings      [MaxCPUs]uint64
	codeAddresses [10]uint64
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

// RuntimeStart returns the address of the Go runtime's entry point, which
// expects a stack as Linux's execve prepares it.
func RuntimeStart() uint64 { return codeAddresses[runtimeStartCode] }

// Idle returns the address of the code of a CPU's idle thread.
func Idle() uint64 { return codeAddresses[idleCode] }

// FatalState returns what the CPU pushed for an exception that has no frame:
// vector, error code, RIP, CS, RFLAGS, RSP, SS. It is for Hooks.Fatal.
func FatalState() *[7]uint64 { return (*[7]uint64)(pointer(thisCPU().scratch)) }
