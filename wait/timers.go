package wait

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"slowpath/clock"
	"slowpath/guard"
)

// Timers calls functions and ends sleeps at their deadlines. It has one queue for each CPU,
// so the timer's interrupt of a CPU finds the earliest deadline in one word, and its CPU
// expires it (Linux: hrtimers). A timer is queued on the CPU that sets it.
//
// The zero value has no queues: it uses the timers of the Go runtime. Tests on the host use
// it so. It is safe for concurrent use.
type Timers struct {
	queues []timerQueue
	cpu    func() int
	// earlier is called after a timer was queued that is earlier than all others of the
	// CPU, on the goroutine that queued it.
	earlier func(cpu int)
}

// timerQueue has the timers of one CPU.
type timerQueue struct {
	mu       sync.Mutex
	heap     timerHeap    // by hard expiry
	earliest atomic.Int64 // the hard expiry of the first timer, a time of clock.Raw, or 0
	soft     atomic.Int64 // its soft expiry
	_        [16]byte     // a cache line of its own
}

// timer is one deadline. Its owner sets fire once.
type timer struct {
	// soft is when the timer may expire, hard when it must: times of clock.Monotonic. An
	// interrupt in between expires it, so that sleeps with a timer slack share interrupts
	// (prctl(2), PR_SET_TIMERSLACK).
	soft, hard int64
	index      int // in the heap, plus 1; 0 if it is not queued
	queue      *timerQueue
	fire       func()
}

// UseQueues gives every CPU a queue. cpu returns the number of the current CPU. earlier is
// told of a deadline that is earlier than all others of a CPU; it must not sleep. UseQueues is
// called once, before the first timer is set. From then on somebody must call Expire at the
// times that Earliest shows.
func (t *Timers) UseQueues(cpus int, cpu func() int, earlier func(cpu int)) {
	t.queues, t.cpu, t.earlier = make([]timerQueue, cpus), cpu, earlier
}

// Earliest returns the address of the earliest hard expiry of a CPU: a time of clock.Raw, or 0
// if there is none. Interrupt handlers may read it.
func (t *Timers) Earliest(cpu int) *atomic.Int64 { return &t.queues[cpu].earliest }

// Due reports whether a timer of the CPU must expire. now is a time of clock.Raw.
func (t *Timers) Due(cpu int, now int64) bool {
	if t.queues == nil {
		return false
	}
	earliest := t.queues[cpu].earliest.Load()
	return earliest != 0 && earliest <= now
}

// MayExpire reports whether a timer of the CPU may expire: Expire has something to do. now is a
// time of clock.Raw.
func (t *Timers) MayExpire(cpu int, now int64) bool {
	if t.queues == nil {
		return false
	}
	soft := t.queues[cpu].soft.Load()
	return soft != 0 && soft <= now
}

// Expire fires the timers of the CPU that may expire, one after the other. now is a time of
// clock.Raw. The caller holds no lock. It may sleep.
func (t *Timers) Expire(cpu int, now int64) {
	for t.MayExpire(cpu, now) {
		if expired := t.queues[cpu].pop(now); expired != nil {
			expired.fire()
		}
	}
}

// FollowRate makes the timers obey the rate of clock.Monotonic, which has changed.
func (t *Timers) FollowRate() {
	for cpu := range t.queues {
		if t.queues[cpu].followRate() && t.earlier != nil {
			t.earlier(cpu)
		}
	}
}

// followRate reports whether the queue has a timer.
func (q *timerQueue) followRate() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.publish()
	return len(q.heap) > 0
}

// set queues a timer on the current CPU. It may expire at a time of clock.Monotonic, and must
// so many nanoseconds later.
func (t *Timers) set(one *timer, at, slack int64) {
	cpu := t.cpu()
	if t.queues[cpu].add(one, at, slack) && t.earlier != nil {
		t.earlier(cpu)
	}
}

// cancel removes a timer from its queue. It reports false if the timer has expired or was
// cancelled: its function may run.
func (one *timer) cancel() bool {
	if one.queue == nil {
		return false
	}
	return one.queue.remove(one)
}

// add reports whether the timer is the earliest.
func (q *timerQueue) add(one *timer, at, slack int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	one.soft, one.hard, one.queue = at, at+min(slack, endOfTime-at), q
	heap.Push(&q.heap, one)
	q.publish()
	return q.heap[0] == one
}

// pop removes the first timer and returns it, or nil if it may not expire.
func (q *timerQueue) pop(now int64) *timer {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.heap) == 0 || q.heap[0].soft > clock.MonotonicAt(now) {
		q.publish() // the rate of the clock may have changed
		return nil
	}
	one := heap.Pop(&q.heap).(*timer)
	q.publish()
	return one
}

func (q *timerQueue) remove(one *timer) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if one.index == 0 {
		return false
	}
	heap.Remove(&q.heap, one.index-1)
	q.publish()
	return true
}

func (q *timerQueue) publish() {
	earliest, soft := int64(0), int64(0)
	if len(q.heap) > 0 {
		first := q.heap[0]
		earliest, soft = clock.RawAt(first.hard), clock.RawAt(first.soft)
	}
	q.earliest.Store(earliest)
	q.soft.Store(soft)
}

// endOfTime is the last time of clock.Monotonic.
const endOfTime = 1<<63 - 1

// Alarm is a timer of Timers.AfterFunc.
type Alarm struct {
	timer   timer
	runtime *time.Timer // if there are no queues
}

// AfterFunc calls f after the delay, on the goroutine that expires the timers of a CPU. f must
// not sleep for long: the CPU runs no task meanwhile. A panic of f is logged and does not end
// the kernel. AfterFunc does not sleep.
func (t *Timers) AfterFunc(delay time.Duration, f func()) *Alarm {
	a := new(Alarm)
	if t.queues == nil {
		a.runtime = guard.AfterFunc(delay, f)
		return a
	}
	at := clock.Monotonic() + int64(delay)
	if at <= 0 { // beyond the end of time
		at = endOfTime
	}
	a.timer.fire = func() {
		defer guard.Contain("a timer's function")
		f()
	}
	t.set(&a.timer, at, 0)
	return a
}

// Stop stops the timer. It reports false if the timer has fired or was stopped. Then f
// may run already.
func (a *Alarm) Stop() bool {
	if a.runtime != nil {
		return a.runtime.Stop()
	}
	return a.timer.cancel()
}

// timerHeap implements heap.Interface.
type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].hard < h[j].hard }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) {
	one := x.(*timer)
	*h = append(*h, one)
	one.index = len(*h)
}

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	one := (*h)[last]
	(*h)[last] = nil
	*h, one.index = (*h)[:last], 0
	return one
}
