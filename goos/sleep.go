package goos

// The threads that are blocked, as a list in the order of their deadlines;
// those without one are at its end. A tick looks at the first alone, and who
// wakes others at few: the runtime keeps a handful of threads, of which most
// wait.
var sleepHead, sleepTail = none, none

// never is the deadline of a thread that waits for an event alone.
const never = ^uint64(0)

// block puts the current thread to sleep and runs another. When the thread
// goes on, its call returns what wake was given. The deadline is in
// nanoseconds since boot, or never.
func block(kind waitKind, object, deadline uint64) {
	t := me()
	t.state = blocked
	t.wait, t.object, t.deadline = kind, object, deadline
	t.frame.Confine(0)
	fallAsleep(t)
	schedule()
}

// wake makes a blocked thread runnable; its system call returns result.
func wake(t *thread, result uint64) {
	leaveSleep(t)
	t.wait = waitNothing
	t.frame.RAX = result
	enqueue(t)
	offer(t)
}

// fallAsleep puts t into the list: at the end, or in front of the first whose
// deadline is later.
func fallAsleep(t *thread) {
	before, after := sleepTail, none
	if t.deadline != never {
		before, after = none, sleepHead
		for after != none && threads[after].deadline <= t.deadline {
			before, after = after, threads[after].next
		}
	}
	t.previous, t.next = before, after
	join(before, index(t))
	joinBack(after, index(t))
}

// leaveSleep takes t off the list.
func leaveSleep(t *thread) {
	join(t.previous, t.next)
	joinBack(t.next, t.previous)
}

// join makes to follow from in the list; none before the first is the head.
func join(from, to int32) {
	if from == none {
		sleepHead = to
	} else {
		threads[from].next = to
	}
}

// joinBack makes to come before from; none behind the last is the tail.
func joinBack(from, to int32) {
	if from == none {
		sleepTail = to
	} else {
		threads[from].previous = to
	}
}

// sleeper returns the first thread of the list that waits for an event of a
// kind on an object, or nil.
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
			result = fail(errTIMEOUT)
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
