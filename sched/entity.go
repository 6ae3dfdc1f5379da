package sched

import (
	"iter"
	"sync/atomic"
)

// Runner is the task to which an Entity belongs. The methods must not sleep.
type Runner interface {
	// Place tells the task on which CPU it continues. The CPU's dispatcher calls it before
	// the task runs.
	Place(cpu int)
	// Preempt makes the task call Scheduler.Reschedule before it returns to user mode. Any
	// goroutine may call it, with the scheduler's lock held.
	Preempt()
}

// Entity is what the scheduler runs (Linux: sched_entity). The zero value belongs to no
// scheduler and has the policy SCHED_OTHER. It must not be copied.
type Entity struct {
	scheduler *Scheduler
	runner    Runner
	resume    func() (struct{}, bool) // switches to the entity's goroutine; dispatchers only
	yield     func(struct{}) bool     // switches back; the entity's goroutine only

	state atomic.Uint32 // awake, token or parked
	why   departure     // written by the entity, then read by the dispatcher

	// The scheduler's lock guards the rest, except that any goroutine may read atomics.
	attributes
	cpu       atomic.Int32 // the CPU that runs it, or ran it last
	placed    bool         // Place was called for cpu
	queue     *cpu         // on whose queue it is, or nil
	index     int          // in the heap of a fairQueue
	next      *Entity      // in a list of a realtimeQueue
	previous  *Entity
	vruntime  int64       // weighted run time, in nanoseconds
	forked    bool        // Inherit was called
	started   int64       // until when its run time is charged
	sliceFrom int64       // when its slice began
	expired   bool        // SCHED_RR: its slice has ended
	misplaced atomic.Bool // it runs on a CPU that its affinity excludes
	pairing   pairing

	// runs counts how often the entity was given a CPU, waited how long it was runnable
	// without one, in nanoseconds.
	runs, waited atomic.Int64
	queuedAt     int64
}

// The states of an entity. In awake, Unpark leads to token, and Park to parked. In parked,
// Unpark leads to awake and makes the entity runnable. A dispatcher commits a park after the
// switch away from the goroutine, so a parked entity can be resumed at any time.
const (
	awake uint32 = iota
	token
	parked
)

// departure is why an entity has switched to its dispatcher.
type departure uint8

const (
	sleeps    departure = iota // Park
	yields                     // sched_yield(2): others of its priority come first
	preempted                  // it keeps its place
	ended                      // its function has returned
)

// Start makes a new entity runnable. Its goroutine calls f, and the entity ends when f
// returns. f must not panic and must not call runtime.Goexit. Start does not sleep.
func (s *Scheduler) Start(e *Entity, r Runner, f func()) {
	e.scheduler, e.runner = s, r
	e.resume, _ = iter.Pull(func(yield func(struct{}) bool) {
		e.yield = yield
		f()
	})
	s.begin(e)
}

// Park implements wait.Thread.
func (e *Entity) Park() {
	if e.state.CompareAndSwap(token, awake) {
		return
	}
	e.leave(sleeps)
}

// Unpark implements wait.Thread.
func (e *Entity) Unpark(ending func()) {
	for {
		switch e.state.Load() {
		case token:
			return
		case awake:
			if e.state.CompareAndSwap(awake, token) {
				return
			}
		case parked:
			if e.state.CompareAndSwap(parked, awake) {
				ending()
				e.scheduler.wake(e)
				return
			}
		}
	}
}

// leave switches to the dispatcher of the entity's CPU, and returns when a dispatcher resumes
// the entity. Only the entity's goroutine calls it.
func (e *Entity) leave(why departure) {
	e.why = why
	e.yield(struct{}{})
}

// CPU returns the CPU that runs the entity, or ran it last. Any context.
func (e *Entity) CPU() int { return int(e.cpu.Load()) }

// Statistics returns how often the entity was given a CPU, and how long it was runnable
// without one, in nanoseconds (/proc/PID/schedstat). Any context.
func (e *Entity) Statistics() (runs, waited int64) { return e.runs.Load(), e.waited.Load() }
