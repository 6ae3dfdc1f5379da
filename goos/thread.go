package goos

import (
	"unsafe"

	"slowpath/arch/amd64"
)

// thread is a thread of the runtime.
type thread struct {
	frame amd64.Frame
	state threadState
	cpu   int // that runs it, or ran it last
	tid   uint64
	next  int32 // index of its successor on the run queue or among the sleepers, or none

	// What a blocked thread waits for, and its predecessor among the sleepers.
	wait     waitKind
	object   uint64 // futex address, IRQ, CPU, or address of the epoll events
	deadline uint64 // nanoseconds since boot, or never
	previous int32

	mask, pending     uint64 // signals
	altStack, altSize uint64
	clearTID          uint64
}

type threadState uint8

const (
	dead threadState = iota
	runnable
	running
	blocked
)

type waitKind uint8

const (
	waitNothing waitKind = iota
	waitFutex
	waitSleep
	waitPoll
	waitIRQ
	waitIdle
)

// maxThreads limits the runtime's threads. Tasks are goroutines and occupy no
// thread while they sleep, so the runtime needs one per CPU, and a few for
// itself and for device interrupts.
const maxThreads = 64

const none int32 = -1

// The threads and the CPUs, guarded by lock. The idle thread of CPU i is at
// firstIdle+i. Threads are linked by index, because storing a pointer would need
// the garbage collector's write barrier.
var (
	threads    [maxThreads + amd64.MaxCPUs]thread
	idleStacks [amd64.MaxCPUs][1024]byte
	cpus       = 1
	lastTID    uint64
)

// firstIdle is the index of the first CPU's idle thread.
const firstIdle = maxThreads

// index returns the index of t in threads.
func index(t *thread) int32 {
	return int32((addressOf(t) - addressOf(&threads)) / uint64(unsafe.Sizeof(*t)))
}

func isIdle(t *thread) bool { return index(t) >= firstIdle }

// interruptedInKernel reports whether the interrupt that is being handled found
// t in the kernel and not in user mode. Only then are vectors in t's frame.
func (t *thread) interruptedInKernel() bool { return t.frame.VectorsSaved() }

// spawn makes a thread that returns 0 from the same system call as from, on
// another stack. It returns nil if there is no free thread.
func spawn(from *thread, stack, tls uint64) *thread {
	for i := range maxThreads {
		t := &threads[i]
		if t.state != dead {
			continue
		}
		t.frame.CopyRegisters(&from.frame)
		t.frame.RSP, t.frame.RAX = stack, 0
		if tls != 0 {
			t.frame.FSBase = tls
		}
		t.mask, t.pending, t.altStack, t.altSize = from.mask, 0, 0, 0
		t.frame.Pin(0)
		lastTID++
		t.tid = lastTID
		return t
	}
	return nil
}

// StartRuntime makes the runtime's first thread, as Linux's execve(2) would, and
// makes it the current one of this CPU. Boot only.
func StartRuntime() {
	t := &threads[0]
	t.frame.InitKernelThread(amd64.RuntimeStart(), buildStack())
	lastTID++
	t.tid = lastTID
	run(0, t)
}
