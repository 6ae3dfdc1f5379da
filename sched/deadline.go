package sched

import "errors"

// This file has SCHED_DEADLINE (sched(7), Documentation/scheduler/sched-deadline.rst): earliest
// deadline first, among entities that each have a constant bandwidth server. The server of an
// entity has a budget for each period. Without budget, the entity is throttled until the next
// period. So one that runs longer than it said delays nobody but itself.

// Errors of Reserve, SetLimits and SetAffinity.
var (
	// ErrConfined: an affinity excludes CPUs, or no time is left for SCHED_DEADLINE.
	ErrConfined = errors.New("the entity may not have a deadline")
	// ErrBandwidth: the sum of the reservations would exceed what the CPUs have.
	ErrBandwidth = errors.New("the CPUs do not have the time that is reserved")
)

// Reservation has the parameters of SCHED_DEADLINE (sched(7)), in nanoseconds: the entity may
// run for Runtime in each Period, and gets that time within Deadline from the beginning of the
// period. The caller has checked 1024 <= Runtime <= Deadline <= Period < 1<<43.
type Reservation struct {
	Runtime, Deadline, Period int64
	// Reclaim is SCHED_FLAG_RECLAIM. It has no effect.
	Reclaim bool
	// SignalOverrun is SCHED_FLAG_DL_OVERRUN: see TakeOverrun.
	SignalOverrun bool
}

// shareBits is the number of bits behind the point of a share of a CPU (Linux: BW_SHIFT).
const shareBits = 20

// shareOf returns runtime/period as a share of a CPU.
func shareOf(runtime, period int64) int64 { return runtime << shareBits / period }

// server is the constant bandwidth server of a SCHED_DEADLINE entity (Linux: sched_dl_entity).
// The scheduler's lock guards it.
type server struct {
	Reservation
	entity *Entity
	budget int64 // run time that is left before the deadline
	at     int64 // the absolute deadline
	index  int   // in the heap of a realtimeQueue
	// throttled is set while the entity waits for its next period: it is runnable, but on no
	// queue.
	throttled bool
}

// share returns which share of a CPU is reserved.
func (v *server) share() int64 { return shareOf(v.Runtime, v.Period) }

// nextPeriod returns when the next period begins.
func (v *server) nextPeriod() int64 { return v.at - v.Deadline + v.Period }

// restart begins a period now.
func (v *server) restart(now int64) { v.at, v.budget = now+v.Deadline, v.Runtime }

// replenish begins the next period, or a later one if the entity has overrun its budget by more
// than a period's (Linux: replenish_dl_entity).
func (v *server) replenish(now int64) {
	for v.budget <= 0 {
		v.at += v.Period
		v.budget += v.Runtime
	}
	if v.at < now {
		v.restart(now)
	}
}

// wake applies the wake-up rule of the server: the entity keeps its budget and deadline only if
// it would not exceed its bandwidth with them (Linux: update_dl_entity, dl_check_constrained_dl).
func (v *server) wake(now int64) {
	implicit := v.Deadline == v.Period
	if v.at < now {
		if !implicit && now < v.nextPeriod() {
			v.budget = min(v.budget, 0) // it has had its deadline in this period
			return
		}
		v.restart(now)
		return
	}
	affordable := shareOf(v.Runtime, v.Deadline) * (v.at - now) >> shareBits
	switch {
	case v.budget <= affordable:
	case implicit:
		v.restart(now)
	default:
		v.budget = affordable // the revised rule
	}
}

// Reserve gives an entity the policy SCHED_DEADLINE. Errors: ErrConfined, ErrBandwidth. Any
// goroutine may call it; it does not sleep.
func (s *Scheduler) Reserve(e *Entity, v Reservation) (err error) {
	s.changeUrgency(e, func() { err = s.tryReserve(e, v) })
	return err
}

