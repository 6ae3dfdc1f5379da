package task

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/guard"
	"slowpath/mm"
)

// This file has the futex operations with priority inheritance (futex(2), "Priority-
// inheritance futexes"). The kernel knows the owner of such a lock: the word holds the
// owner's thread id. An unlock hands the lock over to the waiter of the highest
// priority, and the exit of the owner does the same. The owner does not inherit the
// priority of the waiters, because real-time priorities have no effect on when a task
// runs.

// piWait is what a waiter of a lock with priority inheritance has in addition.
type piWait struct {
	address uint64 // the user address of the lock's word in the waiter's memory
	// owner is the task that holds the lock. The bucket's lock guards changes.
	owner atomic.Pointer[Task]
	// condition is set while the waiter of FUTEX_WAIT_REQUEUE_PI still waits on its first
	// word. lock is then the key of the second word. The bucket's lock guards both.
	condition bool
	lock      mm.FutexKey
	requeued  bool // it was moved to the second word
}

// piState is a task's part of the locks with priority inheritance.
type piState struct {
	// waits is the lock for which the task waits, or nil.
	waits atomic.Pointer[piWait]
	// owns is set once another task waits for a lock that the task holds.
	owns atomic.Bool
	// left is set while and after the task gives up its memory: it must not become the
	// owner that a waiter waits for.
	left atomic.Bool
}

// priorityFutexSubsystem hands the locks of an exiting task over.
var priorityFutexSubsystem = Subsystem{
	Name:        "priority inheritance",
	LeaveMemory: (*Task).leaveLocks,
	Exec:        func(t *Task, _ *Execution) { t.pi.left.Store(false) },
}

// isLockWaiter reports whether w waits for the lock with the key, not on a condition.
func (w *futexWaiter) isLockWaiter(key mm.FutexKey) bool {
	return w.pi != nil && !w.pi.condition && w.key == key
}

// topLockWaiter returns the waiter to which the lock with the key is handed over next,
// and whether there are more. The bucket is locked.
func (b *futexBucket) topLockWaiter(key mm.FutexKey) (top *futexWaiter, more bool) {
	for w := b.first; w != nil; w = w.next {
		if !w.isLockWaiter(key) {
			continue
		}
		if top != nil {
			return top, true
		}
		top = w
	}
	return top, false
}

// hasPriorityWaiter reports whether a waiter of the word takes part in priority
// inheritance. FUTEX_WAKE and FUTEX_REQUEUE must not touch it. The bucket is locked.
func (b *futexBucket) hasPriorityWaiter(key mm.FutexKey) bool {
	if b.priorityWaiters == 0 {
		return false
	}
	for w := b.first; w != nil; w = w.next {
		if w.pi != nil && w.key == key {
			return true
		}
	}
	return false
}

// setOwner records the owner for all waiters of the lock. The bucket is locked.
func (b *futexBucket) setOwner(key mm.FutexKey, owner *Task) {
	for w := b.first; w != nil; w = w.next {
		if w.isLockWaiter(key) {
			w.pi.owner.Store(owner)
			owner.pi.owns.Store(true)
		}
	}
}

// LockAttempt says what FutexLock does if the lock is held.
type LockAttempt uint8

// The values of LockAttempt.
const (
	// WaitForLock is FUTEX_LOCK_PI: the task sleeps until it gets the lock.
	WaitForLock LockAttempt = iota
	// TryLock is FUTEX_TRYLOCK_PI: EAGAIN.
	TryLock
)

// FutexLock is FUTEX_LOCK_PI and FUTEX_TRYLOCK_PI. The deadline is a time of
// clock.Monotonic in nanoseconds, 0 for none. Only the task's own goroutine calls it.
//
// Errors: EDEADLK if the caller holds the lock or its owner waits for the caller, ESRCH
// if the owner does not exist, EAGAIN, EINVAL, EFAULT, ETIMEDOUT, ERESTARTNOINTR.
func (t *Task) FutexLock(address uint64, scope FutexScope, attempt LockAttempt, deadline int64) error {
	w := &futexWaiter{task: t, bits: FutexMatchAny, pi: &piWait{address: address}}
	acquired, err := t.tryLock(w, address, scope, attempt)
	if err == unix.ENOMEM {
		if err = t.retryAfterOOM(err); err == errAgain {
			return t.FutexLock(address, scope, attempt, deadline)
		}
	}
	if err != nil || acquired {
		return err
	}
	err = t.sleepForLock(w, deadline)
	if err == nil || !w.cancel() {
		return nil
	}
	if err == abi.ERESTARTSYS {
		return abi.ERESTARTNOINTR
	}
	return err
}

// sleepForLock sleeps until w is on no list.
func (t *Task) sleepForLock(w *futexWaiter, deadline int64) error {
	defer t.pi.waits.Store(nil)
	return t.SleepUntil(Interruptible, deadline, func() bool { return w.bucket.Load() == nil })
}

