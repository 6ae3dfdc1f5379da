package task

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/mm"
)

// FutexMatchAny is FUTEX_BITSET_MATCH_ANY, the bit set that FUTEX_WAIT and
// FUTEX_WAKE use (futex(2)).
const FutexMatchAny = ^uint32(0)

// FutexScope says which tasks use a futex word.
type FutexScope uint8

// The values of FutexScope.
const (
	// SharedFutex: tasks with different memory may share the word.
	SharedFutex FutexScope = iota
	// PrivateFutex: all tasks that use the word share their memory
	// (FUTEX_PRIVATE_FLAG).
	PrivateFutex
)

// futexKey returns the key of the word in the task's memory. Errors: EINVAL if
// the address is not a multiple of 4, EFAULT. It may sleep.
func (t *Task) futexKey(address uint64, scope FutexScope) (mm.FutexKey, error) {
	return t.MM.FutexKey(address, scope == PrivateFutex)
}

// futexTable is the hash table of futex waiters. A word hashes to one bucket. The
// bucket's lock prevents lost wakeups: a waker that has changed the word waits for
// the lock until the waiter has tested the word and is on the list.
type futexTable struct {
	seed    uint64 // random, so a program cannot choose words of the same bucket
	buckets [256]futexBucket
}

// futexBucket is the list of the waiters whose words hash to it. As on Linux, it
// is sorted by descending real-time priority and then by arrival.
type futexBucket struct {
	mu          sync.Mutex
	first, last *futexWaiter
	// priorityWaiters is the number of waiters that take part in priority inheritance.
	priorityWaiters int
}

// futexWaiter is one task that waits on one word. It is on a bucket's list until it
// is woken or cancelled.
type futexWaiter struct {
	task       *Task
	key        mm.FutexKey
	bits       uint32
	priority   int32
	bucket     atomic.Pointer[futexBucket] // nil if the waiter is on no list; the bucket's lock guards changes
	next, prev *futexWaiter
	pi         *piWait // nil unless the waiter takes part in priority inheritance
}

// bucket returns the bucket of a word. The hash uses only the address or file
// offset, so words at the same address of different processes share a bucket.
func (f *futexTable) bucket(key mm.FutexKey) *futexBucket {
	const goldenRatio = 0x9e3779b97f4a7c15
	hash := (key.Offset>>2 ^ f.seed) * goldenRatio
	return &f.buckets[hash>>56%uint64(len(f.buckets))]
}

// add puts w on the list behind the waiters of the same or a higher priority. The
// bucket is locked.
func (b *futexBucket) add(w *futexWaiter) {
	w.priority = w.task.Attributes().Priority
	if w.pi != nil {
		b.priorityWaiters++
	}
	before := b.last
	for before != nil && before.priority < w.priority {
		before = before.prev
	}
	w.prev, w.next = before, b.first
	if before != nil {
		w.next = before.next
		before.next = w
	} else {
		b.first = w
	}
	if w.next != nil {
		w.next.prev = w
	} else {
		b.last = w
	}
	w.bucket.Store(b)
}

// remove takes w off the list and marks it as woken. The bucket is locked.
func (b *futexBucket) remove(w *futexWaiter) {
	b.unlink(w)
	w.bucket.Store(nil)
}

// unlink takes w off the list. The bucket is locked.
func (b *futexBucket) unlink(w *futexWaiter) {
	if w.pi != nil {
		b.priorityWaiters--
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		b.last = w.prev
	}
	w.next, w.prev = nil, nil
}

// cancel takes the waiter off its list. It reports false if the waiter had been
// woken already. It retries if a requeue has moved the waiter to another bucket.
func (w *futexWaiter) cancel() bool {
	for {
		b := w.bucket.Load()
		if b == nil {
			return false
		}
		if b.removeIfThere(w) {
			return true
		}
	}
}

