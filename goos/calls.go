package goos

import (
	"syscall"
	"unsafe"

	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// The kernel's Go code above the runtime reaches this layer by SYSCALL, like the
// runtime, with numbers that Linux does not use.
const firstCall = 0x1000

const (
	callAllocFrames = firstCall + iota
	callFreeFrames
	callWaitIRQ
	callAddFrame
	callPin
	callIdle
	callKickIdle
)

var ownCalls = [...]call{
	callAllocFrames - firstCall: allocFrames,
	callFreeFrames - firstCall:  freeFrames,
	callWaitIRQ - firstCall:     waitForIRQ,
	callAddFrame - firstCall:    addFrame,
	callPin - firstCall:         pin,
	callIdle - firstCall:        idle,
	callKickIdle - firstCall:    kickIdle,
}

// AllocFrames fills dst with free frames, whose contents are unspecified, and
// returns how many it allocated. It does not sleep.
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

// FreeFrames frees frames that AllocFrames returned. It does not sleep.
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

// AddFrame gives the allocator a frame that boot had reserved. It is called once
// the runtime runs, and does not sleep.
func AddFrame(n frame.Number) {
	syscall.RawSyscall(callAddFrame, uintptr(n), 0, 0)
}

func addFrame(_ *thread, f *amd64.Frame) uint64 {
	n := frame.Number(arg0(f))
	frames.AddRange(n, n+1)
	return 0
}

// FreeCount returns the number of free frames. Another CPU may change it at the
// same time. It does not sleep. Any context.
func FreeCount() int { return frames.FreeFrames() }

// irqs is the number of device interrupts: the inputs of one I/O APIC.
const irqs = 24

// raised holds the interrupts that came while no thread waited for them.
var raised [irqs]bool

// WaitIRQ sleeps until a device's interrupt comes. It returns at once if one came
// since the last wait. One goroutine may wait for each interrupt. It occupies a
// thread of the runtime meanwhile, but no P.
func WaitIRQ(irq int) {
	for !waitOnce(irq) {
	}
}

// waitOnce makes the call for WaitIRQ, and returns false if a signal interrupted
// it. It releases its P before the call. syscall.Syscall would keep the P until
// sysmon retakes it, which takes 20 ms on an idle machine, and with one P no
// program runs until then.
//
//go:nosplit
func waitOnce(irq int) bool {
	entersyscallblock()
	_, _, e := syscall.RawSyscall(callWaitIRQ, uintptr(irq), 0, 0)
	exitsyscall()
	return e == 0
}

// EnterUser is amd64.EnterUser for a CPU of nohz_full=. User mode is a system call for the Go
// scheduler, which then takes the P without the thread: neither its monitor thread nor the garbage
// collector interrupts the program. Each call returns amd64.EventHandover unless amd64.TakeCPU was
// called before it.
//
//go:nosplit
func EnterUser(f *amd64.Frame) int {
	entersyscall()
	amd64.DeferFlushes()
	event := amd64.EnterUser(f)
	amd64.EndDeferrals()
	amd64.ForgetUser(f)
	exitsyscall()
	return event
}

//go:linkname entersyscall runtime.entersyscall
func entersyscall()

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

// Pin pins the caller's thread to a set of CPUs, one bit each, 0 for all. When
// it returns the thread runs on one of them. It stays pinned until it blocks or a
// tick finds it in the kernel, so Pin is for the moment before user mode. The
// caller must hold no lock that others spin for.
func Pin(cpus uint64) { syscall.RawSyscall(callPin, uintptr(cpus), 0, 0) }

// Rearm makes a CPU's timer obey its deadlines, one of which has become earlier
// (amd64.SetDeadlines). It does not sleep, and is no system call, because each wake-up may
// need it.
func Rearm(cpu int) {
	now := Nanotime()
	seen := &seenDeadlines[cpu]
	next := min(until(amd64.TimerDeadline(cpu), now, seen.timer), until(amd64.SliceDeadline(cpu), now, seen.slice))
	if next != never {
		amd64.ArmTimer(cpu, timerCount(next, now))
	}
}

// kicked is set for a CPU whose Idle was ended before it began.
var kicked [amd64.MaxCPUs]bool

// Idle sleeps until KickIdle is called for the CPU or a deadline of the CPU has passed. When
// it returns, the caller's thread runs on that CPU. It holds no P meanwhile. The caller is the
// CPU's dispatcher; there is one for each CPU.
//
//go:nosplit
func Idle(cpu int) {
	entersyscallblock()
	syscall.RawSyscall(callIdle, uintptr(cpu), 0, 0)
	exitsyscall()
}

func idle(t *thread, f *amd64.Frame) uint64 {
	c := int(arg0(f))
	if kicked[c] {
		kicked[c] = false
		return 0
	}
	if deadline := amd64.TimerDeadline(c); deadline != 0 && deadline <= Nanotime() {
		return 0
	}
	f.RAX = 0
	block(waitIdle, uint64(c), never)
	t.frame.Pin(1 << uint(c))
	if c != amd64.CPU() {
		amd64.SendIPI(c) // its timer obeys the deadlines of an idle CPU from now on
	}
	return switched
}

// KickIdle ends the CPU's Idle, or the next one. It does not sleep.
func KickIdle(cpu int) { syscall.RawSyscall(callKickIdle, uintptr(cpu), 0, 0) }

func kickIdle(_ *thread, f *amd64.Frame) uint64 {
	c := int(arg0(f))
	if !wakeDispatcher(c) {
		kicked[c] = true
	}
	return 0
}

// wakeDispatcher ends the CPU's Idle. It reports false if the dispatcher is not idle.
func wakeDispatcher(c int) bool {
	t := sleeper(waitIdle, uint64(c))
	if t == nil {
		return false
	}
	wake(t, 0)
	return true
}
