package sched

import (
	"math/rand/v2"
	"testing"
)

// fifo returns the attributes of SCHED_FIFO with a priority, or of SCHED_OTHER for 0.
func fifo(priority int32) Attributes {
	if priority == 0 {
		return Attributes{}
	}
	return Attributes{Policy: FIFO, Priority: priority}
}

// sleepers returns entities that never run, one for each set of attributes.
func sleepers(attributes ...Attributes) []*Entity {
	all := make([]*Entity, len(attributes))
	for i, a := range attributes {
		all[i] = new(Entity)
		all[i].set(a)
	}
	return all
}

// expectPriority fails unless an entity runs with a real-time priority, or in the fair class for 0.
func expectPriority(t *testing.T, what string, e *Entity, want int32) {
	t.Helper()
	if got := e.Priority; got != want || e.realtime != (want > 0) {
		t.Errorf("%s: the effective priority is %d (real-time: %v), want %d", what, got, e.realtime, want)
	}
}

func TestOwnerInheritsFromTheMostUrgentWaiterUntilItUnlocks(t *testing.T) {
	s := New(1, nil)
	e := sleepers(fifo(0), fifo(0), fifo(7), fifo(3))
	owner := e[0]
	m := NewRTMutex(owner)
	var waits [4]RTWaiter
	for i, want := range []int32{0, 0, 7, 7} {
		if i > 0 && !s.BlockOn(m, &waits[i], e[i]) {
			t.Fatal("the wait is refused")
		}
		expectPriority(t, "with more waiters", owner, want)
	}
	if owner.Current().Priority != 0 || owner.KernelPriority() != 92 {
		t.Errorf("own attributes %+v, priority %d, want those that were set, and 92", owner.Current(), owner.KernelPriority())
	}
	if top := s.Top(m); top != &waits[2] {
		t.Errorf("the first waiter is that of priority %d", top.entity.Priority)
	}
	s.Unblock(&waits[2])
	expectPriority(t, "after the first waiter has gone", owner, 3)
	s.HandOver(&waits[3])
	expectPriority(t, "after the unlock", owner, 0)
	expectPriority(t, "the new owner", e[3], 3)
	s.HandOver(&waits[1])
	if m.owner != e[1] || s.Top(m) != nil {
		t.Error("the last waiter does not own the lock")
	}
}

func TestInheritancePassesThroughChains(t *testing.T) {
	s := New(1, nil)
	e := sleepers(fifo(0), fifo(2), fifo(1), fifo(9))
	var locks [3]*RTMutex
	var waits [3]RTWaiter
	for i := range locks {
		locks[i] = NewRTMutex(e[i])
		if !s.BlockOn(locks[i], &waits[i], e[i+1]) {
			t.Fatal("the wait is refused")
		}
	}
	for i := range locks {
		expectPriority(t, "an owner in the chain", e[i], 9)
	}
	var closing RTWaiter
	if s.BlockOn(NewRTMutex(e[3]), &closing, e[0]) {
		t.Error("a cycle is not refused")
	}
	s.SetAttributes(e[3], fifo(50))
	expectPriority(t, "after the last waiter became more urgent", e[0], 50)
	s.SetAttributes(e[3], fifo(0))
	for i, want := range []int32{2, 2, 1} {
		expectPriority(t, "after the last waiter became fair", e[i], want)
	}
	s.Unblock(&waits[0])
	expectPriority(t, "after the chain was cut", e[0], 0)
}

// TestLongChainIsRefused builds a chain from its end, so that each wait is checked along all locks.
func TestLongChainIsRefused(t *testing.T) {
	s := New(1, nil)
	e := sleepers(make([]Attributes, maxChain+2)...)
	waits := make([]RTWaiter, len(e))
	for i := 1; i < len(e); i++ {
		if accepted := s.BlockOn(NewRTMutex(e[i-1]), &waits[i], e[i]); accepted != (i <= maxChain) {
			t.Fatalf("wait %d: accepted is %v", i, accepted)
		}
	}
}

func TestFairWaiterDoesNotBoostFairOwner(t *testing.T) {
	s := New(1, nil)
	e := sleepers(Attributes{Nice: 10}, Attributes{Nice: -5}, Attributes{Policy: RR, Priority: 4}, fifo(8))
	m := NewRTMutex(e[0])
	var waits [4]RTWaiter
	s.BlockOn(m, &waits[1], e[1])
	expectPriority(t, "beside a fair waiter", e[0], 0)
	if e[0].weight != weights[30] || e[0].KernelPriority() != 115 {
		t.Errorf("weight %d, priority %d, want the own weight and the priority of the waiter", e[0].weight, e[0].KernelPriority())
	}
	s.BlockOn(m, &waits[2], e[2])
	if e[0].Policy != FIFO {
		t.Error("a boosted task does not run as SCHED_FIFO")
	}
	other := NewRTMutex(e[2])
	s.BlockOn(other, &waits[3], e[3])
	if e[2].Policy != RR || e[2].Priority != 8 {
		t.Errorf("a boosted task of SCHED_RR runs as %+v", e[2].Attributes)
	}
}

