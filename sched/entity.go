package sched

import (
	"runtime"
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
	f         func()    // its function
	own       *exchange // that came with its goroutine
	at        *exchange // where its goroutine is parked while it does not run

	state atomic.Uint32 // awake, token or parked
	// onQueue says whether the entity is on a queue although its goroutine may still run.
	onQueue atomic.Uint32
	why     departure // of the last leave

	// The scheduler's lock guards the rest, except that any goroutine may read atomics.
	attributes
	cpu       atomic.Int32 // the CPU that runs it, or ran it last
	placed    bool         // Place was called for cpu
	queue     *cpu         // on whose queue it is, or nil
	index     int          // in the heap of a fairQueue
	next      *Entity      // in a list of a realtimeQueue
	previous  *Entity
	vruntime  int64 // weighted run time, in nanoseconds
	forked    bool  // Inherit was called
	started   int64 // until when its run time is charged
	sliceFrom int64 // when its slice began
	expired   bool  // SCHED_RR: its slice has ended
	// reasons are why the entity, which runs, must leave its CPU: misplaced and spent. They are
	// written under the lock.
	reasons atomic.Uint32
	pairing pairing
	chain   chain       // of locks; Scheduler.chains guards it
	server  *server     // of SCHED_DEADLINE, or nil
	retired bool        // it has ended: it gets no server
	overrun atomic.Bool // see TakeOverrun

	// runs counts how often the entity was given a CPU, waited how long it was runnable
	// without one, in nanoseconds.
	runs, waited atomic.Int64
	burst        atomic.Int64 // see Burst
	migrations   int64
	// voluntary and involuntary count how often it has left a CPU: see CountSwitches.
	voluntary, involuntary *atomic.Int64
	queuedAt               int64
}

// The states of an entity. In awake, Unpark leads to token, and Park to parked. In parked,
// Unpark leads to awake and makes the entity runnable. A park is committed by the goroutine
// that continues, after the switch, so a parked entity can continue at any time.
const (
	awake uint32 = iota
	token
	parked
)

// The bits of Entity.reasons.
const (
	misplaced uint32 = 1 << iota // its affinity excludes the CPU
	spent                        // its server's budget is used up
)

// setReason sets or clears a bit of reasons. The scheduler's lock is held.
func (e *Entity) setReason(bit uint32, present bool) {
	before := e.reasons.Load()
	after := before &^ bit
	if present {
		after |= bit
	}
	if after != before {
		e.reasons.Store(after)
	}
}

// The states of Entity.onQueue. A CPU that exchanges places with the first of its queue leads
// from settled to queuedEarly. The commit of the departure leads back. If the entity is taken off
// the queue before, or another CPU would have run it, it is disturbed, and the commit queues or
// offers it.
const (
	settled uint32 = iota
	queuedEarly
	disturbed
)

// departure is why an entity leaves its CPU.
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
	e.f = f
	if !s.takeSpare(e) {
		e.own = newExchange(e)
		e.at = e.own
	}
	s.begin(e, r)
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

// leave makes the entity's CPU run another one, and returns when the entity continues, possibly
// on another CPU. If the entity could continue and there is no other to run, leave does nothing and
// returns false. Only the entity's goroutine calls it.
func (e *Entity) leave(why departure) bool {
	to := e.depart(why)
	if to == nil {
		return false
	}
	to.swap()
	e.on().finish()
	return true
}

// depart chooses what runs in place of e. It returns the exchange to swap in, or nil if e stays.
func (e *Entity) depart(why departure) *exchange {
	s := e.scheduler
	s.mu.Lock()
	defer s.unlock()
	c, now := e.on(), s.now()
	s.charge(now)
	next := c.best()
	if why != sleeps && e.mayRunOn(c.number) && !e.exhausted() && (next == nil || why == yields && !e.yieldTo(next)) {
		return nil
	}
	e.countSwitch(why)
	e.pairing.left(now, why)
	e.why, c.leaving, c.left = why, e, now
	var to *exchange
	if why != sleeps && c.mayExchange(next, e, now) {
		to = c.exchangeFor(next, e, now)
	} else {
		to = c.switchTo(next, now)
	}
	e.at, to.occupant = to, e
	if e.reasons.Load() != 0 {
		e.setReason(misplaced, false)
	}
	return to
}

