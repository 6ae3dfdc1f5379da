package task

// FutexWaitEntry is one element of the array of futex_waitv(2): the word at
// Address must hold Value.
type FutexWaitEntry struct {
	Value   uint32
	Address uint64
	Scope   FutexScope
}

// MaxFutexWaitEntries is FUTEX_WAITV_MAX, the maximum length of the array.
const MaxFutexWaitEntries = 128

// FutexWaitMany is futex_waitv(2): it sleeps until a waker wakes one of the words
// and returns the word's index. The deadline is a time of clock.Monotonic in
// nanoseconds, 0 for none. Only the task's own goroutine calls it.
//
// Errors: EAGAIN if a word does not hold its value, EFAULT, EINVAL, ETIMEDOUT,
// ERESTARTSYS.
func (t *Task) FutexWaitMany(entries []FutexWaitEntry, deadline int64) (int, error) {
	waiters := make([]futexWaiter, len(entries))
	for i := range entries {
		e, w := &entries[i], &waiters[i]
		w.task, w.bits = t, FutexMatchAny
		if err := t.enqueue(w, e.Address, e.Value, e.Scope); err != nil {
			if woken := cancelAll(waiters[:i]); woken >= 0 {
				return woken, nil
			}
			return 0, err
		}
	}
	err := t.SleepUntil(Interruptible, deadline, func() bool {
		for i := range waiters {
			if waiters[i].bucket.Load() == nil {
				return true
			}
		}
		return false
	})
	if woken := cancelAll(waiters); woken >= 0 {
		return woken, nil
	}
	return 0, err
}

// cancelAll takes all waiters off their lists. It returns the index of the last
// waiter that was woken before, or -1.
func cancelAll(waiters []futexWaiter) int {
	woken := -1
	for i := range waiters {
		if !waiters[i].cancel() {
			woken = i
		}
	}
	return woken
}