// TestBoostedTaskIsQueuedAgain lets a fair task wait for a CPU that a real-time task has.
func TestBoostedTaskIsQueuedAgain(t *testing.T) {
	s := newMachine(1).s
	waiter := sleepers(fifo(9))[0]
	owner, spinner := &program{s: s}, &program{s: s}
	spinner.set(fifo(5))
	m := NewRTMutex(&owner.Entity)
	order := make(chan string, 3)
	s.Start(&spinner.Entity, spinner, func() {
		s.Start(&owner.Entity, owner, func() {
			order <- "owner"
			s.HandOver(s.Top(m))
			if !owner.preempted.Load() {
				t.Error("the task is not preempted when it is no longer boosted")
			}
			s.Reschedule(&owner.Entity)
			order <- "owner again"
		})
		s.Reschedule(&spinner.Entity)
		if spinner.preempted.Load() {
			t.Error("a fair task preempts a real-time one")
		}
		var w RTWaiter
		s.BlockOn(m, &w, waiter)
		if !spinner.preempted.Load() {
			t.Error("the boosted task does not preempt")
		}
		s.Reschedule(&spinner.Entity)
		order <- "spinner"
	})
	for _, want := range []string{"owner", "spinner", "owner again"} {
		if got := <-order; got != want {
			t.Fatalf("%q ran, want %q", got, want)
		}
	}
}

// graph is a random graph of owners and waiters, for TestInheritanceAgreesWithTheGraph.
type graph struct {
	s        *Scheduler
	entities []*Entity
	locks    []*RTMutex // nil: free
	waits    []RTWaiter // of each entity
}

// step makes a random change.
func (g *graph) step(r *rand.Rand) {
	i, j := r.IntN(len(g.entities)), r.IntN(len(g.locks))
	e, w, m := g.entities[i], &g.waits[i], g.locks[j]
	switch r.IntN(4) {
	case 0: // lock
		switch {
		case e.chain.waits != nil:
		case m == nil:
			g.locks[j] = NewRTMutex(e)
		default:
			g.s.BlockOn(m, w, e)
		}
	case 1: // unlock
		if m == nil || m.owner.chain.waits != nil {
			return
		}
		if top := g.s.Top(m); top != nil {
			g.s.HandOver(top)
		} else {
			g.locks[j] = nil
		}
	case 2: // time-out
		g.s.Unblock(w)
	case 3:
		g.s.SetAttributes(e, fifo(int32(r.IntN(5))))
	}
}

// wanted returns the effective real-time priority that follows from the graph.
func (g *graph) wanted(e *Entity) int32 {
	want := e.Current().Priority
	for _, m := range g.locks {
		if m == nil || m.owner != e {
			continue
		}
		for _, w := range m.waiters.items {
			want = max(want, g.wanted(w.entity))
		}
	}
	return want
}

func (g *graph) check(t *testing.T) {
	t.Helper()
	for i, e := range g.entities {
		if want := g.wanted(e); e.Priority != want {
			t.Fatalf("entity %d has the effective priority %d, want %d", i, e.Priority, want)
		}
	}
	for j, m := range g.locks {
		if m == nil || m.waiters.empty() {
			continue
		}
		top := m.waiters.first()
		for _, w := range m.waiters.items {
			if w.entity.Priority > top.entity.Priority {
				t.Fatalf("lock %d would be handed to priority %d before %d", j, top.entity.Priority, w.entity.Priority)
			}
		}
	}
}

func TestInheritanceAgreesWithTheGraph(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		g := &graph{s: New(1, nil), entities: sleepers(make([]Attributes, 6)...), locks: make([]*RTMutex, 4), waits: make([]RTWaiter, 6)}
		for range 200 {
			g.step(r)
			g.check(t)
		}
	}
}

func TestWaiterWithADeadlineBoostsToTheGreatestPriority(t *testing.T) {
	s := New(1, nil)
	e := sleepers(fifo(3), fifo(98))
	m := NewRTMutex(e[0])
	var w RTWaiter
	s.BlockOn(m, &w, e[1])
	expectPriority(t, "beside priority 98", e[0], 98)
	if err := s.Reserve(e[1], Reservation{Runtime: 2e6, Deadline: 10e6, Period: 10e6}); err != nil {
		t.Fatal(err)
	}
	expectPriority(t, "beside a deadline", e[0], MaxPriority)
	s.SetAttributes(e[1], fifo(0))
	expectPriority(t, "beside a fair waiter", e[0], 3)
}

// TestFairWaitersGetALockInTheirOrder: nice values do not count among the waiters (Linux:
// __waiter_prio).
func TestFairWaitersGetALockInTheirOrder(t *testing.T) {
	s := New(1, nil)
	e := sleepers(fifo(0), Attributes{Nice: 5}, Attributes{Nice: -5})
	m := NewRTMutex(e[0])
	var waits [3]RTWaiter
	s.BlockOn(m, &waits[1], e[1])
	s.BlockOn(m, &waits[2], e[2])
	if s.Top(m) != &waits[1] {
		t.Error("the waiter with the smaller nice value comes first, want the one that came first")
	}
}
