package sched

// This file limits SCHED_FIFO and SCHED_RR (sched(7), "Limiting the CPU usage of real-time and
// deadline processes"): a CPU on which they have run for too long runs other entities until the
// period ends, if there are any.

// Limits are the limits of the real-time policies (/proc/sys/kernel/sched_rt_*), in nanoseconds.
type Limits struct {
	// Real-time and SCHED_DEADLINE entities run for at most Runtime in each Period on each
	// CPU. A negative Runtime is no limit.
	Period, Runtime int64
	// RoundRobin is the time slice of SCHED_RR.
	RoundRobin int64
}

// DefaultLimits are the limits until SetLimits is called, those of Linux.
var DefaultLimits = Limits{Period: 1_000_000_000, Runtime: 950_000_000, RoundRobin: 100_000_000}

// limited reports whether there is a limit, and admission for SCHED_DEADLINE.
func (l *Limits) limited() bool { return l.Runtime >= 0 }

// SetLimits changes the limits. Error: ErrBandwidth if SCHED_DEADLINE entities have reserved
// more. Any goroutine may call it; it does not sleep.
func (s *Scheduler) SetLimits(l Limits) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.limited() && s.reserved > s.capacity(l) {
		return ErrBandwidth
	}
	s.limits = l
	return nil
}

// usage is what the real-time entities of a CPU have used of a period. The scheduler's lock
// guards it.
type usage struct {
	end  int64 // of the period
	used int64
	// throttled is set if SCHED_FIFO and SCHED_RR entities must let others run until the
	// period ends.
	throttled bool
}

// chargeRealtime charges e, the CPU's current entity, which is not of the fair class. s.mu is
// held.
func (c *cpu) chargeRealtime(e *Entity, now int64) {
	time := now - e.started
	e.started = now
	if e.server != nil {
		e.server.spend(time)
	} else {
		e.burst.Add(time)
	}
	u, l := &c.usage, &c.scheduler.limits
	if now >= u.end {
		into := now % l.Period
		u.end, u.used = now-into+l.Period, min(time, into)
	} else {
		u.used += time
	}
	if !u.throttled && l.limited() && u.used >= l.Runtime && l.Runtime < l.Period {
		u.throttled = true
		c.scheduler.after(u.end-now, func() { c.endThrottle() })
	}
}

// endThrottle lets the CPU's SCHED_FIFO and SCHED_RR entities run again.
func (c *cpu) endThrottle() {
	c.scheduler.mu.Lock()
	defer c.scheduler.unlock()
	c.usage.throttled = false
	if e := c.current; e != nil && !e.realtime && c.realtime.waiting > 0 {
		e.runner.Preempt()
	}
}

// holdsBack reports whether e must let entities of the fair class run first. s.mu is held.
func (c *cpu) holdsBack(e *Entity) bool { return c.usage.throttled && e.realtime && e.server == nil }

// firstRealtime is first for a CPU with a waiting entity of a class above the fair one, or with
// none at all. s.mu is held.
func (c *cpu) firstRealtime() *Entity {
	e := c.realtime.first()
	if e == nil || !c.holdsBack(e) {
		return e
	}
	if len(c.fair.heap) > 0 {
		return c.fair.heap[0].entity
	}
	if c.current != nil && !c.current.realtime {
		return nil
	}
	return e
}

// preemptsRealtime is preempts if one of the two entities is not of the fair class. s.mu is held.
func (c *cpu) preemptsRealtime(e, running *Entity) bool {
	switch {
	case c.holdsBack(running) && !e.realtime:
		return true
	case c.holdsBack(e) && !running.realtime:
		return false
	}
	return e.precedesBy(running, 0)
}

// realtimeSlice returns how long e runs, from e.sliceFrom on, before the CPU must look for
// others: until its budget or the CPU's limit is used up, or a slice of SCHED_RR has ended.
func (c *cpu) realtimeSlice(e *Entity) int64 {
	ran, l := e.started-e.sliceFrom, &c.scheduler.limits
	if e.server != nil {
		return ran + e.server.budget
	}
	if !l.limited() || l.Runtime >= l.Period {
		return l.RoundRobin
	}
	left := l.Runtime
	if e.started < c.usage.end {
		left -= c.usage.used
	}
	return min(l.RoundRobin, ran+max(left, 0))
}

// wakeRealtime prepares an entity of a class above the fair one that was woken. It reports false
// if the entity has to wait for its next period. s.mu is held.
func (s *Scheduler) wakeRealtime(e *Entity, now int64) bool {
	e.burst.Store(0)
	if e.server == nil {
		return true
	}
	e.server.wake(now)
	return e.server.budget > 0 || !s.throttle(e, now)
}

// Burst returns how long the entity has run under SCHED_FIFO or SCHED_RR since it last slept, in
// nanoseconds (setrlimit(2), RLIMIT_RTTIME). Any context.
func (e *Entity) Burst() int64 { return e.burst.Load() }

// jiffy is the resolution of Interval, in nanoseconds (Linux: CONFIG_HZ=250).
const jiffy = 4_000_000

// Interval returns the time slice of an entity (sched_rr_get_interval(2)): 0 for SCHED_FIFO and
// SCHED_DEADLINE. Any goroutine may call it; it does not sleep.
func (s *Scheduler) Interval(e *Entity) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.Policy == RR:
		return s.limits.RoundRobin
	case e.realtime || e.scheduler == nil:
		return 0
	}
	c := e.on()
	if c.current == nil && len(c.fair.heap) == 0 {
		return 0
	}
	return c.slice(e) / jiffy * jiffy
}
