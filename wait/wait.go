// Package wait has the two halves of sleeping: the wait queue, on which
// somebody announces that something happened, and the Sleeper, the place
// where one goroutine parks until it does.
//
// They are apart because one sleep may watch many queues (poll(2)), and one
// queue may wake more than goroutines (epoll(7) chains a queue to another).
//
// The protocol that loses no wake-up: put a Waiter on the queue, look at the
// state, and only then sleep. A wake-up that comes between the look and the
// sleep leaves a token, and the sleep returns at once.
package wait

import "sync"

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

	// Readable and Writable are what a wake-up carries whose file became
	// ready for that direction.
	Readable = In | RdNorm
	Writable = Out | WrNorm
	// Always are the conditions that poll(2) reports without being asked.
	Always = Err | Hup
	// All wakes every waiter, whatever it waits for.
	All = ^Events(0)
)

// Waiter is one entry on one queue. Its owner fills Mask and Notify before
// Add and leaves them alone until Remove returns.
type Waiter struct {
	// Mask holds the events that this waiter wants to hear of.
	Mask Events
	// Notify is called by Queue.Wake with the events that happened, under
	// the queue's lock: it must not sleep, nor call into the same queue.
	Notify func(w *Waiter, happened Events)

	queue      *Queue
	next, prev *Waiter
}

// Queue is a wait queue. The zero value is empty and ready for use. All
// methods are safe for concurrent use and do not sleep.
type Queue struct {
	mu    sync.Mutex
	first *Waiter
	last  *Waiter
}

// Add puts w at the end of the queue. It panics if w is on a queue already:
// two queues would then share one list.
func (q *Queue) Add(w *Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.queue != nil {
		panic("wait: the waiter is on a queue already")
	}
	w.queue, w.prev, w.next = q, q.last, nil
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
}

// Remove takes w off the queue, if it is there. When Remove returns, w.Notify
// neither runs nor will run for this queue.
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
}

// Wake tells every waiter whose mask meets happened. Err and Hup reach all,
// as in poll(2).
func (q *Queue) Wake(happened Events) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := q.first; w != nil; w = w.next {
		if hit := happened & (w.Mask | Always); hit != 0 {
			w.Notify(w, hit)
		}
	}
}

// Empty reports whether nobody waits. The answer may be old when it is read.
func (q *Queue) Empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first == nil
}