// tryLock acquires the lock, or adds w to the list of its waiters.
func (t *Task) tryLock(w *futexWaiter, address uint64, scope FutexScope, attempt LockAttempt) (acquired bool, err error) {
	key, err := t.futexKey(address, scope)
	if err != nil {
		return false, err
	}
	w.key = key
	b := t.kernel.futexes.bucket(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	owner, err := t.acquireFor(t, b, key, address)
	switch {
	case err != nil:
		return false, err
	case owner == t:
		return true, nil
	case attempt == TryLock:
		return false, unix.EAGAIN
	}
	return false, t.awaitLock(w, b, owner)
}

// awaitLock adds w to the waiters of a lock that owner holds. The bucket is locked. Errors:
// EDEADLK, ESRCH.
func (t *Task) awaitLock(w *futexWaiter, b *futexBucket, owner *Task) error {
	w.pi.owner.Store(owner)
	// The order matters: of two tasks that begin to wait for each other, one sees the
	// other's wait.
	t.pi.waits.Store(w.pi)
	if owner.waitsFor(t) {
		t.pi.waits.Store(nil)
		return unix.EDEADLK
	}
	owner.pi.owns.Store(true)
	if owner.pi.left.Load() {
		t.pi.waits.Store(nil)
		return unix.ESRCH
	}
	b.add(w)
	return nil
}

// waitsFor reports whether the task waits for a lock of target, or for a lock whose
// owner does, and so on. As on Linux, a chain has at most 1024 locks.
func (t *Task) waitsFor(target *Task) bool {
	const limit = 1024
	for range limit {
		wait := t.pi.waits.Load()
		if wait == nil {
			return false
		}
		owner := wait.owner.Load()
		if owner == nil {
			return false
		}
		if t = owner; t == target {
			return true
		}
	}
	return true
}

// acquireFor acquires the lock for the task who if it is free. Otherwise it marks the
// word, so that the owner unlocks it by the kernel. It returns who or the owner. The
// word is in the memory of t at the address, and the bucket is locked. Errors: EDEADLK if
// who is the owner, ESRCH if the owner does not exist, EFAULT, ENOMEM.
func (t *Task) acquireFor(who *Task, b *futexBucket, key mm.FutexKey, address uint64) (owner *Task, err error) {
	was, err := t.MM.LoadUint32(address)
	for err == nil {
		var next uint32
		switch was & futexTIDMask {
		case uint32(who.TID()):
			return nil, unix.EDEADLK
		case 0:
			next = uint32(who.TID()) | was&futexOwnerDied
			if top, _ := b.topLockWaiter(key); top != nil {
				next |= futexWaiters
			}
			owner = who
		default:
			if owner = t.kernel.TaskByID(int(was & futexTIDMask)); owner == nil || owner.pi.left.Load() {
				return nil, unix.ESRCH
			}
			next = was | futexWaiters
		}
		var now uint32
		if now, err = t.MM.CompareAndSwapUint32(address, was, next); err == nil && now == was {
			if owner == who {
				b.setOwner(key, who)
			}
			return owner, nil
		}
		was = now
	}
	return nil, err
}

// FutexUnlock is FUTEX_UNLOCK_PI: it hands the lock over to the waiter of the highest
// priority, or makes it free. Errors: EPERM if the caller does not hold the lock,
// EINVAL, EFAULT.
func (t *Task) FutexUnlock(address uint64, scope FutexScope) error {
	key, err := t.futexKey(address, scope)
	if err != nil {
		return err
	}
	b := t.kernel.futexes.bucket(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	was, err := t.MM.LoadUint32(address)
	for err == nil {
		if was&futexTIDMask != uint32(t.TID()) {
			return unix.EPERM
		}
		top, more := b.topLockWaiter(key)
		var now uint32
		if now, err = t.MM.CompareAndSwapUint32(address, was, wordOf(top, more)); err == nil && now == was {
			b.handOver(top)
			return nil
		}
		was = now
	}
	return err
}

// wordOf returns the word of a lock after it was handed over to top, or after it was
// made free if top is nil.
func wordOf(top *futexWaiter, more bool) uint32 {
	if top == nil {
		return 0
	}
	word := uint32(top.task.TID())
	if more {
		word |= futexWaiters
	}
	return word
}

// handOver wakes the waiter that owns the lock now, unless it is nil. The bucket is
// locked.
func (b *futexBucket) handOver(w *futexWaiter) {
	if w == nil {
		return
	}
	key := w.key
	b.unlink(w)
	b.setOwner(key, w.task)
	w.bucket.Store(nil) // from here on the waiter may return
	w.task.Sleeper.Wake()
}

// leaveLocks hands the locks that the exiting task holds over to their waiters (Linux:
// exit_pi_state_list). It runs after the task's robust list was handled.
func (t *Task) leaveLocks() {
	t.pi.left.Store(true)
	if !t.pi.owns.Swap(false) {
		return
	}
	for i := range t.kernel.futexes.buckets {
		t.kernel.futexes.buckets[i].leave(t)
	}
}

// leave hands the locks of the bucket that owner holds over.
func (b *futexBucket) leave(owner *Task) {
	locked := guard.Lock(&b.mu)
	defer locked.Release()
	for {
		w := b.first
		for w != nil && (w.pi == nil || w.pi.condition || w.pi.owner.Load() != owner) {
			w = w.next
		}
		if w == nil {
			return
		}
		_, more := b.topLockWaiter(w.key)
		word := wordOf(w, more) | futexOwnerDied
		// The waiter sleeps, so its memory stays. If the page is gone, the waiter notices
		// when it uses the lock.
		w.task.MM.UpdateUint32(w.pi.address, func(uint32) uint32 { return word })
		b.handOver(w)
	}
}

// FutexWaitRequeue is FUTEX_WAIT_REQUEUE_PI: if the word holds value, it sleeps until
// FutexRequeueLock gives it the lock of the word lock. The deadline is that of FutexWait.
//
// Errors: EAGAIN if the word holds another value, or at a signal after the task was
// moved to the lock; EINVAL, EFAULT, ETIMEDOUT, ERESTARTNOINTR.
func (t *Task) FutexWaitRequeue(address uint64, value uint32, scope FutexScope, lock uint64, bits uint32, deadline int64) error {
	if bits == 0 || address == lock {
		return unix.EINVAL
	}
	key, err := t.futexKey(lock, scope)
	if err != nil {
		return err
	}
	w := &futexWaiter{task: t, bits: bits, pi: &piWait{address: lock, lock: key, condition: true}}
	if err := t.enqueue(w, address, value, scope); err != nil {
		return err
	}
	err = t.sleepForLock(w, deadline)
	if err == nil || !w.cancel() {
		return nil
	}
	switch {
	case err != abi.ERESTARTSYS:
		return err
	case w.pi.requeued:
		return unix.EAGAIN
	}
	return abi.ERESTARTNOINTR
}

// FutexRequeueLock is FUTEX_CMP_REQUEUE_PI: it gives the lock of the word to to the
// first waiter of FutexWaitRequeue on the word from, if the lock is free, and makes up to
// move others wait for the lock. It returns the number of both. Errors: EAGAIN if from
// does not hold compare, EINVAL if another operation waits on from, EDEADLK, ESRCH,
// EFAULT.
func (t *Task) FutexRequeueLock(from, to uint64, move int, scope FutexScope, compare uint32) (affected int, err error) {
	if move < 0 || from == to {
		return 0, unix.EINVAL
	}
	source, err := t.futexKey(from, scope)
	if err != nil {
		return 0, err
	}
	target, err := t.futexKey(to, scope)
	if err != nil {
		return 0, err
	}
	if source == target {
		return 0, unix.EINVAL
	}
	f := &t.kernel.futexes
	a, b := f.bucket(source), f.bucket(target)
	defer f.lockBoth(a, b)()
	now, err := t.MM.LoadUint32(from)
	if err != nil {
		return 0, err
	}
	if now != compare {
		return 0, unix.EAGAIN
	}
	return t.moveToLock(a, b, source, target, to, move)
}

// moveToLock gives the lock to the first waiter of source or lets it wait, and then lets
// up to move others wait. Both buckets are locked.
func (t *Task) moveToLock(a, b *futexBucket, source, target mm.FutexKey, address uint64, move int) (affected int, err error) {
	var owner *Task
	for w := a.first; w != nil && affected <= move; {
		next := w.next
		if w.key != source {
			w = next
			continue
		}
		if w.pi == nil || !w.pi.condition || w.pi.lock != target {
			return affected, unix.EINVAL
		}
		if owner, err = t.acquireFor(w.task, b, target, address); err != nil {
			return affected, err
		}
		affected++
		if owner == w.task {
			a.unlink(w)
			w.bucket.Store(nil)
			w.task.Sleeper.Wake()
		} else if err := w.moveToLock(a, b, target, owner); err != nil {
			return affected - 1, err
		}
		w = next
	}
	return affected, nil
}

// moveToLock moves the waiter from a condition to a lock that owner holds. Both buckets
// are locked.
func (w *futexWaiter) moveToLock(a, b *futexBucket, target mm.FutexKey, owner *Task) error {
	if owner == w.task || owner.waitsFor(w.task) {
		return unix.EDEADLK
	}
	a.unlink(w)
	w.key = target
	w.pi.condition, w.pi.requeued = false, true
	w.pi.owner.Store(owner)
	w.task.pi.waits.Store(w.pi)
	owner.pi.owns.Store(true)
	b.add(w)
	return nil
}
