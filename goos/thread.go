package goos

import (
	"unsafe"

	"slowpath/arch/amd64"
)

// thread is a thread of the runtime: what Linux calls a task.
type thread struct {
	frame amd64.Frame
	state threadState
	cpu   int // that runs it, or ran it last
	tid   uint64
	next  int32 // on the run queue: index of the one behind, or none

	// What a blocked thread waits for.
	wait     waitKind
	object   uint64 // futex address, IRQ, or where epoll events go
	deadline uint64 // nanoseconds since boot, 0 for none

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
)

// maxThreads bounds the runtime's threads. Tasks are goroutines and hold no
// thread while they sleep, so it needs one per CPU and a few for itself and
// for device interrupts.
const maxThreads = 64

const none int32 = -1

// The threads and the CPUs. The lock guards all of it. Each CPU's idle thread
// is at firstIdle and behind. What a CPU runs is kept as an index: storing a
// pointer would need the garbage collector's write barrier.
var (
	threads    [maxThreads + amd64.MaxCPUs]thread
	idleStacks [amd64.MaxCPUs][1024]byte
	current    [amd64.MaxCPUs]int32
	cpus       = 1
	lastTID    uint64

	queueHead, queueTail = none, none
	queued               int // how many threads are on the run queue

	// asked holds the idle CPUs that somebody has asked to look at the run
	// queue and that have not looked yet. Each will take one thread.
	asked [amd64.MaxCPUs]bool
)

// firstIdle is the index of the first CPU's idle thread.
const firstIdle = maxThreads

func me() *thread { return &threads[current[amd64.CPU()]] }

// index returns the place of t in threads.
func index(t *thread) int32 {
	return int32((addressOf(t) - addressOf(&threads)) / uint64(unsafe.Sizeof(*t)))
}

func isIdle(t *thread) bool { return index(t) >= firstIdle }

// run makes t what CPU c runs.
func run(c int, t *thread) {
	t.state = running
	t.cpu = c
	current[c] = index(t)
	amd64.SetCurrent(&t.frame)
}

// enqueue puts a runnable thread at the end of the run queue.
func enqueue(t *thread) {
	i := index(t)
	t.state = runnable
	t.next = none
	if queueTail == none {
		queueHead = i
	} else {
		threads[queueTail].next = i
	}
	queueTail = i
	queued++
}

// dequeue takes the first thread off the run queue, or returns nil.
func dequeue() *thread {
	if queueHead == none {
		return nil
	}
	t := &threads[queueHead]
	queued--
	queueHead = t.next
	if queueHead == none {
		queueTail = none
	}
	return t
}

// schedule makes the first runnable thread the current one of this CPU, or
// its idle thread.
func schedule() {
	c := amd64.CPU()
	asked[c] = false
	t := dequeue()
	if t == nil {
		t = &threads[firstIdle+c]
		if cpus > 1 {
			amd64.Rest() // waking an idle CPU costs others milliseconds
		}
	}
	run(c, t)
	armTimer()
}

// yield lets the others run first.
func yield() {
	if t := me(); !isIdle(t) {
		enqueue(t)
	}
	schedule()
}

// share gives those a turn that wait for a CPU, unless idle CPUs are about to
// run them: then the current thread stays here, where the state of its program
// is. (The runtime's monitor wakes up a hundred times a second.)
func share() {
	if isIdle(me()) || !covered() {
		yield()
		return
	}
	armTimer()
}

// covered reports whether there is an idle CPU on its way for each thread that
// waits for one.
func covered() bool {
	coming := 0
	for i := range cpus {
		if asked[i] {
			coming++
		}
	}
	return queued <= coming
}

// block puts the current thread to sleep and runs another. When the thread
// goes on, its call returns what wake was given.
func block(kind waitKind, object, deadline uint64) {
	t := me()
	t.state = blocked
	t.wait, t.object, t.deadline = kind, object, deadline
	schedule()
}

// wake makes a blocked thread runnable; its system call returns result.
func wake(t *thread, result uint64) {
	t.wait, t.deadline = waitNothing, 0
	t.frame.RAX = result
	enqueue(t)
	kickIdle()
}

// kickIdle makes an idle CPU look at the run queue: one for each thread that
// is put there, because each takes one. Were the same asked twice, the second
// thread would wait for a tick.
func kickIdle() {
	here := amd64.CPU()
	i := findIdle(here)
	if i < 0 {
		return // all are busy, or asked: whoever has time next looks
	}
	asked[i] = true
	if i != here {
		amd64.SendIPI(i)
	}
}

// findIdle returns an idle CPU that nobody has asked yet, or -1. The one that
// runs the caller is first: it was interrupted, and looks before it idles on.
func findIdle(here int) int {
	if idles(here) {
		return here
	}
	for i := range cpus {
		if idles(i) {
			return i
		}
	}
	return -1
}

func idles(i int) bool { return current[i] >= firstIdle && !asked[i] }

// expire wakes all threads whose deadline has passed.
func expire() {
	now := Nanotime()
	for i := range threads {
		t := &threads[i]
		if t.state != blocked || t.deadline == 0 || t.deadline > now {
			continue
		}
		result := uint64(0)
		if t.wait == waitFutex {
			result = fail(errTIMEOUT)
		}
		wake(t, result)
	}
}

// nextDeadline returns the earliest deadline of a blocked thread, 0 for none.
func nextDeadline() uint64 {
	first := uint64(0)
	for i := range threads {
		t := &threads[i]
		if t.state == blocked && t.deadline != 0 && (first == 0 || t.deadline < first) {
			first = t.deadline
		}
	}
	return first
}

// spawn makes a thread that continues where from's system call returns, with
// 0, on another stack.
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
		lastTID++
		t.tid = lastTID
		return t
	}
	return nil
}

// StartRuntime makes the runtime's first thread, as Linux's execve would, the
// current one of this CPU.
func StartRuntime() {
	t := &threads[0]
	t.frame.InitKernelThread(amd64.RuntimeStart(), buildStack())
	lastTID++
	t.tid = lastTID
	run(0, t)
}
