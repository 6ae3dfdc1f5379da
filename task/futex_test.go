package task

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/clock"
	"slowpath/mm"
	"slowpath/sched"
)

// waiters starts n threads that wait on a word. It returns the counter of the
// threads whose wait has returned.
func (w *world) waiters(t *Task, address uint64, n int, bits uint32) *atomic.Int32 {
	returned := new(atomic.Int32)
	ready := make(chan *Task, n)
	for range n {
		w.thread(t, func(t *Task) {
			ready <- t
			if err := t.FutexWait(address, 0, PrivateFutex, bits, 0); err != nil {
				w.T.Errorf("waiting: %v", err)
			}
			returned.Add(1)
		})
	}
	for range n {
		waiter := <-ready
		w.eventually("a waiter's sleep", func() bool { return waiter.StateLetter() == 'S' })
	}
	return returned
}

func TestFutexWakeObeysLimitAndBits(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		if err := t.FutexWait(scratch, 1, PrivateFutex, FutexMatchAny, 0); err != unix.EAGAIN {
			w.T.Errorf("waiting for another value: %v, want EAGAIN", err)
		}
		odd := w.waiters(t, scratch, 3, 1)
		even := w.waiters(t, scratch, 2, 2)
		for _, c := range []struct {
			limit     int
			bits      uint32
			want      int
			odd, even int32
		}{{1, 1, 1, 1, 0}, {10, 2, 2, 1, 2}, {10, 4, 0, 1, 2}, {10, FutexMatchAny, 2, 3, 2}, {10, FutexMatchAny, 0, 3, 2}} {
			n, err := t.FutexWake(scratch, c.limit, PrivateFutex, c.bits)
			if n != c.want || err != nil {
				w.T.Errorf("waking %+v: %d, %v", c, n, err)
			}
			w.eventually("the return of the woken waiters", func() bool { return odd.Load() == c.odd && even.Load() == c.even })
		}
	})
}

func TestFutexWakesTheHighestPriorityFirst(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		woken := make(chan int32, 4)
		for _, priority := range []int32{1, 0, 5, 1} {
			tid := w.thread(t, func(t *Task) {
				t.SetAttributes(sched.Attributes{Policy: sched.FIFO, Priority: priority})
				t.FutexWait(scratch, 0, PrivateFutex, FutexMatchAny, 0)
				woken <- priority
			})
			waiter := w.k.TaskByID(tid)
			w.eventually("the waiter's sleep", func() bool { return waiter.StateLetter() == 'S' })
		}
		for _, want := range []int32{5, 1, 1, 0} {
			if n, err := t.FutexWake(scratch, 1, PrivateFutex, FutexMatchAny); n != 1 || err != nil {
				w.T.Errorf("waking one: %d, %v", n, err)
			}
			if got := <-woken; got != want {
				w.T.Errorf("the waiter of priority %d was woken, want %d", got, want)
			}
		}
	})
}

func TestFutexWaitErrors(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for _, scope := range []FutexScope{PrivateFutex, SharedFutex} {
			if err := t.FutexWait(scratch+1, 0, scope, FutexMatchAny, 0); err != unix.EINVAL {
				w.T.Errorf("waiting on an unaligned word: %v, want EINVAL", err)
			}
			if err := t.FutexWait(0x1000, 0, scope, FutexMatchAny, 0); err != unix.EFAULT {
				w.T.Errorf("waiting on an unmapped word: %v, want EFAULT", err)
			}
		}
		if err := t.FutexWait(scratch, 0, PrivateFutex, 0, 0); err != unix.EINVAL {
			w.T.Errorf("waiting without bits: %v, want EINVAL", err)
		}
		start := clock.Monotonic()
		if err := t.FutexWait(scratch, 0, PrivateFutex, 1, start+10*clock.Millisecond); err != unix.ETIMEDOUT {
			w.T.Errorf("waiting until the deadline: %v, want ETIMEDOUT", err)
		}
		if clock.Monotonic()-start < 10*clock.Millisecond {
			w.T.Error("the wait timed out before its deadline")
		}
	})
}

func TestInterruptedFutexWaitCanRestart(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for deadline, want := range map[int64]error{0: abi.ERESTARTSYS, clock.Monotonic() + 1e12: abi.ERESTART_RESTARTBLOCK} {
			got := make(chan error, 1)
			tid := w.thread(t, func(t *Task) {
				w.handle(t, unix.SIGUSR1, 0)
				got <- t.FutexWait(scratch, 0, PrivateFutex, 1, deadline)
				if want == abi.ERESTART_RESTARTBLOCK {
					t.StoreUint32(scratch, 1)
					if _, err := t.Restart.Resume(t); err != unix.EAGAIN {
						w.T.Errorf("restart with another value in the word: %v, want EAGAIN", err)
					}
					t.StoreUint32(scratch, 0)
				}
			})
			waiter := w.k.TaskByID(tid)
			w.eventually("the waiter's sleep", func() bool { return waiter.StateLetter() == 'S' })
			t.KillThread(0, tid, unix.SIGUSR1)
			if err := <-got; err != want {
				w.T.Errorf("wait with deadline %d, interrupted: %v, want %v", deadline, err, want)
			}
			if n, _ := t.FutexWake(scratch, 1, PrivateFutex, FutexMatchAny); n != 0 {
				w.T.Error("an interrupted waiter is still on the list")
			}
		}
	})
}

