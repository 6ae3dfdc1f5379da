package goos

import (
	"syscall"
	"unsafe"

	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// The kernel's Go code, above the runtime, reaches this layer as the runtime
// does, by SYSCALL, with numbers that Linux does not use.
const firstCall = 0x1000

const (
	callAllocFrames = firstCall + iota
	callFreeFrames
	callFreeCount
	callWaitIRQ
	callAddFrame
	callBind
)

var ownCalls = [...]call{
	callAllocFrames - firstCall: allocFrames,
	callFreeFrames - firstCall:  freeFrames,
	callFreeCount - firstCall:   freeCount,
	callWaitIRQ - firstCall:     waitForIRQ,
	callAddFrame - firstCall:    addFrame,
	callBind - firstCall:        bind,
}

// AllocFrames fills dst with free frames of unspecified contents and returns
// how many it got. It does not sleep.
func AllocFrames(dst []frame.Number) int {
	if len(dst) == 0 {
		return 0
	}
	n, _, _ := syscall.RawSyscall(callAllocFrames, uintptr(unsafe.Pointer(&dst[0])), uintptr(len(dst)), 0)
	return int(n)
}

func allocFrames(_ *thread, f *amd64.Frame) uint64 {
	for i := range arg1(f) {
		n, ok := frames.Alloc(0)
		if !ok {
			return i
		}
		*at[frame.Number](arg0(f) + i*uint64(unsafe.Sizeof(n))) = n
	}
	return arg1(f)
}

// FreeFrames gives frames back that AllocFrames gave. It does not sleep.
func FreeFrames(src []frame.Number) {
	if len(src) > 0 {
		syscall.RawSyscall(callFreeFrames, uintptr(unsafe.Pointer(&src[0])), uintptr(len(src)), 0)
	}
}

func freeFrames(_ *thread, f *amd64.Frame) uint64 {
	for i := range arg1(f) {
		n := *at[frame.Number](arg0(f) + i*uint64(unsafe.Sizeof(frame.Number(0))))
		frames.Free(n, 0)
	}
	return 0
}

// AddFrame gives one more frame to the allocator, once the runtime runs: one
// that boot had set aside.
func AddFrame(n frame.Number) {
	syscall.RawSyscall(callAddFrame, uintptr(n), 0, 0)
}

func addFrame(_ *thread, f *amd64.Frame) uint64 {
	n := frame.Number(arg0(f))
	frames.AddRange(n, n+1)
	return 0
}

// FreeCount returns how many frames are free. It does not sleep.
func FreeCount() int {
	n, _, _ := syscall.RawSyscall(callFreeCount, 0, 0, 0)
	return int(n)
}

func freeCount(*thread, *amd64.Frame) uint64 { return uint64(frames.FreeFrames()) }

// irqs is how many interrupts of devices there are: the inputs of one I/O APIC.
const irqs = 24

// raised holds the interrupts that came while nobody waited.
var raised [irqs]bool

// WaitIRQ sleeps until a device's interrupt comes, or returns at once if it came
// since the last wait. One goroutine may wait for each. It takes an operating
// system thread for as long, not a processor.
func WaitIRQ(irq int) {
	for !waitOnce(irq) {
	}
}

// waitOnce makes the call for WaitIRQ, and reports false if it was interrupted.
// It gives the runtime's processor away first: syscall.Syscall keeps it until
// sysmon has looked twice, which on an idle machine is 20 ms in which the only
// processor runs nobody's program.
//
//go:nosplit
func waitOnce(irq int) bool {
	entersyscallblock()
	_, _, e := syscall.RawSyscall(callWaitIRQ, uintptr(irq), 0, 0)
	exitsyscall()
	return e == 0
}

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

func waitForIRQ(_ *thread, f *amd64.Frame) uint64 {
	irq := arg0(f)
	if irq >= irqs {
		return fail(errINVAL)
	}
	if raised[irq] {
		raised[irq] = false
		return 0
	}
	f.RAX = 0
	block(waitIRQ, irq, never)
	return switched
}

func deviceInterrupt(irq uint64) {
	if t := sleeper(waitIRQ, irq); t != nil {
		wake(t, 0)
		return
	}
	raised[irq] = true
}

// Bind makes the caller's thread run only on CPUs of a set, a bit each, 0 for
// all; when it returns, it runs on one of them. That holds until the thread
// blocks, or a tick finds it in the kernel: it is made for the moment before
// user mode. The caller has nothing locked that others spin for.
func Bind(cpus uint64) { syscall.RawSyscall(callBind, uintptr(cpus), 0, 0) }

// Yield lets the other threads run that want this CPU, bound ones among them,
// of which the Go scheduler knows nothing.
func Yield() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
