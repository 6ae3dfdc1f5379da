package sched

import "math"

// handOffDelay is within which time after a wake-up a task must sleep to count as one that
// hands its CPU over, in nanoseconds.
const handOffDelay = 50_000

// handOffLimit is how long an entity waits for the CPU of such a task while another CPU is
// idle, in nanoseconds.
const handOffLimit = 1_000_000

// pairing predicts whether a task sleeps soon after it has woken another, as a reader or a
// writer of a pipe does (Linux: WF_SYNC). Then the other one continues on the same CPU: to wake
// an idle CPU costs more than to wait.
type pairing struct {
	// wokeAt is when the task woke another entity since it last left its CPU to sleep, or 0.
	// While the task is preempted it is minus the time that it has run since then.
	wokeAt int64
	score  int8 // positive: it sleeps soon
}

// maxScore bounds the score, so that a changed behaviour is seen soon.
const maxScore = 3

// woke is called when the task wakes another.
func (p *pairing) woke(now int64) { p.wokeAt = now }

// left is called when the task leaves its CPU. A preemption, perhaps by the task that was woken, says
// nothing about what the task does next.
func (p *pairing) left(now int64, why departure) {
	if p.wokeAt == 0 {
		return
	}
	ran := now - p.wokeAt
	switch {
	case why == preempted:
		p.wokeAt = -max(ran, 1)
		return
	case why == sleeps && ran < handOffDelay:
		p.score = min(p.score+1, maxScore)
	default:
		p.score = max(p.score-1, -maxScore)
	}
	p.wokeAt = 0
}

// continued is called when the task is given a CPU.
func (p *pairing) continued(now int64) {
	if p.wokeAt < 0 {
		p.wokeAt += now
	}
}

// partner returns the CPU of the task that wakes e, if e should wait for it. s.mu is held.
func (s *Scheduler) partner(e *Entity, now int64) *cpu {
	if s.processors == nil {
		return nil
	}
	c := &s.cpus[s.processors.Current()]
	if c.current == nil {
		return nil
	}
	p := &c.current.pairing
	p.woke(now)
	if p.score <= 0 || c.waiting > 0 || e.realtime || !e.mayRunOn(c.number) {
		return nil
	}
	return c
}

// enqueueBehind puts e on the queue of a CPU whose task is about to sleep. s.mu is held.
func (s *Scheduler) enqueueBehind(e *Entity, c *cpu, now int64) {
	c.add(e, now, false)
	if c.current.Policy == Idle && e.Policy != Idle {
		c.current.runner.Preempt()
		return
	}
	c.endAt(now, now+handOffLimit)
}

// spread makes an idle CPU take an entity that waits for c, if there is one. s.mu is held.
func (s *Scheduler) spread(c *cpu) {
	if c.waiting == 0 {
		return
	}
	for i := range s.cpus {
		if other := &s.cpus[i]; other.isIdle() && c.firstFor(i) != nil {
			other.rouse()
			return
		}
	}
}

// offer makes an idle CPU look for e, which waits, if there is one that may run it. A CPU can have
// become idle since e left its own. s.mu is held.
func (s *Scheduler) offer(e *Entity) {
	if s.resting == 0 {
		return
	}
	for i := range s.cpus {
		if other := &s.cpus[i]; other.isIdle() && e.mayRunOn(i) {
			other.rouse()
			return
		}
	}
}

// bestBehindOthers returns an entity that waits for another CPU and may run on c, or nil. best
// looks only at the first entity of a CPU's queue, which may be confined to that CPU. s.mu is held.
func (c *cpu) bestBehindOthers() (best *Entity) {
	for i := range c.scheduler.cpus {
		e := c.scheduler.cpus[i].firstFor(c.number)
		if e != nil && (best == nil || e.precedesBy(best, 0)) {
			best = e
		}
	}
	return best
}

// firstFor returns the most urgent entity of the CPU's queue that may run on another CPU, or nil.
// s.mu is held.
func (c *cpu) firstFor(other int) (best *Entity) {
	if c.waiting == 0 {
		return nil
	}
	if e := c.first(); e != nil && e.mayMoveTo(other) {
		return e
	}
	if e := c.realtime.firstFor(other); e != nil {
		return e
	}
	for _, w := range c.fair.heap {
		if w.entity.mayMoveTo(other) && (best == nil || w.vruntime < best.vruntime) {
			best = w.entity
		}
	}
	return best
}

// rouse makes an idle CPU look at its queue, once s.mu is released. s.mu is held.
func (c *cpu) rouse() {
	c.setResting(false)
	c.scheduler.kicks |= 1 << uint(c.number)
}

// setResting sets whether the idle goroutine has found nothing to run. s.mu is held.
func (c *cpu) setResting(resting bool) {
	switch {
	case resting && !c.resting:
		c.scheduler.resting++
	case c.resting && !resting:
		c.scheduler.resting--
	}
	c.resting = resting
}

// isIdle reports whether the CPU has nothing to run, and nobody has made it look. s.mu is
// held.
func (c *cpu) isIdle() bool { return c.resting && c.waiting == 0 }

// choose returns the CPU for a runnable entity: its last one if that is idle, else an idle
// one, else the one that runs the least urgent entity, or has the fewest that wait. s.mu is
// held.
func (s *Scheduler) choose(e *Entity) *cpu {
	last := e.on()
	if e.mayRunOn(last.number) && last.isIdle() {
		return last
	}
	var best *cpu
	least := int64(math.MaxInt64)
	for i := range s.cpus {
		c := &s.cpus[i]
		if !e.mayRunOn(i) {
			continue
		}
		cost := c.cost(e)
		if c == last {
			cost--
		}
		if cost < least {
			best, least = c, cost
		}
	}
	return best
}

// cost orders the CPUs by how soon they can run e: the less the sooner. s.mu is held.
func (c *cpu) cost(e *Entity) int64 {
	const busy, realtime = 1 << 20, 1 << 40
	if c.isIdle() {
		return 0
	}
	cost := int64(busy) + 2*int64(c.waiting)
	if c.current == nil {
		return cost
	}
	cost += 2
	if running := c.current; running.realtime {
		cost += realtime
		switch {
		case !e.realtime:
		case running.server != nil:
			cost += realtime<<20 - running.server.at
		default:
			cost += realtime * int64(running.Priority)
		}
	}
	return cost
}

// mayMoveTo reports whether another CPU than that of its queue may run e now. If its goroutine
// still runs, the commit of its departure offers it. The scheduler's lock is held.
func (e *Entity) mayMoveTo(cpu int) bool { return e.mayRunOn(cpu) && !e.disturb() }

// disturb makes the commit of e's departure look at e again, if e is on a queue although its
// goroutine may still run. It reports false if that is not so. The scheduler's lock is held.
func (e *Entity) disturb() bool {
	return e.onQueue.Load() != settled &&
		(e.onQueue.CompareAndSwap(queuedEarly, disturbed) || e.onQueue.Load() == disturbed)
}