func TestFutexRequeueWakesAndMoves(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		const other = scratch + 64
		returned := w.waiters(t, scratch, 4, FutexMatchAny)
		wrong := uint32(9)
		if _, _, err := t.FutexRequeue(scratch, other, 1, 10, PrivateFutex, &wrong); err != unix.EAGAIN {
			w.T.Errorf("requeue with another value: %v, want EAGAIN", err)
		}
		right := uint32(0)
		affected, woken, err := t.FutexRequeue(scratch, other, 1, 2, PrivateFutex, &right)
		if affected != 3 || woken != 1 || err != nil {
			w.T.Errorf("requeue: affected %d, woken %d, %v, want 3 and 1", affected, woken, err)
		}
		for _, c := range []struct {
			address uint64
			want    int
		}{{scratch, 1}, {other, 2}} {
			if n, _ := t.FutexWake(c.address, 10, PrivateFutex, FutexMatchAny); n != c.want {
				w.T.Errorf("waking at %#x: %d, want %d", c.address, n, c.want)
			}
		}
		w.eventually("the return of all waiters", func() bool { return returned.Load() == 4 })
	})
}

func TestFutexWakeOpOperationsAndComparisons(t *testing.T) {
	const arg, cmpArg = 5, 3
	encode := func(op, cmp uint32) uint32 { return op<<28 | cmp<<24 | arg<<12 | cmpArg }
	for name, c := range map[string]struct {
		encoded   uint32
		was, want uint32
		wakes2    bool
	}{
		"set, equal":       {encode(0, 0), 3, 5, true},
		"add, not equal":   {encode(1, 1), 3, 8, false},
		"or, less":         {encode(2, 2), 2, 7, true},
		"andn, at most":    {encode(3, 3), 7, 2, false},
		"xor, greater":     {encode(4, 4), 4, 1, true},
		"add, at least":    {encode(1, 5), 3, 8, true},
		"set shifted":      {encode(8, 0), 3, 32, true},
		"negative compare": {0<<28 | 4<<24 | arg<<12 | 0xfff, 0, 5, true},
	} {
		w := newWorld(t)
		w.process(func(t *Task) {
			const second = scratch + 64
			a := w.waiters(t, scratch, 1, FutexMatchAny)
			b := w.waiters(t, second, 1, FutexMatchAny)
			t.StoreUint32(second, c.was)
			n, err := t.FutexWakeOp(scratch, second, 1, 1, PrivateFutex, c.encoded)
			want := 1
			if c.wakes2 {
				want = 2
			}
			if word, _ := t.LoadUint32(second); n != want || err != nil || word != c.want {
				w.T.Errorf("%s: woke %d, word %d, %v; want %d and %d", name, n, word, err, want, c.want)
			}
			t.FutexWake(second, 1, PrivateFutex, FutexMatchAny)
			w.eventually("the return of both waiters", func() bool { return a.Load()+b.Load() == 2 })
		})
	}
}

func TestFutexWaitManyReturnsTheWokenIndex(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		entries := []FutexWaitEntry{{Address: scratch, Scope: PrivateFutex}, {Address: scratch + 64, Scope: PrivateFutex}}
		got := make(chan int, 1)
		tid := w.thread(t, func(t *Task) {
			n, err := t.FutexWaitMany(entries, 0)
			if err != nil {
				w.T.Errorf("waiting: %v", err)
			}
			got <- n
		})
		waiter := w.k.TaskByID(tid)
		w.eventually("the waiter's sleep", func() bool { return waiter.StateLetter() == 'S' })
		t.FutexWake(scratch+64, 1, PrivateFutex, FutexMatchAny)
		if n := <-got; n != 1 {
			w.T.Errorf("the woken index is %d, want 1", n)
		}
		if n, _ := t.FutexWake(scratch, 1, PrivateFutex, FutexMatchAny); n != 0 {
			w.T.Error("the waiter is still on the list of the other word")
		}
		t.StoreUint32(scratch+64, 1)
		if _, err := t.FutexWaitMany(entries, 0); err != unix.EAGAIN {
			w.T.Errorf("another value: %v, want EAGAIN", err)
		}
	})
}

