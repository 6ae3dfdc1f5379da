package sched

import (
	"math"
	"sync/atomic"
)

// The parameters of the fair class (Linux: sched(7), sysctl_sched_*), in nanoseconds.
const (
	latency       = 6_000_000 // every waiting task runs once in this time, if they are few
	minSlice      = 750_000
	wakeMargin    = 1_000_000 // a woken task preempts one that is so far ahead
	sleeperCredit = latency / 2
	// migrationMargin is how far a task of another CPU must be behind to come over.
	migrationMargin = 500_000
	// maxLead is how many slices an entity can be ahead of the floor. It bounds what an
	// entity that had a CPU to itself owes when others come.
	maxLead = 5
)

// cpu is a CPU's part of the scheduler. The scheduler's lock guards it, except the atomics.
type cpu struct {
	number    int
	scheduler *Scheduler
	current   *Entity // that it runs, or nil
	realtime  realtimeQueue
	usage     usage
	fair      fairQueue
	waiting   int
	// leaving is the entity whose departure is to be committed. Only the goroutine that runs
	// on the CPU uses it.
	leaving *Entity
	left    int64     // when it has left
	relaxed int64     // when an entity last let the kernel's goroutines run; only the current one uses it
	idleAt  *exchange // where the idle goroutine is parked while an entity runs
	idle    Entity    // stands for the idle goroutine
	started bool      // it has an idle goroutine
	resting bool      // the idle goroutine has found nothing to run
	// sliceEnd is when the current entity must look for others, or 0.
	sliceEnd atomic.Int64
	armed    int64 // the earliest sliceEnd that the timer was armed for and that is to come
	switches atomic.Int64
	delayed  int64 // how long entities have waited for the CPU, in nanoseconds
}

// start makes the CPU's idle goroutine look for entities.
func (c *cpu) start() {
	s := c.scheduler
	s.mu.Lock()
	started := c.started
	c.started = true
	s.mu.Unlock()
	switch {
	case !started:
		go c.dispatch()
	case s.processors != nil:
		s.processors.Kick(c.number)
	}
}

// dispatch is the CPU's idle goroutine. It runs when there is no entity to run, or a timer has
// expired. On the host it returns when there is nothing to do.
func (c *cpu) dispatch() {
	s := c.scheduler
	for {
		c.finish()
		s.Load.Update() // the time of the task that ran before ends
		now := s.now()
		if s.Load.Timers.MayExpire(c.number, now) {
			s.Load.Timers.Expire(c.number, now)
			now = s.now()
		}
		if to := c.leaveIdle(now); to != nil {
			to.swap()
			continue
		}
		if s.processors == nil {
			return
		}
		s.processors.Idle(c.number)
	}
}

// leaveIdle makes the CPU run an entity. It returns the exchange to swap in, or nil if there is
// no entity.
func (c *cpu) leaveIdle(now int64) *exchange {
	s := c.scheduler
	s.mu.Lock()
	defer s.unlock()
	next := c.best()
	if next == nil {
		next = c.bestBehindOthers()
	}
	if next == nil {
		c.setResting(true)
		c.started = s.processors != nil
		return nil
	}
	next.queue.remove(next)
	to := s.entrance(c.begin(next, now))
	c.idleAt, to.occupant = to, &c.idle
	return to
}

// switchTo makes the CPU run an entity, or its idle goroutine for nil or if a timer has expired.
// It returns the exchange to swap in. s.mu is held.
func (c *cpu) switchTo(next *Entity, now int64) *exchange {
	if next == nil || c.scheduler.Load.Timers.Due(c.number, now) {
		c.current = nil
		return c.scheduler.entrance(c.idleAt)
	}
	next.queue.remove(next)
	return c.scheduler.entrance(c.begin(next, now))
}

// exchangeFor is switchTo for the first entity of the CPU's fair queue, whose place on the queue
// the leaving entity takes. No other CPU runs that one before finish. s.mu is held.
func (c *cpu) exchangeFor(next, leaving *Entity, now int64) *exchange {
	leaving.onQueue.Store(queuedEarly)
	leaving.queue, leaving.queuedAt = c, now
	c.fair.replaceFirst(leaving)
	next.queue = nil
	leaving.expired = false
	return c.scheduler.entrance(c.begin(next, now))
}

// mayExchange reports whether exchangeFor serves. An idle CPU could run the leaving entity. s.mu is
// held.
func (c *cpu) mayExchange(next, leaving *Entity, now int64) bool {
	return next != nil && next.queue == c && !next.realtime && !leaving.realtime && c.scheduler.resting == 0 &&
		leaving.mayRunOn(c.number) && !c.scheduler.Load.Timers.Due(c.number, now)
}

// running returns the entity that the CPU runs, or the one that stands for its idle goroutine.
// s.mu is held.
func (c *cpu) running() *Entity {
	if c.current == nil {
		return &c.idle
	}
	return c.current
}

