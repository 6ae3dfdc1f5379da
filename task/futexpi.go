package task

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/sched"
)

// This file has the futex operations with priority inheritance (futex(2), "Priority-
// inheritance futexes"; Linux: kernel/futex/pi.c and requeue.c). The kernel knows the owner of
// such a lock: the word holds the owner's thread id. The owner inherits the priority of the
// waiters (package sched). An unlock hands the lock over to the most urgent waiter, and the exit
// of the owner does the same.

// priorityLock is a lock with priority inheritance for which tasks wait (Linux:
// futex_pi_state). Its waiters hold it, so there are at most as many as sleeping tasks. The lock
// of the word's bucket guards it.
type priorityLock struct {
	owner   *Task
	mutex   *sched.RTMutex
	waiters int
}

// piWait is what a waiter of a lock with priority inheritance has in addition.
type piWait struct {
	address uint64 // the user address of the lock's word in the waiter's memory
	rt      sched.RTWaiter
	// lock is nil while the waiter of FUTEX_WAIT_REQUEUE_PI still waits on its first word, and
	// target is the key of the second word. The bucket's lock guards lock and requeued.
	lock     *priorityLock
	target   mm.FutexKey
	requeued bool // it was moved to the second word
}

// piState is a task's part of the locks with priority inheritance.
type piState struct {
	// waiting is the waiter that is the task's in a priorityLock. The bucket's lock guards it.
	waiting *futexWaiter
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

// top returns the first waiter of the word, or nil. The bucket is locked.
func (b *futexBucket) top(key mm.FutexKey) *futexWaiter {
	for w := b.first; w != nil; w = w.next {
		if w.key == key {
			return w
		}
	}
	return nil
}

// newPriorityLock returns the lock of an owner, for which nobody waits yet.
func newPriorityLock(owner *Task) *priorityLock {
	return &priorityLock{owner: owner, mutex: sched.NewRTMutex(owner.Entity())}
}

// await makes w, which is on no list or on that of its first word, wait for the lock. The bucket is
// locked. It returns EDEADLK, and does nothing, if the owner waits for w, directly or by other
// owners.
func (l *priorityLock) await(w *futexWaiter) error {
	if !w.scheduler().BlockOn(l.mutex, &w.pi.rt, w.task.Entity()) {
		return unix.EDEADLK
	}
	l.waiters++
	w.pi.lock, w.task.pi.waiting = l, w
	return nil
}

// forget ends the wait of w, which has got the lock or waits no longer. The bucket is locked.
func (l *priorityLock) forget(w *futexWaiter) {
	l.waiters--
	w.pi.lock, w.task.pi.waiting = nil, nil
}

func (w *futexWaiter) scheduler() *sched.Scheduler { return w.task.kernel.Scheduler() }

// next returns the most urgent waiter, to which the lock is handed over next. The bucket is
// locked.
func (l *priorityLock) next(s *sched.Scheduler) *futexWaiter {
	return s.Top(l.mutex).Runner().(*Task).pi.waiting
}

// handOver makes the waiter the owner, and wakes it. The bucket is locked, and the word has the new
// owner already.
func (b *futexBucket) handOver(w *futexWaiter) {
	l := w.pi.lock
	w.scheduler().HandOver(&w.pi.rt)
	l.owner = w.task
	w.task.pi.owns.Store(true)
	l.forget(w)
	b.remove(w) // from here on the waiter may return
	w.task.Sleeper.Wake()
}

// stopWaiting ends the wait of w for a lock before it got it. The bucket is locked.
func (w *futexWaiter) stopWaiting() {
	if w.pi == nil || w.pi.lock == nil {
		return
	}
	w.scheduler().Unblock(&w.pi.rt)
	w.pi.lock.forget(w)
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
// if the owner does not exist, EINVAL if the word does not name the owner that the kernel knows,
// EAGAIN, EFAULT, ETIMEDOUT, ERESTARTNOINTR.
func (t *Task) FutexLock(address uint64, scope FutexScope, attempt LockAttempt, deadline int64) error {
	w := &futexWaiter{task: t, bits: FutexMatchAny, pi: &piWait{address: address}}
	var acquired bool
	err := t.untilMemory(func() (err error) {
		acquired, err = t.tryLock(w, address, scope, attempt)
		return err
	})
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

// untilMemory calls try. If memory is short, it tries again after the OOM killer has run.
func (t *Task) untilMemory(try func() error) error {
	for {
		err := try()
		if err != unix.ENOMEM {
			return err
		}
		if err = t.retryAfterOOM(err); err != errAgain {
			return err
		}
	}
}

// sleepForLock sleeps until w is on no list.
func (t *Task) sleepForLock(w *futexWaiter, deadline int64) error {
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
	lock, err := t.acquireFor(t, b, key, address, 0)
	switch {
	case err != nil:
		return false, err
	case lock.owner == t:
		return true, nil
	case attempt == TryLock:
		return false, unix.EAGAIN
	}
	if err := lock.await(w); err != nil {
		return false, err
	}
	b.add(w)
	return false, nil
}

// acquireFor acquires the lock for the task who if it is free (Linux: futex_lock_pi_atomic).
// Otherwise it marks the word, so that the owner unlocks it by the kernel. It returns the lock,
// whose owner is who or another task. If who becomes the owner, marks are added to the word. The
// word is in the memory of t at the address, and the bucket is locked. Errors: EDEADLK if who is
// the owner, ESRCH if the owner does not exist, EINVAL if the word contradicts what the kernel
// knows, EFAULT, ENOMEM.
func (t *Task) acquireFor(who *Task, b *futexBucket, key mm.FutexKey, address uint64, marks uint32) (*priorityLock, error) {
	for {
		was, err := t.MM.LoadUint32(address)
		if err != nil {
			return nil, err
		}
		owner := was & futexTIDMask
		if owner == uint32(who.TID()) {
			return nil, unix.EDEADLK
		}
		if w := b.top(key); w != nil {
			return w.lockOf(was)
		}
		next := was | futexWaiters
		if owner == 0 {
			next = uint32(who.TID()) | was&futexOwnerDied | marks
		}
		now, err := t.MM.CompareAndSwapUint32(address, was, next)
		switch {
		case err != nil:
			return nil, err
		case now != was:
			continue
		case owner == 0:
			return newPriorityLock(who), nil
		}
		lock, err := t.lockOfOwner(owner)
		if err != unix.ESRCH {
			return lock, err
		}
		// The owner may have changed the word in its exit, after it was read above.
		if now, err = t.MM.LoadUint32(address); err != nil {
			return nil, err
		}
		if now == next {
			return nil, unix.ESRCH
		}
	}
}

// lockOf returns the lock for which w waits, if that agrees with the word (Linux:
// attach_to_pi_state). The bucket is locked. EINVAL: it does not, or w is no waiter of a lock.
func (w *futexWaiter) lockOf(word uint32) (*priorityLock, error) {
	if w.pi == nil || w.pi.lock == nil {
		return nil, unix.EINVAL
	}
	owner := word & futexTIDMask
	if word&futexOwnerDied != 0 && owner == 0 {
		return w.pi.lock, nil // the owner is in the middle of its exit
	}
	if owner != uint32(w.pi.lock.owner.TID()) {
		return nil, unix.EINVAL
	}
	return w.pi.lock, nil
}

// lockOfOwner returns the lock of a thread for which nobody has waited yet. ESRCH: the thread does
// not exist, or has left its locks.
func (t *Task) lockOfOwner(tid uint32) (*priorityLock, error) {
	owner := t.kernel.TaskByID(int(tid))
	if owner == nil {
		return nil, unix.ESRCH
	}
	// The order matters: leaveLocks sets left before it reads owns.
	owner.pi.owns.Store(true)
	if owner.pi.left.Load() {
		return nil, unix.ESRCH
	}
	return newPriorityLock(owner), nil
}

// FutexUnlock is FUTEX_UNLOCK_PI: it hands the lock over to the most urgent waiter, or makes it
// free. Errors: EPERM if the caller does not hold the lock, EINVAL if the word contradicts what the
// kernel knows, EAGAIN if the word has changed meanwhile, EFAULT.
func (t *Task) FutexUnlock(address uint64, scope FutexScope) error {
	return t.untilMemory(func() error { return t.tryUnlock(address, scope) })
}

// tryUnlock is FutexUnlock: ENOMEM if memory is short.
func (t *Task) tryUnlock(address uint64, scope FutexScope) error {
	was, err := t.LoadUint32(address)
	if err != nil {
		return err
	}
	if was&futexTIDMask != uint32(t.TID()) {
		return unix.EPERM
	}
	key, err := t.futexKey(address, scope)
	if err != nil {
		return err
	}
	b := t.kernel.futexes.bucket(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	top := b.top(key)
	if top == nil {
		now, err := t.MM.CompareAndSwapUint32(address, was, 0)
		if err == nil && now != was {
			err = unix.EAGAIN
		}
		return err
	}
	if top.pi == nil || top.pi.lock == nil || top.pi.lock.owner != t {
		return unix.EINVAL
	}
	return t.passOn(b, top.pi.lock, address, was)
}

// passOn hands a lock of the task over, whose word was read before the bucket was locked. EINVAL:
// the word has changed, and not only because a task has begun to wait (Linux: wake_futex_pi).
func (t *Task) passOn(b *futexBucket, l *priorityLock, address uint64, was uint32) error {
	next := l.next(t.kernel.Scheduler())
	word := uint32(next.task.TID()) | futexWaiters
	now, err := t.MM.CompareAndSwapUint32(address, was, word)
	if err == nil && now == was|futexWaiters && now != was {
		was = now
		now, err = t.MM.CompareAndSwapUint32(address, was, word)
	}
	switch {
	case err != nil:
		return err
	case now != was:
		return unix.EINVAL
	}
	b.handOver(next)
	return nil
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
	if b.priorityWaiters == 0 {
		return
	}
	for {
		w := b.first
		for w != nil && (w.pi == nil || w.pi.lock == nil || w.pi.lock.owner != owner) {
			w = w.next
		}
		if w == nil {
			return
		}
		next := w.pi.lock.next(owner.kernel.Scheduler())
		word := uint32(next.task.TID()) | futexWaiters | futexOwnerDied
		// The waiter sleeps, so its memory stays. If the page is gone, the waiter notices
		// when it uses the lock.
		next.task.MM.UpdateUint32(next.pi.address, func(uint32) uint32 { return word })
		b.handOver(next)
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
	w := &futexWaiter{task: t, bits: bits, pi: &piWait{address: lock, target: key}}
	if err := t.enqueue(w, address, value, scope); err != nil {
		return err
	}
	err = t.sleepForLock(w, deadline)
	switch {
	case err == nil || !w.cancel():
		return nil
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
	err = t.untilMemory(func() (err error) {
		affected, err = t.tryRequeueLock(from, to, move, scope, compare)
		return err
	})
	return affected, err
}

// tryRequeueLock is FutexRequeueLock: ENOMEM, before it has changed anything, if memory is short.
func (t *Task) tryRequeueLock(from, to uint64, move int, scope FutexScope, compare uint32) (affected int, err error) {
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

// mayMoveTo reports whether w waits in FutexWaitRequeue for the lock with the key.
func (w *futexWaiter) mayMoveTo(key mm.FutexKey) bool {
	return w.pi != nil && w.pi.lock == nil && w.pi.target == key
}

// moveToLock gives the lock to the first waiter of source or lets it wait, and then lets
// up to move others wait. Both buckets are locked.
func (t *Task) moveToLock(a, b *futexBucket, source, target mm.FutexKey, address uint64, move int) (affected int, err error) {
	first := a.top(source)
	switch {
	case first == nil:
		return 0, nil
	case !first.mayMoveTo(target):
		return 0, unix.EINVAL
	}
	marks := uint32(0)
	if move > 0 {
		marks = futexWaiters
	}
	lock, err := t.acquireFor(first.task, b, target, address, marks)
	if err != nil {
		return 0, err
	}
	if lock.owner == first.task {
		first.task.pi.owns.Store(true)
		a.remove(first)
		first.task.Sleeper.Wake()
		affected++
	}
	for w := a.first; w != nil && affected <= move; {
		next := w.next
		if w.key == source {
			if err := w.moveToLock(a, b, target, lock); err != nil {
				return affected, err
			}
			affected++
		}
		w = next
	}
	return affected, nil
}

// moveToLock moves the waiter from a condition to a lock. Both buckets are locked. Errors: EINVAL if
// it does not wait for that, EDEADLK.
func (w *futexWaiter) moveToLock(a, b *futexBucket, target mm.FutexKey, lock *priorityLock) error {
	if !w.mayMoveTo(target) {
		return unix.EINVAL
	}
	if err := lock.await(w); err != nil {
		return err
	}
	a.unlink(w)
	w.key, w.pi.requeued = target, true
	b.add(w)
	return nil
}
