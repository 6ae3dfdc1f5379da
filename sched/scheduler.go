package sched

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"slowpath/clock"
	"slowpath/tracepoint"
	"slowpath/wait"
)

// Processors are the CPUs of the machine, as package goos drives them. They are functions and no
// interface, because each switch calls some.
type Processors struct {
	// Idle sleeps until Kick is called for the CPU, or a deadline of the CPU has passed. It
	// returns immediately if Kick was called since the last Idle. It runs on that CPU when
	// it returns.
	Idle func(cpu int)
	// Kick ends Idle. It does not sleep.
	Kick func(cpu int)
	// Arm makes the timer of the CPU obey its deadlines, one of which has become earlier.
	// It does not sleep.
	Arm func(cpu int)
	// Current returns the CPU that runs the caller. The caller may already run on another
	// one when it uses the number. It does not sleep.
	Current func() int
	// Now returns the time of clock.Raw. It does not sleep.
	Now func() int64
}

// Scheduler schedules entities on CPUs. It is safe for concurrent use.
type Scheduler struct {
	// Load has the tracepoints and the timers of sleeping tasks.
	Load wait.Load
	// Yielding is called by a task that is about to let others run although it could
	// continue, and Yielded when it continues. The functions must not sleep.
	Yielding, Yielded tracepoint.Point[struct{}]

	processors *Processors // nil on the host
	cpus       []cpu
	now        func() int64 // clock.Raw
	// after calls a function after some nanoseconds. It may be called with mu held, the
	// function is called without.
	after func(delay int64, f func())

	chains  chains
	mu      sync.Mutex
	waiting atomic.Int32 // entities on the queues of all CPUs
	floor   int64        // no new or woken entity has much less virtual time
	resting int          // CPUs whose idle goroutine has found nothing to run
	kicks   uint64       // the CPUs to be kicked when mu is released, one bit each
	spare   []*exchange  // whose goroutines take new entities

	limits   Limits
	reserved int64 // the sum of the shares of all SCHED_DEADLINE entities
}

// MaxCPUs is the greatest number of CPUs: an affinity has a bit for each.
const MaxCPUs = 64

// New returns a scheduler for a number of CPUs. Without processors, on the host, a CPU is a
// goroutine that lives as long as it has something to run, and nothing preempts an entity but
// NEED_RESCHED.
func New(cpus int, p *Processors) *Scheduler {
	s := &Scheduler{processors: p, cpus: make([]cpu, max(cpus, 1)), now: clock.Raw, limits: DefaultLimits}
	s.after = func(delay int64, f func()) { s.Load.Timers.AfterFunc(time.Duration(delay), f) }
	for i := range s.cpus {
		s.cpus[i].number, s.cpus[i].scheduler = i, s
		s.cpus[i].setResting(true)
	}
	if p != nil {
		s.now = p.Now
		s.Load.Timers.UseQueues(len(s.cpus), p.Current, s.timerSet)
	}
	return s
}

// Run starts the dispatchers of all CPUs, so that each expires the timers of its queue. It is
// called once, with processors, before the first entity starts.
func (s *Scheduler) Run() {
	for i := range s.cpus {
		s.cpus[i].start()
	}
}

// Quiescent reports whether no entity runs or waits, and on the host no dispatcher is left.
// Any goroutine may call it; it does not sleep.
func (s *Scheduler) Quiescent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.cpus {
		if c := &s.cpus[i]; !c.isIdle() || s.processors == nil && c.started {
			return false
		}
	}
	return true
}

// CPUs returns the number of CPUs.
func (s *Scheduler) CPUs() int { return len(s.cpus) }

// SliceEnd returns the address of the time at which the time slice of a CPU ends, on
// clock.Raw, or of 0. Interrupt handlers may read it.
func (s *Scheduler) SliceEnd(cpu int) *atomic.Int64 { return &s.cpus[cpu].sliceEnd }

// timerSet is called for a new timer that is the earliest of its CPU.
func (s *Scheduler) timerSet(cpu int) { s.processors.Arm(cpu) }

// begin makes a new entity runnable. Others may have changed its attributes already. A forked one has the virtual time of its parent, and a
// slice more, so that a program gains nothing by forking (Linux: START_DEBIT).
func (s *Scheduler) begin(e *Entity, r Runner) {
	s.mu.Lock()
	defer s.unlock()
	e.scheduler, e.runner = s, r
	now := s.now()
	if e.weight == 0 {
		e.set(e.Attributes)
	}
	s.charge(now)
	e.vruntime = max(e.vruntime, s.floor)
	if e.forked {
		e.vruntime += e.weighted(minSlice)
	}
	if e.realtime && !s.wakeRealtime(e, now) {
		return
	}
	s.enqueue(e, s.choose(e), now)
}

// wake makes an entity runnable that slept.
func (s *Scheduler) wake(e *Entity) {
	s.mu.Lock()
	defer s.unlock()
	now := s.now()
	if e.realtime && !s.wakeRealtime(e, now) {
		return
	}
	e.vruntime = max(e.vruntime, s.floor-sleeperCredit)
	if c := s.partner(e, now); c != nil {
		s.enqueueBehind(e, c, now)
		return
	}
	s.enqueue(e, s.choose(e), now)
}