// begin makes an entity that is on no queue the current one. It returns where its goroutine is
// parked. s.mu is held.
func (c *cpu) begin(e *Entity, now int64) *exchange {
	e.waited.Add(now - e.queuedAt)
	c.delayed += now - e.queuedAt
	e.started, e.sliceFrom = now, now
	e.pairing.continued(now)
	e.runs.Add(1)
	c.current = e
	if c.resting {
		c.setResting(false)
	}
	c.switches.Add(1)
	if e.CPU() != c.number || !e.placed {
		if e.placed {
			e.migrations++
		}
		e.cpu.Store(int32(c.number))
		e.placed = true
		e.runner.Place(c.number)
	}
	if c.waiting > 0 || e.realtime {
		c.limit(now)
	}
	return e.at
}

// finish commits what the entity has left for that ran before, after the switch (Linux:
// finish_task_switch). From then on it may run on any CPU. The goroutine that continues calls
// it.
func (c *cpu) finish() {
	e := c.leaving
	if e == nil {
		return
	}
	c.leaving = nil
	if e.onQueue.Load() != settled {
		c.settle(e)
		return
	}
	if e.why == ended {
		c.bury(e)
		return
	}
	if e.why == sleeps {
		if e.state.CompareAndSwap(awake, parked) {
			return
		}
		e.state.Store(awake) // a wake-up came first
	}
	c.requeue(e)
}

// settle is finish for an entity that exchangeFor has queued. If it was taken off the queue
// meanwhile because its affinity or its attributes have changed, it is queued again. If an idle
// CPU has passed it over, that one looks again.
func (c *cpu) settle(e *Entity) {
	if e.onQueue.CompareAndSwap(queuedEarly, settled) {
		return
	}
	s := c.scheduler
	s.mu.Lock()
	defer s.unlock()
	e.onQueue.Store(settled)
	if e.queue == nil {
		s.enqueue(e, s.choose(e), c.left)
		return
	}
	s.offer(e)
}

// bury makes known that the goroutine of an entity that has ended is parked.
func (c *cpu) bury(e *Entity) {
	c.scheduler.mu.Lock()
	defer c.scheduler.mu.Unlock()
	e.own.ended = e.at
	c.scheduler.keepSpare(e.own)
}

// requeue puts an entity that can continue back on a queue.
func (c *cpu) requeue(e *Entity) {
	s := c.scheduler
	s.mu.Lock()
	defer s.unlock()
	now := c.left
	if e.exhausted() && s.throttle(e, now) {
		return
	}
	if !e.mayRunOn(c.number) {
		s.enqueue(e, s.choose(e), now)
		return
	}
	c.add(e, now, e.why == preempted && !e.expired)
	e.expired = false
	if c.current != nil && (e.realtime || e.why == sleeps) && c.preempts(e, now) {
		c.current.runner.Preempt() // e was woken, or has become more urgent, since it left
	}
	c.limit(now)
	s.offer(e)
}

// charge adds to the virtual time of the entities that run what they have run since the last
// charge, raises the floor to the least virtual time of all that run or wait, and bounds how
// far those that run are ahead of it. s.mu is held.
func (s *Scheduler) charge(now int64) {
	if len(s.cpus) == 1 {
		c := &s.cpus[0]
		if e := c.current; e != nil && e.realtime {
			c.chargeRealtime(e, now)
			return
		}
		c.chargeOnly(now)
		return
	}
	least, limit, ahead := int64(math.MaxInt64), s.floor+maxLead*latency, false
	for i := range s.cpus {
		c := &s.cpus[i]
		if e := c.current; e != nil && !e.realtime {
			e.vruntime += e.weighted(now - e.started)
			e.started = now
			least = min(least, e.vruntime)
			ahead = ahead || e.vruntime > limit
		} else if e != nil {
			c.chargeRealtime(e, now)
		}
		if len(c.fair.heap) > 0 {
			least = min(least, c.fair.heap[0].vruntime)
		}
	}
	if least == math.MaxInt64 {
		return
	}
	s.floor = max(s.floor, least)
	if ahead {
		s.limitLead()
	}
}

// chargeOnly is charge for a machine with one CPU that runs no real-time entity: nobody can be far
// ahead. s.mu is held.
func (c *cpu) chargeOnly(now int64) {
	e := c.current
	if e == nil {
		return
	}
	e.vruntime += e.weighted(now - e.started)
	e.started = now
	least := e.vruntime
	if len(c.fair.heap) > 0 {
		least = min(least, c.fair.heap[0].vruntime)
	}
	c.scheduler.floor = max(c.scheduler.floor, least)
}

// limitLead bounds how far the entities that run are ahead of the floor. s.mu is held.
func (s *Scheduler) limitLead() {
	for i := range s.cpus {
		if e := s.cpus[i].current; e != nil && !e.realtime && e.vruntime > s.floor+maxLead*latency {
			e.vruntime = max(s.floor+maxLead*latency, min(e.vruntime, s.floor+e.weighted(maxLead*latency)))
		}
	}
}

// add puts an entity on the CPU's queue. s.mu is held.
func (c *cpu) add(e *Entity, now int64, first bool) {
	e.queue, e.queuedAt = c, now
	c.waiting++
	c.scheduler.waiting.Add(1)
	if e.realtime {
		c.realtime.add(e, first)
		return
	}
	c.fair.add(e)
}

