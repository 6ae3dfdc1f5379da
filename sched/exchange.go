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
	// forth is set if the last swap has called next. Calls of next and yield alternate.
	forth bool
	// occupant is the entity whose goroutine is parked here, or is about to be. The scheduler's
	// lock guards it, and ended.
	occupant *Entity
	// ended is where the goroutine that came with the exchange is parked, once its entity has
	// ended, or nil. When a goroutine returns, the one that is parked in its exchange
	// continues. So it returns only when that one is to run.
	ended *exchange
}

// firstToContinue returns the entity that continues if the goroutine that came with x returns:
// those of entities that have ended return too. It returns nil if the goroutine of one that is
// ending is not parked yet. The scheduler's lock is held.
func (x *exchange) firstToContinue() *Entity {
	for {
		e := x.occupant
		switch {
		case e.own == nil || e.why != ended: // an idle goroutine has no exchange
			return e
		case e.own.ended == nil:
			return nil
		}
		x = e.own
	}
}

// newExchange returns an exchange with a new goroutine, which calls f once it runs.
func newExchange(f func()) *exchange {
	x := new(exchange)
	x.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		x.yield = yield
		f()
	})
	return x
}

// entrance returns the exchange by which the goroutine that is parked in x continues.
func (x *exchange) entrance() *exchange {
	if x.ended != nil {
		return x.ended // the goroutine that is parked there returns, which continues the one in x
	}
	return x
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
