package task

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
)

// lockWord returns the value of a word of the task.
func (w *world) lockWord(t *Task, address uint64) uint32 {
	word, err := t.LoadUint32(address)
	if err != nil {
		w.T.Errorf("reading the word: %v", err)
	}
	return word
}

// lockWaiter starts a thread that acquires the lock, calls locked, and unlocks it. It
// returns once the thread sleeps.
func (w *world) lockWaiter(t *Task, address uint64, locked func(*Task)) int {
	tid := w.thread(t, func(t *Task) {
		if err := t.FutexLock(address, PrivateFutex, WaitForLock, 0); err != nil {
			w.T.Errorf("locking: %v", err)
			return
		}
		locked(t)
		if err := t.FutexUnlock(address, PrivateFutex); err != nil {
			w.T.Errorf("unlocking: %v", err)
		}
	})
	waiter := w.k.TaskByID(tid)
	w.eventually("the waiter's sleep", func() bool { return waiter == nil || waiter.StateLetter() == 'S' })
	return tid
}

func TestUnlockHandsTheLockToTheWaiter(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		if err := t.FutexLock(scratch, PrivateFutex, WaitForLock, 0); err != nil {
			w.T.Errorf("locking a free lock: %v", err)
		}
		if got := w.lockWord(t, scratch); got != uint32(t.TID()) {
			w.T.Errorf("the word is %#x, want the owner's id %#x", got, t.TID())
		}
		if err := t.FutexLock(scratch, PrivateFutex, WaitForLock, 0); err != unix.EDEADLK {
			w.T.Errorf("locking twice: %v, want EDEADLK", err)
		}
		words := make(chan uint32, 1)
		release := make(chan bool)
		tid := w.lockWaiter(t, scratch, func(t *Task) { words <- w.lockWord(t, scratch); <-release })
		if got := w.lockWord(t, scratch); got != uint32(t.TID())|futexWaiters {
			w.T.Errorf("with a waiter the word is %#x", got)
		}
		if _, err := t.FutexWake(scratch, 1, PrivateFutex, FutexMatchAny); err != unix.EINVAL {
			w.T.Errorf("FUTEX_WAKE of a waiter of a lock: %v, want EINVAL", err)
		}
		if err := t.FutexUnlock(scratch, PrivateFutex); err != nil {
			w.T.Errorf("unlocking: %v", err)
		}
		if got := <-words; got != uint32(tid)|futexWaiters {
			w.T.Errorf("after the unlock the word is %#x, want %#x", got, tid|futexWaiters)
		}
		if err := t.FutexUnlock(scratch, PrivateFutex); err != unix.EPERM {
			w.T.Errorf("unlocking another's lock: %v, want EPERM", err)
		}
		if err := t.FutexLock(scratch, PrivateFutex, TryLock, 0); err != unix.EAGAIN {
			w.T.Errorf("trying a held lock: %v, want EAGAIN", err)
		}
		release <- true
		w.eventually("the unlock", func() bool { return w.lockWord(t, scratch) == 0 })
	})
}

func TestLockTimesOut(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		if err := t.FutexLock(scratch, PrivateFutex, WaitForLock, 0); err != nil {
			w.T.Errorf("locking: %v", err)
		}
		result := make(chan error)
		w.thread(t, func(t *Task) {
			result <- t.FutexLock(scratch, PrivateFutex, WaitForLock, clock.Monotonic()+int64(time.Millisecond))
		})
		if err := <-result; err != unix.ETIMEDOUT {
			w.T.Errorf("locking with a deadline: %v, want ETIMEDOUT", err)
		}
		if err := t.FutexUnlock(scratch, PrivateFutex); err != nil || w.lockWord(t, scratch) != 0 {
			w.T.Errorf("unlocking after the waiter has gone: %v, word %#x", err, w.lockWord(t, scratch))
		}
	})
}

