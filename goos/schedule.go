package goos

import "slowpath/arch/amd64"

// The run queue: one for all CPUs, since it is empty or nearly so. A thread is
// bound while its frame has an affinity: it shares its CPU with the others by
// the tick, like any, but no other CPU takes it. The runtime binds none; the
// user loop binds the one it runs on, for a program that sched_setaffinity(2)
// confines, and what the thread runs after that program must not suffer: a
// thread that blocks, or that the tick finds outside user mode, is free again.
var (
	queueHead, queueTail = none, none
	queued               int // how many threads are on the run queue

	// current is the index of the thread that each CPU runs. (An index,
	// because storing a pointer would need the garbage collector's write
	// barrier.)
	current [amd64.MaxCPUs]int32
	// asked holds the idle CPUs that somebody has asked to look at the run
	// queue and that have not looked yet. Each will take one thread.
	asked [amd64.MaxCPUs]bool
	// displace is set for a CPU whose thread is to give way to a bound one,
	// which can go nowhere else.
	displace [amd64.MaxCPUs]bool
)

func me() *thread { return &threads[current[amd64.CPU()]] }

// run makes t what CPU c runs.
func run(c int, t *thread) {
	t.state = running
	t.cpu = c
	current[c] = index(t)
	displace[c] = false
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

// dequeue takes the first thread that CPU c may run off the run queue, or
// returns nil.
func dequeue(c int) *thread {
	before := none
	for i := queueHead; i != none; i = threads[i].next {
		t := &threads[i]
		if t.frame.MayRunOn(c) {
			unlink(t, before)
			return t
		}
		before = i
	}
	return nil
}

// unlink takes t off the run queue, whose link before leads to it; none is the
// head.
func unlink(t *thread, before int32) {
	queued--
	if before == none {
		queueHead = t.next
	} else {
		threads[before].next = t.next
	}
	if t.next == none {
		queueTail = before
	}
}

// schedule makes the first thread that it may run the current one of this CPU,
// or its idle thread.
func schedule() {
	c := amd64.CPU()
	asked[c] = false
	t := dequeue(c)
	if t == nil {
		t = &threads[firstIdle+c]
		if cpus > 1 {
			amd64.Rest() // waking an idle CPU costs others milliseconds
		}
	}
	run(c, t)
	armTimer()
}

// yield lets the others run first. What it gives up may suit another CPU.
func yield() {
	t := me()
	if isIdle(t) {
		schedule()
		return
	}
	enqueue(t)
	schedule()
	if t.state == runnable {
		offer(t)
	}
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
	for c := range cpus {
		if asked[c] {
			coming++
		}
	}
	return queued <= coming
}

// offer makes a CPU look at a thread that is on the run queue: one that idles,
// another for each thread that is put there, because each takes one (were the
// same asked twice, the second thread would wait for a tick); or for a bound
// thread one whose own thread may go elsewhere. If there is none, whoever has
// time next looks.
func offer(t *thread) {
	here := amd64.CPU()
	if c := findIdle(here, t); c >= 0 {
		asked[c] = true
		if c != here {
			amd64.SendIPI(c)
		}
		return
	}
	if !t.frame.Confined() {
		return
	}
	for c := range cpus {
		if c != here && t.frame.MayRunOn(c) && !threads[current[c]].frame.Confined() {
			displace[c] = true
			amd64.SendIPI(c)
			return
		}
	}
}

// findIdle returns an idle CPU that may run t and that nobody has asked yet, or
// -1. The one that runs the caller is first: it was interrupted, and looks
// before it idles on.
func findIdle(here int, t *thread) int {
	if idles(here) && t.frame.MayRunOn(here) {
		return here
	}
	for c := range cpus {
		if idles(c) && t.frame.MayRunOn(c) {
			return c
		}
	}
	return -1
}

func idles(c int) bool { return current[c] >= firstIdle && !asked[c] }

// bind serves Bind: from here on the thread runs on CPUs of a set, 0 for all.
func bind(t *thread, f *amd64.Frame) uint64 {
	f.Confine(arg0(f))
	if f.MayRunOn(amd64.CPU()) {
		return 0
	}
	f.RAX = 0
	enqueue(t)
	schedule()
	offer(t)
	return switched
}

// tick serves the timer's interrupt of this CPU. A thread that it finds
// outside user mode may be running anything, so it is free of what a program
// had bound it to.
func tick(t *thread) {
	now := Nanotime()
	if !isIdle(t) {
		inKernel := t.frame.HasVectors()
		if now >= tickDue[amd64.CPU()] {
			amd64.ChargeTick(!inKernel)
		}
		if inKernel {
			t.frame.Confine(0)
		}
	}
	expire(now)
	share()
}

// attend serves another CPU's interrupt, which may be about the run queue.
func attend(t *thread) {
	amd64.ServeIPI()
	if isIdle(t) || displace[amd64.CPU()] {
		yield()
	}
}