// enqueue puts a runnable entity on the queue of a CPU, and makes the CPU run it if it is
// idle or runs something less urgent. s.mu is held.
func (s *Scheduler) enqueue(e *Entity, c *cpu, now int64) {
	c.add(e, now, false)
	switch {
	case c.current != nil:
		if c.preempts(e, now) {
			c.current.runner.Preempt()
			return
		}
		c.limit(now)
	case c.resting:
		c.rouse()
	}
}

// unlock releases s.mu, and then kicks the CPUs that have become busy.
func (s *Scheduler) unlock() {
	kicks := s.kicks
	if kicks == 0 {
		s.mu.Unlock()
		return
	}
	s.kicks = 0
	s.mu.Unlock()
	for kicks != 0 {
		s.cpus[bits.TrailingZeros64(kicks)].start()
		kicks &= kicks - 1
	}
}

// Yield lets other entities run, and returns when it is the caller's turn again
// (sched_yield(2)). Only the entity's own goroutine calls it, without locks.
func (s *Scheduler) Yield(e *Entity) {
	if s.waiting.Load() != 0 || e.Current().Policy == Deadline {
		s.yield(e)
	}
}

// yield is Yield if there may be something to do.
func (s *Scheduler) yield(e *Entity) {
	if e.Current().Policy == Deadline {
		s.surrender(e)
	}
	s.letOthersRun(e, yields)
}

// Reschedule lets another entity run that is more urgent, if there is one, and returns when
// the caller continues. It is the handler of NEED_RESCHED. Only the entity's own goroutine
// calls it, without locks.
func (s *Scheduler) Reschedule(e *Entity) {
	if s.mustLeave(e) {
		s.letOthersRun(e, preempted)
	}
}

// NeedsReschedule reports whether Reschedule has anything to do. Any
// context.
func (s *Scheduler) NeedsReschedule(e *Entity) bool {
	return s.waiting.Load() != 0 || e.reasons.Load() != 0
}

// mustLeave reports whether another entity should run on e's CPU, or e on another CPU.
func (s *Scheduler) mustLeave(e *Entity) bool {
	s.mu.Lock()
	defer s.unlock()
	c, now := e.on(), s.now()
	if !e.mayRunOn(c.number) {
		return true
	}
	s.charge(now)
	if e.exhausted() || c.mustYieldTo(c.best(), e) {
		return true
	}
	c.limit(now)
	return false
}

// letOthersRun makes e leave its CPU, unless there is no other entity to run.
func (s *Scheduler) letOthersRun(e *Entity, why departure) {
	if s.Yielding.Active() || s.Yielded.Active() {
		s.Yielding.Call(struct{}{})
		defer s.Yielded.Call(struct{}{})
	}
	if e.leave(why) {
		s.Load.Update()
	}
}

// Interrupted does the scheduler's work after a timer interrupt of the entity's CPU, in user
// mode or in the kernel: it fires the timers that have expired, and raises NEED_RESCHED if the
// time slice has ended. Only the entity's own goroutine calls it, without locks. It may sleep.
func (s *Scheduler) Interrupted(e *Entity) {
	now, number := s.now(), e.CPU()
	s.Load.Timers.Expire(number, now)
	s.checkSlice(e, now)
	if s.processors == nil {
		return
	}
	if c := &s.cpus[number]; now-c.relaxed >= relaxAfter {
		c.relaxed = now
		runtime.Gosched()
		s.Load.Update()
	}
}

// CondResched lets another entity run that is more urgent, in the middle of a long operation. It
// first does what a timer interrupt has left to do that found the kernel. Only the entity's own
// goroutine calls it, without locks.
func (s *Scheduler) CondResched(e *Entity) {
	now, number := s.now(), e.CPU()
	if end := s.cpus[number].sliceEnd.Load(); end != 0 && end <= now || s.Load.Timers.Due(number, now) {
		s.Interrupted(e)
	}
	if s.NeedsReschedule(e) {
		s.Reschedule(e)
	}
}

// relaxAfter is how often an entity that is not idle lets the kernel's own goroutines run that
// wait for its P, in nanoseconds. The Go scheduler itself would take the P after 10 ms.
const relaxAfter = 4_000_000

// checkSlice ends the time slice of e if it is over.
func (s *Scheduler) checkSlice(e *Entity, now int64) {
	s.mu.Lock()
	defer s.unlock()
	s.charge(now)
	if end := e.on().sliceEnd.Load(); end != 0 && end <= now {
		s.endSlice(e, now)
	}
}

// endSlice ends the time slice of e. s.mu is held.
func (s *Scheduler) endSlice(e *Entity, now int64) {
	c := e.on()
	c.sliceEnd.Store(0)
	c.armed = 0
	if e.exhausted() {
		e.setReason(spent, true) // before NEED_RESCHED is raised: its handler reads it
		e.runner.Preempt()
		return
	}
	e.expired = e.Policy == RR && now-e.sliceFrom >= s.limits.RoundRobin
	s.spread(c)
	best := c.best()
	if c.mustYieldTo(best, e) {
		e.runner.Preempt()
		return
	}
	if best != nil || e.server != nil {
		c.limit(now)
	}
}

