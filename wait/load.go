package wait

import (
	"sync/atomic"

	"slowpath/tracepoint"
)

// Load observes the sleeps on the Sleepers that CountIn has attached to it, and has their
// timers. It is safe for concurrent use. No method sleeps.
type Load struct {
	// Meter, if not nil, measures the CPU time of the goroutines. It is set before
	// the first sleep.
	Meter Meter
	// Timers ends the sleeps on the attached Sleepers at their deadlines.
	Timers Timers

	// Parking is called by a goroutine that is about to sleep on a Sleeper, and Resumed
	// when it continues. Woken is called by the goroutine that wakes it. The argument is
	// the owner of the Sleeper (CountIn). The callers may hold locks: the functions must not
	// sleep on a Sleeper nor wake one.
	Parking, Resumed, Woken tracepoint.Point[any]
}

// Meter measures the CPU time of goroutines. The methods act on the goroutine that
// calls them. They do not sleep.
type Meter interface {
	// Pause: the goroutine is about to sleep.
	Pause()
	// Update: the goroutine runs again, or its time is about to be read.
	Update()
}

// Thread is what a scheduler runs. A Sleeper that belongs to one parks it in place of the
// goroutine. Package sched implements it.
type Thread interface {
	// Park blocks the calling thread until Unpark, or returns immediately if there is a
	// token. It takes the token. Only the thread itself calls it.
	Park()
	// Unpark ends a Park, or leaves the token. It calls ending before the thread can
	// continue. It does not sleep.
	Unpark(ending func())
}

// SetThread makes the sleeper park a thread of a scheduler. It is called before the first
// sleep, and after CountIn. A wake-up that comes before SetThread is lost: the thread has not
// checked any condition yet.
func (s *Sleeper) SetThread(t Thread) { s.spot.thread.Store(&threadSpot{t, s.spot.waking}) }

// Update calls the Meter's Update, if there is a Meter.
func (l *Load) Update() {
	if l != nil && l.Meter != nil {
		l.Meter.Update()
	}
}

// Pause calls the Meter's Pause, if there is a Meter.
func (l *Load) Pause() {
	if l != nil && l.Meter != nil {
		l.Meter.Pause()
	}
}

// CountIn attaches s to l. owner is the argument of the tracepoints of l. sleeps, if not nil,
// is incremented by each sleep of a goroutine; a thread of a scheduler counts its own. Call it
// before the first sleep.
func (s *Sleeper) CountIn(l *Load, owner any, sleeps *atomic.Int64) {
	s.spot.load, s.spot.owner, s.spot.sleeps = l, owner, sleeps
}

// attachment is what a spot is attached to: see CountIn.
type attachment struct {
	load   *Load
	owner  any
	sleeps *atomic.Int64
	thread atomic.Pointer[threadSpot] // nil for a goroutine that the Go scheduler runs
}

// threadSpot is a thread of a scheduler in place of a spot's own state.
type threadSpot struct {
	Thread
	ending func() // attachment.waking
}

// parkThread is park for a thread of a scheduler, which counts the runnable ones itself.
func (a *attachment) parkThread(t *threadSpot) {
	if a.load.Parking.Active() {
		a.load.Parking.Call(a.owner)
	}
	t.Park()
	a.load.Update()
	if a.load.Resumed.Active() {
		a.load.Resumed.Call(a.owner)
	}
}

// before is called by the goroutine that is about to park.
func (a *attachment) before() {
	if a.load == nil {
		return
	}
	if a.load.Parking.Active() {
		a.load.Parking.Call(a.owner)
	}
	a.load.Pause()
}

// after is called by the goroutine that continues.
func (a *attachment) after() {
	if a.load == nil {
		return
	}
	a.load.Update()
	if a.sleeps != nil {
		a.sleeps.Add(1)
	}
	if a.load.Resumed.Active() {
		a.load.Resumed.Call(a.owner)
	}
}

// waking is called by the goroutine that ends a park, before the parked one continues.
func (a *attachment) waking() {
	if a.load != nil && a.load.Woken.Active() {
		a.load.Woken.Call(a.owner)
	}
}
