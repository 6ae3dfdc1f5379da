package goos

import "slowpath/arch/amd64"

// The blocked threads, as a list ordered by deadline, with those without a
// deadline at its end. A tick reads only the first. A wake-up reads few, because
// the runtime keeps a handful of threads.
var sleepHead, sleepTail = none, none

// never is the deadline of a thread that waits without a timeout.
const never = ^uint64(0)

// block puts the current thread to sleep and runs another. When the thread
// continues, its call returns the result that wake was given. The deadline is
// in nanoseconds since boot, or never.
func block(kind waitKind, object, deadline uint64) {
	t := me()
	t.state = blocked
	t.wait, t.object, t.deadline = kind, object, deadline
	t.frame.Pin(0)
	addSleeper(t)
	if sleepHead == index(t) && deadline != never && amd64.IsNoHZ(amd64.CPU()) {
		amd64.SendIPI(0) // this CPU serves no sleepers
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

// nextDeadline returns the earliest deadline of a blocked thread, or never.
func nextDeadline() uint64 {
	if sleepHead == none {
		return never
	}
	return threads[sleepHead].deadline
}