// mustYieldTo reports whether best, the best waiting entity for the CPU or nil, should run in
// place of e. s.mu is held.
func (c *cpu) mustYieldTo(best, e *Entity) bool {
	return best != nil && (best.precedes(e) || c.holdsBack(e) && !best.realtime)
}

// SetAttributes changes the attributes of an entity. The caller has checked them. Any
// goroutine may call it; it does not sleep.
func (s *Scheduler) SetAttributes(e *Entity, a Attributes) {
	s.changeUrgency(e, func() { s.setAttributes(e, a) })
}

// changeUrgency calls f, which changes the attributes of an entity, with s.mu held. If the entity
// waits for a lock, the owner of the lock inherits what has changed.
func (s *Scheduler) changeUrgency(e *Entity, f func()) {
	s.chains.mu.Lock()
	defer s.chains.mu.Unlock()
	defer s.adjustWait(e)
	s.mu.Lock()
	defer s.unlock()
	f()
}

// setAttributes is SetAttributes with s.mu held. Attributes without a change leave the entity its
// turn.
func (s *Scheduler) setAttributes(e *Entity, a Attributes) {
	if a == e.normal && e.weight != 0 {
		return
	}
	throttled := false
	s.change(e, func() {
		if a.Policy != Deadline {
			throttled = s.release(e)
		}
		e.set(a)
		e.expired = false
	})
	if throttled {
		s.enqueue(e, s.choose(e), s.now())
	}
}

// Renice changes the nice value of an entity. Any goroutine may call it; it does not sleep.
func (s *Scheduler) Renice(e *Entity, nice int32) {
	s.changeUrgency(e, func() {
		a := e.normal
		a.Nice = nice
		s.setAttributes(e, a)
	})
}

// SetAffinity confines an entity to a set of CPUs, one bit each, 0 for all. At least one must
// exist. If the entity runs on another CPU, it leaves it before it returns to user mode. It
// reports whether that is so. Error: ErrBandwidth, because an entity of SCHED_DEADLINE may run on
// all CPUs (Linux: dl_task_check_affinity). Any goroutine may call it; it does not sleep.
func (s *Scheduler) SetAffinity(e *Entity, set uint64) (leaves bool, err error) {
	s.mu.Lock()
	defer s.unlock()
	if e.server != nil && set != 0 && s.limits.limited() {
		return false, ErrBandwidth
	}
	s.change(e, func() {
		e.allowed = set
		leaves = s.running(e) && !e.mayRunOn(e.CPU())
		e.setReason(misplaced, leaves) // before NEED_RESCHED is raised: its handler reads it
	})
	return leaves, nil
}

// Misplaced reports whether an entity runs on a CPU that its affinity excludes. Any
// context.
func (e *Entity) Misplaced() bool { return e.reasons.Load()&misplaced != 0 }

// running reports whether a CPU runs e. s.mu is held.
func (s *Scheduler) running(e *Entity) bool { return e.scheduler != nil && e.on().current == e }

// change changes what determines the place of an entity. An entity that waits is queued
// again, and one that runs looks for another that precedes it. s.mu is held.
func (s *Scheduler) change(e *Entity, f func()) {
	now, wasRealtime := s.now(), e.realtime
	switch {
	case e.queue != nil:
		before := e.Priority
		e.queue.remove(e)
		f()
		if wasRealtime && !e.realtime {
			s.rejoin(e, now)
		}
		if e.disturb() {
			return // settle queues it
		}
		s.enqueue(e, s.choose(e), now)
		if e.Priority > 0 && e.Priority < before { // as on Linux, it becomes the first
			e.queue.realtime.remove(e)
			e.queue.realtime.add(e, true)
		}
	case s.running(e):
		s.charge(now)
		f()
		if wasRealtime && !e.realtime {
			s.rejoin(e, now)
		}
		e.runner.Preempt()
	default:
		f()
	}
}

// on returns the CPU of the entity. s.mu is held.
func (e *Entity) on() *cpu { return &e.scheduler.cpus[e.cpu.Load()] }

// Inherit gives a new entity, which has not started, the attributes of its parent, without
// the policy and priority if reset is set (SCHED_RESET_ON_FORK). It reports false, and does
// nothing, if the child would have a deadline (sched(7)). It does not sleep.
func (s *Scheduler) Inherit(e, parent *Entity, reset bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := parent.normal
	if reset {
		a = a.afterReset()
	}
	if a.Policy == Deadline {
		return false
	}
	e.allowed, e.vruntime, e.forked = parent.allowed, parent.vruntime, true
	e.cpu.Store(parent.cpu.Load())
	e.set(a)
	return true
}

// Affinity returns the set of SetAffinity. Any goroutine may call it; it does not sleep.
func (s *Scheduler) Affinity(e *Entity) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.allowed
}
