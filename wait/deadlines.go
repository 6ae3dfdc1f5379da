package wait

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"slowpath/clock"
	"slowpath/guard"
)

// Deadlines is the set of the deadlines of all current sleeps and Alarms. The timer's
// interrupt ends the time slice of a program at the earliest one, because the Go
// runtime checks its timers only between two goroutines. It is safe for concurrent use.
// The zero value is empty.
type Deadlines struct {
	// Earlier, if not nil, is called after a deadline was added that is earlier than
	// all others, on the goroutine that adds it. It must not sleep. It is set before
	// the first sleep.
	Earlier func()

	mu       sync.Mutex
	heap     deadlineHeap
	earliest atomic.Int64
}

// deadlineEntry is the deadline of one sleep. at is a time of clock.Monotonic.
type deadlineEntry struct {
	at    int64
	index int // in the heap, plus 1; 0 if the entry is not in it
}

// Earliest returns the address of the earliest deadline: a time of clock.Monotonic, or
// 0 if there is none. Interrupt handlers may read it.
func (d *Deadlines) Earliest() *atomic.Int64 { return &d.earliest }

// Due reports whether the earliest deadline has passed. Its sleep is about to end.
func (d *Deadlines) Due() bool {
	earliest := d.earliest.Load()
	return earliest != 0 && earliest <= clock.Monotonic()
}

// add adds the deadline of a sleep.
func (d *Deadlines) add(e *deadlineEntry, at int64) {
	if d.insert(e, at) && d.Earlier != nil {
		d.Earlier()
	}
}

// insert reports whether the deadline is the earliest.
func (d *Deadlines) insert(e *deadlineEntry, at int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.at = at
	heap.Push(&d.heap, e)
	d.publish()
	return d.heap[0] == e
}

// remove removes a deadline, if it is there.
func (d *Deadlines) remove(e *deadlineEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.index == 0 {
		return
	}
	heap.Remove(&d.heap, e.index-1)
	d.publish()
}

func (d *Deadlines) publish() {
	earliest := int64(0)
	if len(d.heap) > 0 {
		earliest = d.heap[0].at
	}
	d.earliest.Store(earliest)
}

// Alarm is a timer of Deadlines.AfterFunc.
type Alarm struct {
	deadlines *Deadlines
	entry     deadlineEntry
	timer     *time.Timer
}

// AfterFunc calls f on a goroutine of its own after the delay, also while programs
// occupy every CPU. A panic of f is logged and does not end the kernel. It does not
// sleep.
func (d *Deadlines) AfterFunc(delay time.Duration, f func()) *Alarm {
	a := &Alarm{deadlines: d}
	at := clock.Monotonic() + int64(delay)
	if at <= 0 { // beyond the end of time
		at = 1<<63 - 1
	}
	d.add(&a.entry, at)
	a.timer = guard.AfterFunc(delay, func() {
		d.remove(&a.entry)
		f()
	})
	return a
}

// Stop stops the timer. It reports false if the timer has fired or was stopped. Then f
// may run already.
func (a *Alarm) Stop() bool {
	a.deadlines.remove(&a.entry)
	return a.timer.Stop()
}

// deadlineHeap implements heap.Interface.
type deadlineHeap []*deadlineEntry

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (h *deadlineHeap) Push(x any) {
	e := x.(*deadlineEntry)
	*h = append(*h, e)
	e.index = len(*h)
}

// Pop implements heap.Interface.
func (h *deadlineHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h, e.index = (*h)[:last], 0
	return e
}