// TestFutexMutexIsExclusive implements a mutex with a futex, as in Drepper's
// "Futexes Are Tricky". A lost wakeup makes the test time out. Two threads that hold
// the mutex at the same time lose counts.
func TestFutexMutexIsExclusive(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		const threads, rounds = 6, 300
		var ended atomic.Int32
		count := 0
		swap := func(t *Task, old, next uint32) uint32 {
			was, err := t.MM.CompareAndSwapUint32(scratch, old, next)
			if err != nil {
				w.T.Errorf("compare and swap: %v", err)
			}
			return was
		}
		for range threads {
			w.thread(t, func(t *Task) {
				for range rounds {
					for c := swap(t, 0, 1); c != 0; c = swap(t, 0, 2) {
						if c == 2 || swap(t, 1, 2) != 0 {
							t.FutexWait(scratch, 2, PrivateFutex, FutexMatchAny, 0)
						}
					}
					count++
					if was, _ := t.MM.UpdateUint32(scratch, func(uint32) uint32 { return 0 }); was == 2 {
						t.FutexWake(scratch, 1, PrivateFutex, FutexMatchAny)
					}
				}
				ended.Add(1)
			})
		}
		w.eventually("the end of all threads", func() bool { return ended.Load() == threads })
		if count != threads*rounds {
			w.T.Errorf("the count is %d, want %d", count, threads*rounds)
		}
	})
}

func TestRobustListMarksTheOwnerDead(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		const head, node, offset, lock = scratch, scratch + 64, 16, scratch + 80
		w.thread(t, func(t *Task) {
			for i, word := range []uint64{node, offset, 0} {
				t.CopyOut(head+8*uint64(i), little64(word))
			}
			t.CopyOut(node, little64(head))
			t.StoreUint32(lock, uint32(t.TID())|futexWaiters)
			t.SetRobustList(abi.Layout64, head)
		})
		for {
			word, _ := t.LoadUint32(lock)
			if word&futexOwnerDied != 0 {
				if word != futexOwnerDied|futexWaiters {
					w.T.Errorf("the lock's word is %#x", word)
				}
				return
			}
			t.FutexWait(lock, word, SharedFutex, FutexMatchAny, clock.Monotonic()+10*clock.Millisecond)
		}
	})
}

// little64 returns v as 8 bytes, little-endian.
func little64(v uint64) []byte {
	p := make([]byte, 8)
	for i := range p {
		p[i] = byte(v >> (8 * i))
	}
	return p
}

func TestExitSurvivesAnInvalidRobustList(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for name, words := range map[string][]uint64{
			"circular list":      {scratch + 64, 0, 0},
			"kernel address":     {1 << 63, 0, 0},
			"offset overflows":   {scratch + 64, 1 << 63, 0},
			"pending not mapped": {scratch, 0, 0x1001},
		} {
			pid := w.fork(t, func(t *Task) {
				for i, word := range words {
					t.CopyOut(scratch+8*uint64(i), little64(word))
				}
				t.CopyOut(scratch+64, little64(scratch+64))
				t.SetRobustList(abi.Layout64, scratch)
				exit(t, 1)
			})
			if result := w.wait(t, pid, 0); result.Status != ExitStatus(1) {
				w.T.Errorf("%s: the child %v", name, result.Status)
			}
		}
	})
}

// TestRequeuedWaiterAlwaysHasABucket: a waiter without a bucket has been woken and returns. If
// a requeue left it without one in between, it would return and stay on the second list.
func TestRequeuedWaiterAlwaysHasABucket(t *testing.T) {
	const rounds = 100_000
	first, second := mm.FutexKey{Offset: 4}, mm.FutexKey{Offset: 8}
	var a, b futexBucket
	w := &futexWaiter{task: new(Task), key: first}
	a.add(w)
	var over, woken atomic.Bool
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for !over.Load() {
			if w.bucket.Load() == nil {
				woken.Store(true)
			}
		}
	}()
	for range rounds {
		a.move(&b, first, second, 1)
		b.move(&a, second, first, 1)
	}
	over.Store(true)
	<-watched
	if woken.Load() || w.bucket.Load() != &a || a.first != w {
		t.Errorf("a requeued waiter looked woken: %v; its bucket is %p, want %p", woken.Load(), w.bucket.Load(), &a)
	}
}

// TestFutexWaitUsesOneWaiterAgain: a wait allocates nothing, and leaves the waiter on no list.
func TestFutexWaitUsesOneWaiterAgain(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for range 3 {
			if err := t.FutexWait(scratch, 0, PrivateFutex, FutexMatchAny, clock.Monotonic()+clock.Millisecond); err != unix.ETIMEDOUT {
				w.T.Errorf("a wait that nobody ends: %v", err)
			}
			if t.futex.bucket.Load() != nil || t.futex.next != nil || t.futex.prev != nil {
				w.T.Error("the waiter is on a list after its wait")
			}
		}
		if n := testing.AllocsPerRun(20, func() { t.FutexWait(scratch, 1, PrivateFutex, FutexMatchAny, 0) }); n != 0 {
			w.T.Errorf("a wait for another value allocates %v times", n)
		}
	})
}
