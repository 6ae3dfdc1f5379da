package goos

import "slowpath/arch/amd64"

// The run queue. One queue serves all CPUs, since it is empty or nearly so.
//
// A thread is pinned while its frame has an affinity: others run on its CPU in turn with
// it, but no other CPU takes the thread. The runtime pins no threads. The user loop pins its
// thread to the CPU that package sched has chosen for the task, and Idle to the CPU of the
// dispatcher. A thread is unpinned when it blocks otherwise.
var (
	queueHead, queueTail = none, none
	queued               int // length of the run queue

	// current is the index of the thread that each CPU runs.
	current [amd64.MaxCPUs]int32
	// kickPending is set for an idle CPU that was kicked to look at the run
	// queue and has not looked yet. It will take one thread.
	kickPending [amd64.MaxCPUs]bool
	// pinnedWaiting is set for a CPU whose thread must give way to a pinned
	// one, which can run nowhere else.
	pinnedWaiting [amd64.MaxCPUs]bool
)

func me() *thread { return &threads[current[amd64.CPU()]] }

// run makes t the thread that CPU c runs.
func run(c int, t *thread) {
	if isIdle(t) {
		amd64.BeginIdle()
	} else if isIdle(&threads[current[c]]) {
		amd64.EndIdle()
	}
	t.state = running
	t.cpu = c
	current[c] = index(t)
	pinnedWaiting[c] = false
	giveWayDue[c] = 0
	amd64.SwitchCPUTime(&t.frame)
	amd64.SetCurrent(&t.frame)
}

// enqueue appends a runnable thread to the run queue.
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

// enqueueFirst puts a runnable thread before all others of the run queue.
func enqueueFirst(t *thread) {
	i := index(t)
	t.state = runnable
	t.next = queueHead
	if queueHead == none {
		queueTail = i
	}
	queueHead = i
	queued++
}

// dequeue removes the first thread that CPU c may run from the run queue and
// returns it, or nil if there is none.
func dequeue(c int) *thread {
	previous := none
	for i := queueHead; i != none; i = threads[i].next {
		t := &threads[i]
		if t.frame.MayRunOn(c) {
			unlink(t, previous)
			return t
		}
		previous = i
	}
	return nil
}

// anyWaitsFor reports whether a thread of the run queue may run on CPU c.
func anyWaitsFor(c int) bool {
	for i := queueHead; i != none; i = threads[i].next {
		if threads[i].frame.MayRunOn(c) {
			return true
		}
	}
	return false
}

// unlink removes t from the run queue. previous is the index of the thread
// before it, or none at the head.
func unlink(t *thread, previous int32) {
	queued--
	if previous == none {
		queueHead = t.next
	} else {
		threads[previous].next = t.next
	}
	if t.next == none {
		queueTail = previous
	}
}

// schedule switches this CPU to the first thread that it may run, or to its
// idle thread.
func schedule() {
	c := amd64.CPU()
	kickPending[c] = false
	t := dequeue(c)
	if t == nil {
		t = &threads[firstIdle+c]
		if cpus > 1 {
			amd64.ReleaseCPU() // to interrupt an idle CPU costs the others milliseconds
		}
	}
	run(c, t)
	armTimer()
}

// yield moves the current thread to the end of the run queue and switches to
// the next one. If another CPU may run the thread sooner, that CPU is kicked.
func yield() {
	t := me()
	if isIdle(t) {
		schedule()
		return
	}
	enqueue(t)
	schedule()
	if t.state == runnable {
		kick(t)
	}
}

// resched yields if a thread on the run queue needs this CPU. If kicked idle
// CPUs will run all of them, the current thread stays, because this CPU has its
// program's state. (The runtime's monitor thread wakes up a hundred times a
// second.)
func resched() {
	if t := me(); isIdle(t) || !kicksSuffice() || !t.frame.MayRunOn(amd64.CPU()) {
		yield()
		return
	}
	armTimer()
}

// kicksSuffice reports whether a kick is pending for each thread on the run
// queue.
func kicksSuffice() bool {
	pending := 0
	for c := range cpus {
		if kickPending[c] {
			pending++
		}
	}
	return queued <= pending
}

// kick makes a CPU look at t, which is on the run queue. It chooses an idle CPU
// without a pending kick, since each takes only one thread: a second thread
// behind the same kick would wait for a tick. If there is no such CPU, the
// current thread gives way to t after a short time, or that of the CPU to which t is pinned.
func kick(t *thread) {
	here := amd64.CPU()
	if c := findIdle(here, t); c >= 0 {
		kickPending[c] = true
		if c != here {
			amd64.SendIPI(c)
		}
		return
	}
	if t.frame.MayRunOn(here) {
		if giveWayDue[here] == 0 {
			armTimer() // the current thread gives way soon
		}
		return
	}
	for c := range cpus {
		if t.frame.MayRunOn(c) {
			pinnedWaiting[c] = !threads[current[c]].frame.Pinned()
			amd64.SendIPI(c) // it yields, or arms its timer to give way soon
			return
		}
	}
}

// findIdle returns an idle CPU without a pending kick that may run t, or -1. It
// prefers the CPU of the caller, which was interrupted and looks at the run
// queue anyway before it idles again.
func findIdle(here int, t *thread) int {
	if mayKick(here) && t.frame.MayRunOn(here) {
		return here
	}
	for c := range cpus {
		if mayKick(c) && t.frame.MayRunOn(c) {
			return c
		}
	}
	return -1
}

// mayKick reports whether CPU c is idle and no kick is pending.
func mayKick(c int) bool { return current[c] >= firstIdle && !kickPending[c] }

// pin serves Pin: the thread moves to a CPU of a set, 0 for all.
func pin(t *thread, f *amd64.Frame) uint64 {
	f.Pin(arg0(f))
	if f.MayRunOn(amd64.CPU()) {
		return 0
	}
	f.RAX = 0
	enqueue(t)
	schedule()
	kick(t)
	return switched
}

// tick handles the timer's interrupt of this CPU. The timer fires for sleepers'
// deadlines too; only a tick that is due is sampled.
func tick(t *thread) {
	now := Nanotime()
	seenDeadlines[amd64.CPU()].look(now)
	switch {
	case isIdle(t):
	case t.interruptedInKernel():
		tickInKernel(now)
	case tickIsDue(now):
		amd64.TickInUser()
	case timerIsDue(now) || sliceIsDue(now):
		amd64.EndSlice()
	}
	if timerIsDue(now) {
		wakeDispatcher(amd64.CPU())
	}
	expire(now)
	resched()
}

// tickInKernel is tick for an interrupt of the kernel.
func tickInKernel(now uint64) {
	if tickIsDue(now) {
		amd64.TickInKernel()
	}
	if timerIsDue(now) || sliceIsDue(now) || sampleIsDue(now) {
		amd64.EndSliceInKernel()
	}
}

// handleIPI handles another CPU's interrupt: its requests to package amd64, and
// a kick.
func handleIPI(t *thread) {
	amd64.ServeIPI()
	if isIdle(t) || pinnedWaiting[amd64.CPU()] {
		yield()
		return
	}
	armTimer()
}
