package goos

import "slowpath/arch/amd64"

// The blocked threads, as a list ordered by deadline, with those without a
// deadline at its end. A tick reads only the first. A wake-up reads few, because
// the runtime keeps a handful of threads.
var sleepHead, sleepTail = none, none

// never is the deadline of a thread that waits without a timeout.
const never = ^uint64(0)

// housekeeping is the CPU that wakes the threads that have blocked on a CPU of nohz_full=. It is
// never one itself.
const housekeeping = 0

// block puts the current thread to sleep and runs another. When the thread
// continues, its call returns the result that wake was given. The deadline is
// in nanoseconds since boot, or never.
func block(kind waitKind, object, deadline uint64) {
	t := me()
	t.state = blocked
	t.wait, t.object, t.deadline = kind, object, deadline
	t.frame.Pin(0)
	noHZ := amd64.IsNoHZ(amd64.CPU())
	if noHZ {
		t.cpu = housekeeping // this CPU serves no sleepers
	}
	addSleeper(t)
	if noHZ && deadline != never && nextDeadline(housekeeping) == deadline {
		amd64.SendIPI(housekeeping)
	}
	schedule()
}

// wake makes a blocked thread runnable. Its system call returns result.
func wake(t *thread, result uint64) {
	removeSleeper(t)
	t.frame.RAX = result
	if t.wait == waitIdle {
		enqueueFirst(t) // tasks have waited for their dispatcher
	} else {
		enqueue(t)
	}
	t.wait = waitNothing
	kick(t)
}

// addSleeper inserts t before the first thread with a later deadline.
func addSleeper(t *thread) {
	previous, next := sleepTail, none
	if t.deadline != never {
		previous, next = none, sleepHead
		for next != none && threads[next].deadline <= t.deadline {
			previous, next = next, threads[next].next
		}
	}
	t.previous, t.next = previous, next
	setNext(previous, index(t))
	setPrevious(next, index(t))
}

// removeSleeper removes t from the list.
func removeSleeper(t *thread) {
	setNext(t.previous, t.next)
	setPrevious(t.next, t.previous)
}

// setNext sets the successor of thread i, or the head of the list for none.
func setNext(i, next int32) {
	if i == none {
		sleepHead = next
	} else {
		threads[i].next = next
	}
}

// setPrevious sets the predecessor of thread i, or the tail of the list for
// none.
func setPrevious(i, previous int32) {
	if i == none {
		sleepTail = previous
	} else {
		threads[i].previous = previous
	}
}

// sleeper returns the first thread of the list that waits for an event of the
// given kind on an object, or nil.
func sleeper(kind waitKind, object uint64) *thread {
	for i := sleepHead; i != none; i = threads[i].next {
		if t := &threads[i]; t.wait == kind && t.object == object {
			return t
		}
	}
	return nil
}

// expire wakes all threads whose deadline has passed.
func expire(now uint64) {
	for sleepHead != none && threads[sleepHead].deadline <= now {
		t := &threads[sleepHead]
		result := uint64(0)
		if t.wait == waitFutex {
			result = fail(errTIMEDOUT)
		}
		wake(t, result)
	}
}

// nextDeadline returns the earliest deadline of the threads that have blocked on a CPU, or
// never. Only that CPU's timer is armed for them, so a deadline interrupts one CPU.
func nextDeadline(cpu int) uint64 {
	for i := sleepHead; i != none && threads[i].deadline != never; i = threads[i].next {
		if threads[i].cpu == cpu {
			return threads[i].deadline
		}
	}
	return never
}

// monitor is the runtime's monitor thread (runtime.sysmon), the only one that calls nanosleep
// for 20 µs or more, or none before it has. Whenever a CPU leaves the idle state, the runtime
// wakes it, and on a machine that is nearly idle that would cost an interrupt of another CPU for
// each wake-up of a task.
var monitor = none

const (
	// monitorDelay is how much later the monitor thread is woken, in nanoseconds. It
	// preempts goroutines that have run for 10 ms.
	monitorDelay = 10_000_000
	// shortestMonitorSleep bounds how often it looks, in nanoseconds.
	shortestMonitorSleep = 1_000_000
	leastMonitorSleep    = 20_000 // for which the runtime asks
)

// monitorSleep returns how long a call of nanosleep for ns nanoseconds sleeps.
func monitorSleep(t *thread, ns uint64) uint64 {
	if ns < leastMonitorSleep {
		return ns
	}
	monitor = index(t)
	return max(ns, shortestMonitorSleep)
}

// wakeLater makes a thread that waits on a futex sleep for monitorDelay instead.
func wakeLater(t *thread) {
	removeSleeper(t)
	t.wait, t.object = waitSleep, 0
	t.deadline = min(t.deadline, Nanotime()+monitorDelay)
	t.cpu = amd64.CPU()
	addSleeper(t)
	armTimer()
}
