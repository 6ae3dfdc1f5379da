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

	// current is the index of the thread that each CPU runs. (An index,
	// because storing a pointer would need the garbage collector's write
	// barrier.)
	current [amd64.MaxCPUs]int32
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

// offer makes a CPU look at a thread that is on the run queue: one that idles,
// or for a bound thread one whose own thread may go elsewhere. This CPU looks
// by itself.
func offer(t *thread) {
	here := amd64.CPU()
	for c := range cpus {
		if c != here && current[c] >= firstIdle && t.frame.MayRunOn(c) {
			amd64.SendIPI(c)
			return
		}
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
	yield()
}

// attend serves another CPU's interrupt, which may be about the run queue.
func attend(t *thread) {
	amd64.ServeIPI()
	if isIdle(t) || displace[amd64.CPU()] {
		yield()
	}
}