// tryReserve is Reserve with s.mu held.
func (s *Scheduler) tryReserve(e *Entity, v Reservation) error {
	if e.retired || e.server != nil && e.server.Reservation == v {
		return nil
	}
	added := shareOf(v.Runtime, v.Period)
	if e.server != nil {
		added -= e.server.share()
	}
	if s.limits.limited() {
		switch {
		case e.allowed != 0 || s.limits.Runtime == 0:
			return ErrConfined
		case added > 0 && s.reserved+added > s.capacity(s.limits):
			return ErrBandwidth
		}
	}
	s.reserved += added
	s.change(e, func() { e.reserve(v, s.now()) })
	if s.running(e) {
		e.on().limit(s.now())
	}
	return nil
}

// reserve sets the reservation. The scheduler's lock is held.
func (e *Entity) reserve(v Reservation, now int64) {
	if e.server == nil {
		e.server = &server{entity: e}
	}
	e.server.Reservation = v
	if e.server.at < now {
		e.server.restart(now)
	}
	e.set(Attributes{Policy: Deadline, Nice: e.Nice})
}

// capacity returns the sum of the shares that can be reserved.
func (s *Scheduler) capacity(l Limits) int64 {
	return shareOf(l.Runtime, l.Period) * int64(len(s.cpus))
}

// release ends the reservation of an entity, which leaves SCHED_DEADLINE or ends. Its share is
// free at once. The caller sets other attributes. s.mu is held.
func (s *Scheduler) release(e *Entity) (wasThrottled bool) {
	v := e.server
	if v == nil {
		return false
	}
	s.reserved -= v.share()
	e.server = nil
	e.setReason(spent, false)
	return v.throttled
}

// retire ends the reservation of an entity that has ended, and prevents others. s.mu is held.
func (s *Scheduler) retire(e *Entity) {
	e.retired = true
	if e.server != nil {
		s.release(e)
		e.set(Attributes{Nice: e.Nice})
	}
}

// Retire ends the reservation of an entity that never starts. Any goroutine may call it; it does
// not sleep.
func (s *Scheduler) Retire(e *Entity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retire(e)
}

// Reservation returns the parameters of SCHED_DEADLINE, zero for another policy. Any goroutine
// may call it; it does not sleep.
func (s *Scheduler) Reservation(e *Entity) Reservation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.server == nil {
		return Reservation{}
	}
	return e.server.Reservation
}

// exhausted reports whether the entity has a server without budget. s.mu is held.
func (e *Entity) exhausted() bool { return e.server != nil && e.server.budget <= 0 }

// TakeOverrun reports whether the entity has overrun its runtime since the last call, if it asked
// to be told (SCHED_FLAG_DL_OVERRUN). Any context.
func (e *Entity) TakeOverrun() bool { return e.overrun.Load() && e.overrun.Swap(false) }

// spend charges the server of e, which runs. s.mu is held.
func (v *server) spend(time int64) {
	v.budget -= time
	if v.budget <= 0 && v.SignalOverrun {
		v.entity.overrun.Store(true)
	}
}

// throttle lets an entity without budget wait for its next period, unless that has begun. It
// reports whether the entity waits. s.mu is held.
func (s *Scheduler) throttle(e *Entity, now int64) bool {
	v := e.server
	e.setReason(spent, false)
	next := v.nextPeriod()
	if v.throttled = next > now; !v.throttled {
		v.replenish(now)
		return false
	}
	s.after(next-now, func() { s.unthrottle(v) })
	return true
}

// unthrottle begins the next period of a server.
func (s *Scheduler) unthrottle(v *server) {
	s.mu.Lock()
	defer s.unlock()
	now := s.now()
	if e := v.entity; v.throttled && e.server == v && !s.throttle(e, now) {
		s.enqueue(e, s.choose(e), now)
	}
}

// surrender gives up the rest of the entity's budget (sched_yield(2)).
func (s *Scheduler) surrender(e *Entity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.charge(s.now())
	if e.server != nil {
		e.server.budget = min(e.server.budget, 0)
	}
}

// before orders the waiting servers of a CPU by their absolute deadlines, which do not change while
// the entities wait.
func (v *server) before(other *server) bool { return v.at < other.at }
func (v *server) setPlace(i int)            { v.index = i }