// yieldTo gives e no less virtual time than next has, which is the next one then. It reports
// false if e is more urgent in any case. s.mu is held.
func (e *Entity) yieldTo(next *Entity) bool {
	if e.realtime {
		return next.realtime && !e.precedesPeer(next)
	}
	if !next.realtime {
		e.vruntime = max(e.vruntime, next.vruntime+1)
	}
	return true
}

// end makes the entity's CPU run another one for ever. It returns true if the goroutine has got
// another entity meanwhile; otherwise the goroutine returns. It is parked first, unless the
// goroutine that its return continues is to run next. If all goroutines up to that one have
// ended, nothing but this return would ever continue them.
func (e *Entity) end() (again bool) {
	x := e.own
	for {
		to, known := e.tryEnd()
		switch {
		case !known:
			runtime.Gosched() // another CPU is in the middle of a switch
			continue
		case to != nil:
			to.swap()
		}
		return x.entity != e
	}
}

// tryEnd returns the exchange in which an ending goroutine is to be parked, or nil for none.
// known is false if that cannot be said yet.
func (e *Entity) tryEnd() (to *exchange, known bool) {
	s := e.scheduler
	s.mu.Lock()
	defer s.unlock()
	first := e.own.firstToContinue()
	if first == nil {
		return nil, false
	}
	c, now := e.on(), s.now()
	s.charge(now)
	s.retire(e)
	to = c.switchTo(c.best(), now)
	if c.running() == first && (s.processors == nil || len(s.spare) >= maxSpare) {
		return nil, true
	}
	e.why, c.leaving = ended, e
	e.at, to.occupant = to, e
	return to, true
}

// Started reports whether Start was called. The goroutine that may start the entity calls it, or
// the entity's own.
func (e *Entity) Started() bool { return e.scheduler != nil }

// CPU returns the CPU that runs the entity, or ran it last. Any context.
func (e *Entity) CPU() int { return int(e.cpu.Load()) }

// CountSwitches makes the entity count how often it leaves a CPU to sleep, and how often
// although it could continue (getrusage(2), ru_nvcsw and ru_nivcsw). It is called before Start.
func (e *Entity) CountSwitches(voluntary, involuntary *atomic.Int64) {
	e.voluntary, e.involuntary = voluntary, involuntary
}

// countSwitch counts that the entity leaves its CPU. sched_yield(2) counts as involuntary, as on
// Linux.
func (e *Entity) countSwitch(why departure) {
	switch {
	case e.voluntary == nil:
	case why == sleeps:
		e.voluntary.Add(1)
	default:
		e.involuntary.Add(1)
	}
}

// Details are what /proc/PID/sched shows of an entity.
type Details struct {
	// ExecStart is until when the run time is charged, on clock.Monotonic.
	ExecStart int64
	// VRuntime is the weighted run time, in nanoseconds.
	VRuntime int64
	// Migrations is how often it has changed the CPU.
	Migrations int64
	// Weight is the weight in the fair class; 1024 stands for the nice value 0.
	Weight int64
}

// Details returns the details of an entity as of now. Any goroutine may call it; it does not
// sleep.
func (s *Scheduler) Details(e *Entity) Details {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running(e) {
		s.charge(s.now())
	}
	return Details{ExecStart: e.started, VRuntime: e.vruntime, Migrations: e.migrations, Weight: e.weight}
}

// Statistics returns how often the entity was given a CPU, and how long it was runnable
// without one, in nanoseconds (/proc/PID/schedstat). Any context.
func (e *Entity) Statistics() (runs, waited int64) { return e.runs.Load(), e.waited.Load() }
