package sched

import "iter"

// exchange is a place where one goroutine is parked. A goroutine that swaps is parked there,
// and the one that was parked continues in its place, on the same thread of the runtime. Each
// entity brings an exchange with its goroutine, which is parked there until it starts. So there
// are as many exchanges as parked goroutines, and a parked goroutine is in any of them.
//
// It is a coroutine of package iter. A swap is a coroutine switch: no run queue or lock of the
// Go scheduler takes part, and only one of the two goroutines is runnable.
type exchange struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
	// entity is the one whose function the goroutine calls that came with the exchange.
	entity *Entity
	// forth is set if the last swap has called next. Calls of next and yield alternate.
	forth bool
	// occupant is the entity whose goroutine is parked here, or is about to be. The scheduler's
	// lock guards it, and ended.
	occupant *Entity
	// ended is where the goroutine that came with the exchange is parked, once its entity has
	// ended, or nil. When a goroutine returns, the one that is parked in its exchange
	// continues. So it returns only when that one is to run.
	ended *exchange
	// spare is the place in Scheduler.spare plus 1, or 0. A spare goroutine takes a new entity.
	spare int
}

// firstToContinue returns the entity that continues if the goroutine that came with x returns:
// those of entities that have ended return too. It returns nil if the goroutine of one that is
// ending is not parked yet. The scheduler's lock is held.
func (x *exchange) firstToContinue() *Entity {
	for {
		e := x.occupant
		switch {
		case e.own == nil || e.why != ended || e.own.spare > 0: // an idle goroutine has no exchange
			return e
		case e.own.ended == nil:
			return nil
		}
		x = e.own
	}
}

// newExchange returns an exchange with a new goroutine, which runs the entity, and others after
// it while the scheduler keeps it as a spare one.
func newExchange(e *Entity) *exchange {
	x := &exchange{entity: e}
	x.occupant = e
	x.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		x.yield = yield
		for again := true; again; {
			e := x.entity
			e.on().finish()
			e.f()
			again = e.end()
		}
	})
	return x
}

// maxSpare bounds the number of spare goroutines. Their stacks have grown already.
const maxSpare = 32

// keepSpare keeps the goroutine that came with x for another entity, unless there are enough. It
// is parked. s.mu is held.
func (s *Scheduler) keepSpare(x *exchange) {
	if s.processors != nil && len(s.spare) < maxSpare {
		s.spare = append(s.spare, x)
		x.spare = len(s.spare)
	}
}

// dropSpare removes x from the spare ones, if it is there. s.mu is held.
func (s *Scheduler) dropSpare(x *exchange) {
	if x.spare == 0 {
		return
	}
	last := len(s.spare) - 1
	moved := s.spare[last]
	s.spare[x.spare-1], moved.spare = moved, x.spare
	s.spare[last], x.spare = nil, 0
	s.spare = s.spare[:last]
}

// takeSpare gives an entity a spare goroutine. It reports false if there is none.
func (s *Scheduler) takeSpare(e *Entity) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spare) == 0 {
		return false
	}
	x := s.spare[len(s.spare)-1]
	s.dropSpare(x)
	e.own, e.at, x.entity = x, x.ended, e
	x.ended, e.at.occupant = nil, e
	return true
}

// entrance returns the exchange by which the goroutine that is parked in x continues. The caller
// swaps there. s.mu is held.
func (s *Scheduler) entrance(x *exchange) *exchange {
	if x.ended == nil {
		return x
	}
	s.dropSpare(x)
	return x.ended // the goroutine that is parked there returns, which continues the one in x
}

// swap parks the calling goroutine in the exchange and continues the one that is there.
func (x *exchange) swap() {
	if x.forth {
		x.forth = false
		x.yield(struct{}{})
		return
	}
	x.forth = true
	x.next()
}
