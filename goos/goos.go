// Package goos stands in for Linux under the unmodified Go runtime. The runtime
// makes about 35 kinds of system call. Each CPU's SYSCALL landing tells them
// from a user's by the negative return address, and goos serves them: threads,
// futexes, memory, signals, clocks, poll. The rest of the runtime is upstream
// code, including the scheduler, the garbage collector and asynchronous
// preemption, on several CPUs.
//
// Every function that the trampolines reach runs with interrupts off, on the
// CPU's own stack, under one spin lock, with a g that belongs to no thread. So
// there must be no allocation, no store of a pointer that needs a write barrier,
// and no map, channel, defer, panic or interface. A test of this package checks
// that.
//
// The kernel's Go code above the runtime reaches this layer by system calls of
// its own, in calls.go: for frames of memory, device interrupts and pinned
// threads.
package goos

import (
	"sync/atomic"
	"unsafe"

	"slowpath/arch/amd64"
)

// lock is the only lock of this layer. acquire serves the requests of other
// CPUs while it spins, since the holder may wait for this CPU's
// acknowledgement.
var lock atomic.Uint32

func acquire() {
	for !lock.CompareAndSwap(0, 1) {
		amd64.ServeIPI()
		amd64.Pause()
	}
}

func release() { lock.Store(0) }

// pointer converts an address that the runtime passed to a system call. The
// runtime keeps the object alive and in place during the call.
func pointer(a uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

// at returns the object at an address that the runtime passed. It maps the
// object's memory if that was not touched before.
func at[T any](a uint64) *T {
	p := (*T)(pointer(a))
	touch(a, uint64(unsafe.Sizeof(*p)))
	return p
}

// Error numbers (errno(3)).
const (
	errPERM     = 1
	errNOENT    = 2
	errSRCH     = 3
	errINTR     = 4
	errBADF     = 9
	errAGAIN    = 11
	errNOMEM    = 12
	errINVAL    = 22
	errNOSYS    = 38
	errTIMEDOUT = 110
)

// fail returns the result of a system call that failed.
func fail(errno uint64) uint64 { return -errno }

// StartFirstCPU initialises the boot CPU: its tables, clock and timer. It is
// called once, before the runtime runs, with interrupts off.
func StartFirstCPU() {
	amd64.SetHooks(amd64.Hooks{Syscall: syscallEntry, Trap: trapEntry, Fatal: fatalEntry})
	initCPU(0)
	calibrate()
}

// StartCPU initialises CPU i. It is called on that CPU, with interrupts off,
// after CPU i-1.
func StartCPU(i int) {
	initCPU(i)
	acquire()
	cpus = i + 1
	release()
}

func initCPU(i int) {
	t := &threads[firstIdle+i]
	t.frame.InitKernelThread(amd64.Idle(), stackEnd(idleStacks[i][:]))
	amd64.InitCPU(uint64(i), &t.frame)
	run(i, t)
}

// stackEnd returns the end of a stack, aligned to 16 bytes.
func stackEnd(s []byte) uint64 {
	return (uint64(uintptr(unsafe.Pointer(&s[0]))) + uint64(len(s))) &^ 15
}