// removeIfThere takes the waiter off the bucket's list. It reports false if the waiter
// is not on it.
func (b *futexBucket) removeIfThere(w *futexWaiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.bucket.Load() != b {
		return false
	}
	w.stopWaiting()
	b.remove(w)
	return true
}

// wake wakes up to limit waiters of key whose bits intersect bits, in the order of the
// list. The bucket is locked. EINVAL: it has found a waiter that takes part in priority
// inheritance, which other operations wake.
func (b *futexBucket) wake(key mm.FutexKey, limit int, bits uint32) (woken int, err error) {
	for w := b.first; w != nil && woken < limit; {
		next, t := w.next, w.task
		if w.key == key && w.pi != nil {
			return woken, unix.EINVAL
		}
		if w.key == key && w.bits&bits != 0 {
			b.remove(w) // from here on the waiter may return
			t.Sleeper.Wake()
			woken++
		}
		w = next
	}
	return woken, nil
}

// lockBoth locks two buckets and returns the function that unlocks them. It locks
// them in the order of their index, so two requeues cannot deadlock.
func (f *futexTable) lockBoth(a, b *futexBucket) (unlock func()) {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if f.index(a) > f.index(b) {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}

// index returns the index of the bucket.
func (f *futexTable) index(b *futexBucket) int {
	for i := range f.buckets {
		if &f.buckets[i] == b {
			return i
		}
	}
	return -1
}

// FutexWait is FUTEX_WAIT_BITSET: if the word holds value, it sleeps until a waker
// wakes it. The deadline is a time of clock.Monotonic in nanoseconds, 0 for none.
// Only the task's own goroutine calls it.
//
// Errors: EAGAIN if the word holds another value, EINVAL, EFAULT, ETIMEDOUT,
// ERESTARTSYS, and with a deadline ERESTART_RESTARTBLOCK.
func (t *Task) FutexWait(address uint64, value uint32, scope FutexScope, bits uint32, deadline int64) error {
	if bits == 0 {
		return unix.EINVAL
	}
	w := &t.futex // on no list, because the task waits for nothing else
	w.task, w.bits = t, bits
	if err := t.enqueue(w, address, value, scope); err != nil {
		return err
	}
	err := t.SleepUntil(Interruptible, deadline, func() bool { return w.bucket.Load() == nil })
	if err == nil || !w.cancel() {
		return nil // woken, possibly after the deadline or a signal
	}
	if err == abi.ERESTARTSYS && deadline != 0 {
		t.Restart.Set(t.CallABI(), func(t *Task) (uint64, error) {
			return 0, t.FutexWait(address, value, scope, bits, deadline)
		})
		return abi.ERESTART_RESTARTBLOCK
	}
	return err
}

// enqueue adds w to the list of the word if the word holds value, else it returns
// EAGAIN. If memory is short, it retries after the OOM killer has run.
func (t *Task) enqueue(w *futexWaiter, address uint64, value uint32, scope FutexScope) error {
	for {
		err := t.tryEnqueue(w, address, value, scope)
		if err != unix.ENOMEM {
			return err
		}
		if err = t.retryAfterOOM(err); err != errAgain {
			return err
		}
	}
}

// tryEnqueue is enqueue without the retry: ENOMEM if memory is short.
func (t *Task) tryEnqueue(w *futexWaiter, address uint64, value uint32, scope FutexScope) error {
	key, err := t.futexKey(address, scope)
	if err != nil {
		return err
	}
	w.key = key
	b := t.kernel.futexes.bucket(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	now, err := t.MM.LoadUint32(address)
	if err != nil {
		return err
	}
	if now != value {
		return unix.EAGAIN
	}
	b.add(w)
	return nil
}

// FutexWake is FUTEX_WAKE_BITSET: it wakes up to limit waiters and returns their
// number. A limit below 1 counts as 1. Errors: EINVAL, EFAULT.
func (t *Task) FutexWake(address uint64, limit int, scope FutexScope, bits uint32) (int, error) {
	if bits == 0 {
		return 0, unix.EINVAL
	}
	key, err := t.futexKey(address, scope)
	if err != nil {
		return 0, err
	}
	b := t.kernel.futexes.bucket(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wake(key, max(limit, 1), bits)
}

// wakeOneShared wakes one waiter of a word, as FUTEX_WAKE without
// FUTEX_PRIVATE_FLAG. It ignores errors, because no system call could return them.
func (t *Task) wakeOneShared(address uint64) {
	t.FutexWake(address, 1, SharedFutex, FutexMatchAny)
}

// FutexRequeue is FUTEX_REQUEUE: it wakes up to wake waiters of the word from and
// moves up to move other waiters to the word to. If compare is not nil, it is
// FUTEX_CMP_REQUEUE: EAGAIN if the word from does not hold *compare. affected is
// the number of waiters that were woken or moved, woken the number that were
// woken. Other errors: EINVAL, EFAULT.
func (t *Task) FutexRequeue(from, to uint64, wake, move int, scope FutexScope, compare *uint32) (affected, woken int, err error) {
	if wake < 0 || move < 0 {
		return 0, 0, unix.EINVAL
	}
	source, err := t.futexKey(from, scope)
	if err != nil {
		return 0, 0, err
	}
	target, err := t.futexKey(to, scope)
	if err != nil {
		return 0, 0, err
	}
	f := &t.kernel.futexes
	a, b := f.bucket(source), f.bucket(target)
	defer f.lockBoth(a, b)()
	if compare != nil {
		now, err := t.MM.LoadUint32(from)
		if err != nil {
			return 0, 0, err
		}
		if now != *compare {
			return 0, 0, unix.EAGAIN
		}
	}
	if woken, err = a.wake(source, wake, FutexMatchAny); err != nil {
		return woken, woken, err
	}
	moved, err := a.move(b, source, target, move)
	return woken + moved, woken, err
}

// move moves up to limit waiters of source to target, whose bucket is to, and
// returns their number. Both buckets are locked. EINVAL: it has found a waiter that takes part in
// priority inheritance.
func (b *futexBucket) move(to *futexBucket, source, target mm.FutexKey, limit int) (moved int, err error) {
	if source == target {
		return 0, nil
	}
	for w := b.first; w != nil && moved < limit; {
		next := w.next
		if w.key == source && w.pi != nil {
			return moved, unix.EINVAL
		}
		if w.key == source {
			b.unlink(w) // its bucket stays set: a waiter without one returns
			w.key = target
			to.add(w)
			moved++
		}
		w = next
	}
	return moved, nil
}

// FutexWakeOp is FUTEX_WAKE_OP. It applies operation to the second word and wakes
// up to wake waiters of the first word. If the old value of the second word
// satisfies the comparison in operation, it also wakes up to wake2 waiters of the
// second word. It returns the number of woken waiters. Errors: ENOSYS for an
// operation that does not exist, EINVAL, EFAULT.
func (t *Task) FutexWakeOp(first, second uint64, wake, wake2 int, scope FutexScope, operation uint32) (int, error) {
	key, err := t.futexKey(first, scope)
	if err != nil {
		return 0, err
	}
	key2, err := t.futexKey(second, scope)
	if err != nil {
		return 0, err
	}
	op, err := decodeFutexOp(operation)
	if err != nil {
		return 0, err
	}
	f := &t.kernel.futexes
	a, b := f.bucket(key), f.bucket(key2)
	defer f.lockBoth(a, b)()
	was, err := t.MM.UpdateUint32(second, op.apply)
	if err != nil {
		return 0, err
	}
	woken, err := a.wake(key, max(wake, 1), FutexMatchAny)
	if err != nil || !op.passes(int32(was)) {
		return woken, err
	}
	more, err := b.wake(key2, max(wake2, 1), FutexMatchAny)
	return woken + more, err
}
