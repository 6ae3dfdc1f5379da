package sched

import "sync"

// This file has priority inheritance: the owner of a lock runs at least as urgently as the most
// urgent task that waits for the lock, and so does the owner of the lock that this owner waits
// for, and so on (Linux: kernel/locking/rtmutex.c, Documentation/locking/rt-mutex-design.rst).
// The scheduler knows who owns a lock and who waits for it. The lock itself, its word and the
// sleep of its waiters belong to the caller.

// urgency orders tasks of all classes: the greater, the more urgent. It is 140 minus the priority
// of Linux's scheduler (task_struct.prio). 0 is less urgent than every task.
type urgency int32

const (
	urgencyOfPrio0 urgency = 140
	// mostUrgentFair is the urgency of the nice value -20.
	mostUrgentFair urgency = 40
	// realtimeBase and a real-time priority give the urgency of that priority.
	realtimeBase = mostUrgentFair + 1
	// urgencyOfDeadline is the urgency of SCHED_DEADLINE.
	urgencyOfDeadline = realtimeBase + MaxPriority + 1
)

// urgency returns the urgency of the attributes.
func (a Attributes) urgency() urgency {
	switch {
	case a.Policy == Deadline:
		return urgencyOfDeadline
	case a.Policy.Realtime():
		return realtimeBase + urgency(a.Priority)
	}
	return 20 - urgency(a.Nice)
}

// rank orders the waiters of a lock: all tasks of the fair class are equal (Linux:
// __waiter_prio).
func (u urgency) rank() urgency { return max(u, mostUrgentFair) }

// boosted returns the attributes with which a task runs that inherits an urgency. As on Linux, a
// fair waiter boosts nobody, and SCHED_RR keeps its slices. From a task of SCHED_DEADLINE, another
// one inherits the greatest real-time priority; Linux lends it the deadline and the budget.
func (a Attributes) boosted(inherited urgency) Attributes {
	if inherited <= realtimeBase || inherited <= a.urgency() {
		return a
	}
	if a.Policy != RR {
		a.Policy = FIFO
	}
	a.Priority = min(int32(inherited-realtimeBase), MaxPriority)
	return a
}

// RTMutex has the owner of a lock with priority inheritance, and those who wait for it (Linux:
// rt_mutex_base). It must not be copied. Scheduler.chains guards it.
type RTMutex struct {
	owner   *Entity
	waiters placeHeap[*RTWaiter]
	place   int // in owner.chain.held
}

// NewRTMutex returns the lock of an owner, for which nobody waits yet.
func NewRTMutex(owner *Entity) *RTMutex { return &RTMutex{owner: owner} }

// RTWaiter is an entity that waits for an RTMutex (Linux: rt_mutex_waiter). The zero value waits
// for nothing. Scheduler.chains guards it.
type RTWaiter struct {
	entity *Entity
	mutex  *RTMutex // or nil
	rank   urgency
	turn   uint64 // the order among those of the same rank
	place  int    // in mutex.waiters
}

// Runner returns the task that waits, or waited last.
func (w *RTWaiter) Runner() Runner { return w.entity.runner }

func (w *RTWaiter) before(other *RTWaiter) bool {
	if w.rank != other.rank {
		return w.rank > other.rank
	}
	return w.turn < other.turn
}
func (w *RTWaiter) setPlace(i int) { w.place = i }

func (m *RTMutex) before(other *RTMutex) bool {
	return m.waiters.first().before(other.waiters.first())
}
func (m *RTMutex) setPlace(i int) { m.place = i }

// chain is an entity's part of priority inheritance. Scheduler.chains guards it.
type chain struct {
	waits *RTWaiter           // its wait, or nil
	held  placeHeap[*RTMutex] // the locks that it owns and others wait for
}

// chains guards who waits for whom. It is locked before Scheduler.mu.
type chains struct {
	mu   sync.Mutex
	turn uint64 // of the last waiter
}

// maxChain is how many locks a chain has at most (Linux: max_lock_depth).
const maxChain = 1024

// BlockOn makes e wait for a lock, whose owner inherits from it from now on. It reports false, and
// does nothing, if the owner waits for e, directly or by other owners, or if the chain of owners is
// too long (EDEADLK). Any goroutine may call it if e waits for no other lock; it does not
// sleep.
func (s *Scheduler) BlockOn(m *RTMutex, w *RTWaiter, e *Entity) bool {
	s.chains.mu.Lock()
	defer s.chains.mu.Unlock()
	if m.leadsTo(e) {
		return false
	}
	w.entity, w.mutex, w.rank = e, m, e.effective().rank()
	s.takeTurn(w)
	e.chain.waits = w
	first := m.waiters.empty()
	m.waiters.push(w)
	if first {
		m.owner.chain.held.push(m)
	} else {
		m.owner.chain.held.fix(m.place)
	}
	s.adjust(m.owner)
	return true
}