// TestExitOfTheOwnerHandsTheLockOver lets a thread exit while it holds a lock that
// another waits for.
func TestExitOfTheOwnerHandsTheLockOver(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		held, release := make(chan bool), make(chan bool)
		w.thread(t, func(t *Task) {
			if err := t.FutexLock(scratch, PrivateFutex, WaitForLock, 0); err != nil {
				w.T.Errorf("locking: %v", err)
			}
			held <- true
			<-release
		})
		<-held
		words := make(chan uint32, 1)
		tid := w.lockWaiter(t, scratch, func(t *Task) { words <- w.lockWord(t, scratch) })
		close(release)
		if got, want := <-words, uint32(tid)|futexOwnerDied|futexWaiters; got != want {
			w.T.Errorf("after the owner's exit the word is %#x, want %#x", got, want)
		}
		w.eventually("the unlock of the waiter", func() bool { return w.lockWord(t, scratch) == 0 })
		if err := t.StoreUint32(scratch, 0x3ffffff0); err != nil {
			w.T.Error(err)
		}
		if err := t.FutexLock(scratch, PrivateFutex, WaitForLock, 0); err != unix.ESRCH {
			w.T.Errorf("locking a lock of nobody: %v, want ESRCH", err)
		}
	})
}

// TestLocksInACircleAreRefused lets two threads lock two locks in opposite order.
func TestLocksInACircleAreRefused(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		const second = scratch + 64
		if err := t.FutexLock(scratch, PrivateFutex, WaitForLock, 0); err != nil {
			w.T.Errorf("locking: %v", err)
		}
		done := make(chan bool)
		tid := w.thread(t, func(t *Task) {
			if err := t.FutexLock(second, PrivateFutex, WaitForLock, 0); err != nil {
				w.T.Errorf("locking: %v", err)
			}
			if err := t.FutexLock(scratch, PrivateFutex, WaitForLock, 0); err != nil {
				w.T.Errorf("locking the other's lock: %v", err)
			}
			close(done)
		})
		waiter := w.k.TaskByID(tid)
		w.eventually("the waiter's sleep", func() bool { return waiter.StateLetter() == 'S' })
		if err := t.FutexLock(second, PrivateFutex, WaitForLock, 0); err != unix.EDEADLK {
			w.T.Errorf("closing the circle: %v, want EDEADLK", err)
		}
		if err := t.FutexUnlock(scratch, PrivateFutex); err != nil {
			w.T.Errorf("unlocking: %v", err)
		}
		<-done
	})
}

// TestRequeueMovesWaitersToTheLock lets two threads wait on a condition and moves them
// to a lock: the first gets it, the second waits for it.
func TestRequeueMovesWaitersToTheLock(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		const condition, lock = scratch, scratch + 64
		got := make(chan error, 2)
		for range 2 {
			tid := w.thread(t, func(t *Task) {
				err := t.FutexWaitRequeue(condition, 0, PrivateFutex, lock, FutexMatchAny, 0)
				got <- err
				if err == nil {
					err = t.FutexUnlock(lock, PrivateFutex)
				}
				if err != nil {
					w.T.Errorf("unlocking: %v", err)
				}
			})
			waiter := w.k.TaskByID(tid)
			w.eventually("the waiter's sleep", func() bool { return waiter.StateLetter() == 'S' })
		}
		if n, err := t.FutexRequeueLock(condition, lock+8, 1, PrivateFutex, 0); err != unix.EINVAL || n != 0 {
			w.T.Errorf("moving to another lock than the waiters named: %d, %v, want EINVAL", n, err)
		}
		if n, err := t.FutexRequeueLock(condition, lock, 1, PrivateFutex, 1); err != unix.EAGAIN || n != 0 {
			w.T.Errorf("moving with a wrong value: %d, %v, want EAGAIN", n, err)
		}
		if n, err := t.FutexRequeueLock(condition, lock, 5, PrivateFutex, 0); n != 2 || err != nil {
			w.T.Errorf("moving both: %d, %v", n, err)
		}
		for range 2 {
			if err := <-got; err != nil {
				w.T.Errorf("waiting: %v", err)
			}
		}
		w.eventually("the last unlock", func() bool { return w.lockWord(t, lock) == 0 })
	})
}

func TestOrdinaryWaiterIsNotMovedToALock(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		returned := w.waiters(t, scratch, 1, FutexMatchAny)
		if _, err := t.FutexRequeueLock(scratch, scratch+64, 1, PrivateFutex, 0); err != unix.EINVAL {
			w.T.Errorf("got %v, want EINVAL", err)
		}
		t.FutexWake(scratch, 1, PrivateFutex, FutexMatchAny)
		w.eventually("the waiter's return", func() bool { return returned.Load() == 1 })
	})
}
