// Package goos is what the unmodified Go runtime stands on. The runtime
// believes it runs on Linux: it makes about 35 system calls, and each CPU's
// SYSCALL landing tells them from a user's by the negative return address.
// goos serves them: threads, futexes, memory, signals, clocks, poll. All else
// of the runtime, from the scheduler to the garbage collector and
// asynchronous preemption, is upstream code, on several CPUs too.
//
// Every function here that the trampolines reach runs with interrupts off, on
// the CPU's own stack, under one spin lock, with a g that belongs to no
// thread. So there are rules, which a test of this package checks: no
// allocation, no stores of pointers that the garbage collector would want to
// know of, no maps, channels, defer, panic or interfaces.
//
// Above the runtime, the kernel's own Go code asks for what only this layer
// can do (frames of memory, device interrupts, the machine's end) by calls of
// its own, in calls.go.
package goos

import (
	"sync/atomic"
	"unsafe"

	"slowpath/arch/amd64"
)

// lock is the one lock of this layer. Whoever spins on it serves the requests
// of other CPUs meanwhile, since one of them may hold the lock and wait for
// this CPU.
var lock atomic.Uint32

func acquire() {
	for !lock.CompareAndSwap(0, 1) {
		amd64.ServeIPI()
		amd64.Pause()
	}
}

func release() { lock.Store(0) }

// pointer makes an address of the runtime's into a pointer. The runtime keeps
// what it passes to a system call alive and in place.
func pointer(a uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

// at returns the object at an address of the runtime's, with its memory there.
func at[T any](a uint64) *T {
	p := (*T)(pointer(a))
	touch(a, uint64(unsafe.Sizeof(*p)))
	return p
}

// Errors, as the Linux system call interface returns them.
const (
	errPERM    = 1
	errNOENT   = 2
	errINTR    = 4
	errBADF    = 9
	errAGAIN   = 11
	errNOMEM   = 12
	errINVAL   = 22
	errNOSYS   = 38
	errTIMEOUT = 110
)

func fail(errno uint64) uint64 { return -errno }

// StartFirstCPU readies the CPU that boots: its tables, clock and timer.
func StartFirstCPU() {
	amd64.SetHooks(amd64.Hooks{Syscall: syscallEntry, Trap: trapEntry, Fatal: fatalEntry})
	initCPU(0)
	calibrate()
}

// StartCPU readies CPU i, on that CPU.
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

func stackEnd(s []byte) uint64 {
	return (uint64(uintptr(unsafe.Pointer(&s[0]))) + uint64(len(s))) &^ 15
}