// leadsTo reports whether the chain of owners that begins with that of m has e, or is too long.
// s.chains.mu is held.
func (m *RTMutex) leadsTo(e *Entity) bool {
	for range maxChain {
		if m.owner == e {
			return true
		}
		w := m.owner.chain.waits
		if w == nil {
			return false
		}
		m = w.mutex
	}
	return true
}

// Unblock ends the wait of w without the lock. It does nothing if w has got the lock. Any
// goroutine may call it; it does not sleep.
func (s *Scheduler) Unblock(w *RTWaiter) {
	s.chains.mu.Lock()
	defer s.chains.mu.Unlock()
	m := w.mutex
	if m == nil {
		return
	}
	m.waiters.remove(w.place)
	w.mutex, w.entity.chain.waits = nil, nil
	if m.waiters.empty() {
		m.owner.chain.held.remove(m.place)
	} else {
		m.owner.chain.held.fix(m.place)
	}
	s.adjust(m.owner)
}

// Top returns the most urgent waiter of a lock, or nil. Any goroutine may call it; it does not
// sleep.
func (s *Scheduler) Top(m *RTMutex) *RTWaiter {
	s.chains.mu.Lock()
	defer s.chains.mu.Unlock()
	if m.waiters.empty() {
		return nil
	}
	return m.waiters.first()
}

// HandOver makes w, a waiter of a lock, its owner. The old owner no longer inherits from the
// waiters of the lock, and w inherits from those that are left. Any goroutine may call it; it does
// not sleep.
func (s *Scheduler) HandOver(w *RTWaiter) {
	s.chains.mu.Lock()
	defer s.chains.mu.Unlock()
	m := w.mutex
	old := m.owner
	old.chain.held.remove(m.place)
	m.waiters.remove(w.place)
	w.mutex, w.entity.chain.waits = nil, nil
	m.owner = w.entity
	if !m.waiters.empty() {
		m.owner.chain.held.push(m)
		s.adjust(m.owner)
	}
	s.adjust(old)
}

// takeTurn puts w behind the waiters of its rank. s.chains.mu is held.
func (s *Scheduler) takeTurn(w *RTWaiter) {
	s.chains.turn++
	w.turn = s.chains.turn
}

// adjust makes e inherit what it should, after the waiters of its locks have changed. If that
// changes its rank as a waiter, the owner of the lock for which it waits follows, and so on
// (Linux: rt_mutex_adjust_prio_chain). s.chains.mu is held.
func (s *Scheduler) adjust(e *Entity) {
	s.inherit(e, e.chain.donated())
	s.adjustWait(e)
}

// adjustWait makes the rank of a waiter that of its entity, and owners inherit it. s.chains.mu is
// held.
func (s *Scheduler) adjustWait(e *Entity) {
	w := e.chain.waits
	for range maxChain {
		if w == nil || w.rank == w.entity.effective().rank() {
			return
		}
		w.rank = w.entity.effective().rank()
		s.takeTurn(w)
		m := w.mutex
		m.waiters.fix(w.place)
		m.owner.chain.held.fix(m.place)
		s.inherit(m.owner, m.owner.chain.donated())
		w = m.owner.chain.waits
	}
}

// donated returns the urgency of the most urgent waiter of all locks that an entity owns, or 0.
func (c *chain) donated() urgency {
	if c.held.empty() {
		return 0
	}
	return c.held.first().waiters.first().entity.effective()
}

// inherit sets what an entity inherits. s.chains.mu is held.
func (s *Scheduler) inherit(e *Entity, to urgency) {
	s.mu.Lock()
	defer s.unlock()
	was := e.inherited
	switch {
	case was == to:
		return
	case e.normal.boosted(was) == e.normal.boosted(to):
		e.inherited = to // of one fair task from another: the class and the weight stay
		e.apply()
		return
	}
	s.change(e, func() {
		e.inherited = to
		e.apply()
	})
}

// rejoin prepares an entity that has left the real-time class for the fair one: it is charged from
// now on, and its virtual time has gone on meanwhile (Linux: switched_to_fair). s.mu is held.
func (s *Scheduler) rejoin(e *Entity, now int64) {
	e.started = now
	e.vruntime = max(e.vruntime, s.floor)
}

// KernelPriority returns the priority with which the entity runs now, as Linux counts it: 0 to 99
// are the real-time priorities 99 to 0, and 100 to 139 the nice values (task_struct.prio). Any
// context.
func (e *Entity) KernelPriority() int { return int(urgencyOfPrio0 - e.effective()) }