// remove takes an entity off the CPU's queue. s.mu is held.
func (c *cpu) remove(e *Entity) {
	e.queue = nil
	c.waiting--
	c.scheduler.waiting.Add(-1)
	if e.realtime {
		c.realtime.remove(e)
		return
	}
	c.fair.remove(e)
}

// first returns the most urgent entity of the CPU's own queue, or nil. s.mu is held.
func (c *cpu) first() *Entity {
	if c.realtime.waiting > 0 || len(c.fair.heap) == 0 {
		return c.firstRealtime()
	}
	return c.fair.heap[0].entity
}

// best returns the entity that the CPU should run next, or nil: the first one of its own
// queue, or of another CPU's if that is clearly more urgent. s.mu is held.
func (c *cpu) best() *Entity {
	e := c.first()
	if int(c.scheduler.waiting.Load()) == c.waiting {
		return e
	}
	return c.bestOfAll(e)
}

// bestOfAll returns e, the first entity of the CPU's own queue or nil, or one of another CPU's
// queue that is clearly more urgent. s.mu is held.
func (c *cpu) bestOfAll(e *Entity) *Entity {
	s := c.scheduler
	for i := range s.cpus {
		other := s.cpus[i].first()
		if other == nil || &s.cpus[i] == c || !other.mayMoveTo(c.number) ||
			c.holdsBack(other) && (e != nil || c.current != nil) {
			continue
		}
		if e == nil || other.precedesBy(e, migrationMargin) {
			e = other
		}
	}
	return e
}

// precedes reports whether a waiting entity should run in place of e, which runs.
func (w *Entity) precedes(e *Entity) bool {
	if w.realtime && e.realtime && w.Priority == e.Priority && w.server == nil && e.server == nil {
		return e.expired
	}
	return w.precedesBy(e, 0)
}

// precedesPeer reports whether w is more urgent than e, both of a class above the fair one.
func (w *Entity) precedesPeer(e *Entity) bool {
	if w.server != nil && e.server != nil {
		return w.server.at < e.server.at
	}
	if w.server != nil || e.server != nil {
		return w.server != nil
	}
	return w.Priority > e.Priority
}

// precedesBy reports whether w is more urgent than e: it has a better class, a greater
// priority, or less virtual time by a margin.
func (w *Entity) precedesBy(e *Entity, margin int64) bool {
	realtime, other := w.realtime, e.realtime
	switch {
	case realtime && other:
		return w.precedesPeer(e)
	case realtime || other:
		return realtime
	}
	return w.vruntime+margin < e.vruntime
}

// preempts reports whether e, which was just queued, preempts the CPU's current entity at once.
// s.mu is held.
func (c *cpu) preempts(e *Entity, now int64) bool {
	running := c.current
	if running.Policy == Idle && e.Policy != Idle {
		return true
	}
	if e.Policy == Batch || e.Policy == Idle {
		return false
	}
	if e.realtime || running.realtime {
		return c.preemptsRealtime(e, running)
	}
	return e.vruntime+e.weighted(wakeMargin) < running.vruntime+running.weighted(now-running.started)
}

// limit sets the end of the time slice of the CPU's current entity, because others wait. s.mu
// is held.
func (c *cpu) limit(now int64) {
	e := c.current
	if e == nil || c.scheduler.processors == nil || c.waiting == 0 && e.server == nil {
		return
	}
	end := e.sliceFrom + c.slice(e)
	switch {
	case end > now:
	case e.server != nil:
		end = now + 1
	default:
		e.sliceFrom, end = now, now+minSlice
	}
	c.endAt(now, end)
}

// endAt makes the slice end at a time. s.mu is held.
func (c *cpu) endAt(now, end int64) {
	c.sliceEnd.Store(end)
	if end < c.armed || c.armed <= now {
		c.armed = end
		c.scheduler.processors.Arm(c.number)
	}
}

// slice returns how long an entity of the CPU runs while others wait (Linux: sched_slice).
func (c *cpu) slice(e *Entity) int64 {
	if e.realtime {
		return c.realtimeSlice(e)
	}
	period := int64(latency)
	if n := int64(len(c.fair.heap) + 1); n > latency/minSlice {
		period = n * minSlice
	}
	return max(period*e.weight/(c.fair.weight+e.weight), minSlice)
}

// CPUStatistics returns how long entities have waited before a CPU ran them, in nanoseconds, and
// how often the CPU has begun to run one (/proc/schedstat). Any goroutine may call it; it does not
// sleep.
func (s *Scheduler) CPUStatistics(cpu int) (delayed, runs int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.cpus[cpu]
	return c.delayed, c.switches.Load()
}

// Switches returns how often the CPU has begun to run an entity (/proc/stat, ctxt). Any
// context.
func (s *Scheduler) Switches() (sum int64) {
	for i := range s.cpus {
		sum += s.cpus[i].switches.Load()
	}
	return sum
}
