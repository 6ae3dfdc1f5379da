// Package wait has wait queues, which announce events, and Sleepers, on which
// goroutines sleep.
//
// The two are separate, because one sleep may wait on many queues (poll(2)), and
// a queue may have waiters that are no goroutines (epoll(7) links a queue to
// another).
//
// To lose no wake-up, add a Waiter to the queue, check the condition, and sleep
// only then. A wake-up between the check and the sleep leaves a token, and the
// sleep returns immediately.
package wait

import (
	"sync"
	"sync/atomic"
)

// Events is a set of poll(2) conditions, with poll's own bits.
type Events uint32

// The bits of poll(2); epoll(7) uses the same.
const (
	In     Events = 0x001
	Pri    Events = 0x002
	Out    Events = 0x004
	Err    Events = 0x008
	Hup    Events = 0x010
	Nval   Events = 0x020
	RdNorm Events = 0x040
	RdBand Events = 0x080
	WrNorm Events = 0x100
	WrBand Events = 0x200
	RdHup  Events = 0x2000

	// Readable and Writable are the events of a file that becomes ready for
	// reading or writing.
	Readable = In | RdNorm
	Writable = Out | WrNorm
	// Always are the events that poll(2) reports even if they were not requested.
	Always = Err | Hup
	// All wakes every waiter.
	All = ^Events(0)
)

// Waiter is an entry of one queue. Its owner sets Mask and Notify before Add and
// does not change them until Remove returns.
type Waiter struct {
	// Mask holds the events that the waiter waits for.
	Mask Events
	// Notify is called by Queue.Wake with the events that happened. The
	// queue's lock is held: it must not sleep, nor call into the same queue.
	Notify func(w *Waiter, happened Events)
	// NotifyOne, if it is not nil, replaces Notify and makes the waiter
	// exclusive: Wake stops at the first exclusive waiter whose NotifyOne
	// returns true, which means that it has woken a goroutine.
	NotifyOne func(w *Waiter, happened Events) bool

	queue      *Queue
	next, prev *Waiter
}

// Queue is a wait queue. The zero value is empty and ready for use. All
// methods are safe for concurrent use and do not sleep.
type Queue struct {
	mu      sync.Mutex
	first   *Waiter
	last    *Waiter
	waiters atomic.Int32 // their number: Wake of an empty queue takes no lock
}

// Add appends w to the queue. It panics if w is already on a queue: two queues
// would share one list.
func (q *Queue) Add(w *Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.queue != nil {
		panic("wait: the waiter is already on a queue")
	}
	w.queue, w.prev, w.next = q, q.last, nil
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.waiters.Add(1)
}

// Remove removes w from the queue, if it is there. When Remove returns, w.Notify
// does not run for this queue and will not.
func (q *Queue) Remove(w *Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.queue != q {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.queue, w.next, w.prev = nil, nil, nil
	q.waiters.Add(-1)
}

// Wake notifies every waiter whose mask has one of the events in happened, but
// only one exclusive waiter, after the others. Err and Hup reach all waiters, as
// in poll(2).
func (q *Queue) Wake(happened Events) {
	if q.waiters.Load() == 0 {
		return // a waiter that is being added checks its condition after that
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	exclusive := false
	for w := q.first; w != nil; w = w.next {
		hit := happened & (w.Mask | Always)
		switch {
		case hit == 0:
		case w.NotifyOne != nil:
			exclusive = true
		default:
			w.Notify(w, hit)
		}
	}
	if exclusive {
		q.wakeExclusive(happened)
	}
}

// wakeExclusive notifies exclusive waiters in the order of Add until NotifyOne of
// one returns true. For Err and Hup it notifies all of them. q.mu is held.
func (q *Queue) wakeExclusive(happened Events) {
	for w := q.first; w != nil; w = w.next {
		hit := happened & (w.Mask | Always)
		if hit == 0 || w.NotifyOne == nil {
			continue
		}
		if w.NotifyOne(w, hit) && happened&Always == 0 {
			return
		}
	}
}

// Empty reports whether the queue has no waiters. That may have changed when it
// returns.
func (q *Queue) Empty() bool { return q.waiters.Load() == 0 }
