//go:build !race

package sched

import (
	"fmt"
	"strings"
)

// This file checks the run queues exhaustively for small machines. It drives the real Scheduler
// with every order of steps up to a bound. A step is one critical section of a CPU or of an
// interrupt: so another CPU can act between any two of them, as on a real machine. Only the
// switch of goroutines is left out: depart and finish, which are before and after it, are called
// without it.
//
// A state is reached by calling its steps on a new Scheduler. Two states with the same
// fingerprint are explored once. The clock stands still, except in the steps slice and timer,
// which end a time slice or begin a period of SCHED_DEADLINE.

// modelTask is an entity and what the model knows about it.
type modelTask struct {
	Entity
	name   int
	raised bool // NEED_RESCHED
	woken  bool // a wake-up has come, and no park has ended by it yet
	turn   int  // SCHED_FIFO: the order of arrival
	ended  bool
}

func (t *modelTask) Place(int) {}
func (t *modelTask) Preempt()  { t.raised = true }

// phase is what a CPU of the model does next.
type phase uint8

const (
	running   phase = iota // its task runs in user mode or in a call
	parking                // its task has found no token and is about to depart
	switching              // a task has departed, finish is to be called
	looking                // the idle goroutine is about to look for a task
	idling                 // it sleeps until a kick
)

type modelCPU struct {
	phase  phase
	kicked bool
}

// model is a machine in one state.
type model struct {
	s      *Scheduler
	cpus   []modelCPU
	tasks  []*modelTask
	now    int64
	caller int // the CPU that makes the step
	turns  int
	slices int // steps of slice so far
	timers []event
	wrong  []string
}

// scenario is a machine and its tasks.
type scenario struct {
	name       string
	cpus       int
	attributes []Attributes
	deadline   bool     // the first task has SCHED_DEADLINE
	affinities []uint64 // that the tasks may get; 0 for all CPUs
	settled    bool     // the exploration begins when all CPUs have begun to run or to idle
	depth      int
}

func (c *scenario) newModel() *model {
	m := &model{cpus: make([]modelCPU, c.cpus), now: 1 << 30}
	m.s = New(c.cpus, &Processors{
		Idle: func(int) {}, Kick: func(cpu int) { m.cpus[cpu].kicked = true }, Arm: func(int) {},
		Current: func() int { return m.caller }, Now: func() int64 { return m.now },
	})
	m.s.after = func(delay int64, f func()) { m.timers = append(m.timers, event{m.now + delay, f}) }
	for i := range m.s.cpus {
		cpu := &m.s.cpus[i]
		cpu.started, cpu.idleAt = true, &exchange{}
		m.cpus[i].phase = idling
	}
	for i, a := range c.attributes {
		t := &modelTask{name: i}
		t.set(a)
		x := &exchange{entity: &t.Entity, occupant: &t.Entity}
		t.own, t.at = x, x
		if c.deadline && i == 0 {
			m.s.Reserve(&t.Entity, reservation(2, 10))
		}
		m.tasks = append(m.tasks, t)
		m.arrives(t)
		m.s.begin(&t.Entity, t)
	}
	if c.settled {
		m.settle()
	}
	return m
}

// settle serves all kicks, and lets every CPU take a task or idle.
func (m *model) settle() {
	for range 3 { // kick, look, finish
		for cpu := range m.cpus {
			name := map[phase]string{looking: "look", switching: "finish"}[m.cpus[cpu].phase]
			if m.cpus[cpu].phase == idling && m.cpus[cpu].kicked {
				name = "kick"
			}
			m.take(move{name: name, cpu: cpu})
		}
	}
}

// task returns the task that a CPU runs, or nil.
func (m *model) task(cpu int) *modelTask {
	if e := m.s.cpus[cpu].current; e != nil {
		return e.runner.(*modelTask)
	}
	return nil
}

// arrives gives a task the last turn among those of its priority.
func (m *model) arrives(t *modelTask) { m.turns++; t.turn = m.turns }

// move is a step that can be taken in a state.
type move struct {
	name      string
	cpu, task int
	set       uint64
}

func (s move) String() string {
	return fmt.Sprintf("%s(cpu %d, task %d, set %b)", s.name, s.cpu, s.task, s.set)
}

// moves returns the steps that are possible.
func (m *model) moves(c *scenario) (all []move) {
	for cpu := range m.cpus {
		add := func(names ...string) {
			for _, name := range names {
				all = append(all, move{name: name, cpu: cpu})
			}
		}
		switch p := &m.cpus[cpu]; {
		case p.phase == running:
			add("park", "yield", "end")
			if m.task(cpu).raised {
				add("reschedule")
			}
			if m.s.cpus[cpu].sliceEnd.Load() != 0 && m.slices < 2 {
				add("slice")
			}
			for i, t := range m.tasks {
				if !t.ended && i != m.task(cpu).name && (t.state.Load() != token || m.departed(t)) {
					all = append(all, move{name: "wake", cpu: cpu, task: i})
				}
			}
		case p.phase == parking:
			add("depart")
		case p.phase == switching:
			add("finish")
		case p.phase == looking:
			add("look")
		case p.kicked:
			add("kick")
		}
	}
	if len(m.timers) > 0 {
		all = append(all, move{name: "timer"})
	}
	for i, t := range m.tasks {
		for _, set := range c.affinities {
			if t.allowed != set && !t.ended {
				all = append(all, move{name: "affinity", task: i, set: set})
			}
		}
	}
	return all
}

// departed reports whether the task is about to park or has left a CPU whose switch is not
// finished: a wake-up then races with the end of the switch.
func (m *model) departed(t *modelTask) bool {
	for cpu := range m.cpus {
		if m.cpus[cpu].phase == parking && m.task(cpu) == t || m.s.cpus[cpu].leaving == &t.Entity {
			return true
		}
	}
	return false
}

// take takes a step.
func (m *model) take(s move) {
	cpu := &m.s.cpus[s.cpu]
	p, t := &m.cpus[s.cpu], m.task(s.cpu)
	m.caller = s.cpu
	switch s.name {
	case "park":
		if t.state.CompareAndSwap(token, awake) {
			t.woken = false
			return
		}
		p.phase = parking
	case "depart":
		m.depart(s.cpu, sleeps)
	case "yield":
		m.depart(s.cpu, yields)
	case "reschedule":
		t.raised = false
		if m.s.NeedsReschedule(&t.Entity) && m.s.mustLeave(&t.Entity) {
			m.depart(s.cpu, preempted)
		}
	case "end":
		t.ended = true
		t.tryEnd()
		p.phase = switching
	case "slice":
		m.slices++
		m.now = max(m.now, cpu.sliceEnd.Load())
		m.s.checkSlice(&t.Entity, m.now)
	case "wake":
		other := m.tasks[s.task]
		other.woken = true
		if other.state.Load() == parked {
			m.arrives(other)
			other.woken = false
		}
		other.Unpark(ending)
	case "timer":
		first := m.timers[0]
		m.timers = m.timers[1:]
		m.now = max(m.now, first.at)
		first.f()
	case "affinity":
		other := m.tasks[s.task]
		if other.queue != nil {
			m.arrives(other)
		}
		m.s.SetAffinity(&other.Entity, s.set)
	case "finish":
		m.finish(s.cpu)
	case "look":
		p.phase = idling
		if cpu.leaveIdle(m.now) != nil {
			p.phase = switching
		}
	case "kick":
		p.kicked, p.phase = false, looking
	}
}

// depart makes a CPU's task leave it.
func (m *model) depart(cpu int, why departure) {
	t := m.task(cpu)
	m.cpus[cpu].phase = running
	if t.Entity.depart(why) == nil {
		return
	}
	m.cpus[cpu].phase = switching
}

// finish ends a switch on a CPU.
func (m *model) finish(cpu int) {
	c := &m.s.cpus[cpu]
	left := c.leaving
	c.finish()
	if left != nil {
		t := left.runner.(*modelTask)
		switch {
		case left.why == sleeps && left.state.Load() != parked:
			t.woken = false
			m.arrives(t)
		case left.why == yields, left.why == preempted && !left.mayRunOn(cpu):
			m.arrives(t)
		}
	}
	m.cpus[cpu].phase = running
	if c.current == nil {
		m.cpus[cpu].phase = looking
	}
}

// violation notes that a property does not hold.
func (m *model) violation(format string, arguments ...any) {
	m.wrong = append(m.wrong, fmt.Sprintf(format, arguments...))
}

// check checks the properties in the present state.
func (m *model) check() {
	waiting := 0
	for i := range m.s.cpus {
		waiting += m.checkQueue(i)
	}
	if int(m.s.waiting.Load()) != waiting {
		m.violation("count: %d wait, but the sum is %d", waiting, m.s.waiting.Load())
	}
	for _, t := range m.tasks {
		m.checkTask(t)
	}
}

// queued returns the entities on a CPU's queue, each as often as it is there.
func (m *model) queued(cpu int) (all []*modelTask) {
	c := &m.s.cpus[cpu]
	for _, f := range c.fair.heap {
		all = append(all, f.entity.runner.(*modelTask))
	}
	for _, v := range c.realtime.deadlines.items {
		all = append(all, v.entity.runner.(*modelTask))
	}
	for p := range c.realtime.lists {
		for e := c.realtime.lists[p].first; e != nil; e = e.next {
			all = append(all, e.runner.(*modelTask))
		}
	}
	return all
}

func (m *model) checkQueue(cpu int) (waiting int) {
	c := &m.s.cpus[cpu]
	all := m.queued(cpu)
	if c.waiting != len(all) {
		m.violation("count: CPU %d has %d waiting, but counts %d", cpu, len(all), c.waiting)
	}
	for i, t := range all {
		if t.queue != c {
			m.violation("one place: task %d is on the queue of CPU %d without knowing it", t.name, cpu)
		}
		if !t.mayRunOn(cpu) {
			m.violation("affinity: task %d waits for CPU %d", t.name, cpu)
		}
		if i > 0 && t.Priority > 0 && all[i-1].realtime && t.Priority == all[i-1].Priority && t.turn < all[i-1].turn {
			m.violation("order: task %d is behind task %d, which came later", t.name, all[i-1].name)
		}
	}
	return len(all)
}

// checkTask checks that a task is in one place, and runs or waits if it can.
func (m *model) checkTask(t *modelTask) {
	places := 0
	for i := range m.s.cpus {
		for _, q := range m.queued(i) {
			if q == t {
				places++
			}
		}
		c := &m.s.cpus[i]
		if c.leaving == &t.Entity && (t.queue == nil || t.onQueue.Load() == settled) {
			places++ // else it has exchanged its place with another, and is counted there
		}
		if c.current == &t.Entity && m.isLeaving(t) {
			m.violation("left: task %d runs on CPU %d before it has left another", t.name, i)
		}
		if c.current == &t.Entity {
			places++
			if !t.mayRunOn(i) && !t.raised && m.cpus[i].phase == running {
				m.violation("affinity: task %d runs on CPU %d, and nothing ends that", t.name, i)
			}
		}
	}
	switch {
	case places > 1:
		m.violation("one place: task %d is in %d places", t.name, places)
	case t.ended:
	case places == 0 && t.server != nil && t.server.throttled && len(m.timers) > 0:
	case places == 0 && t.state.Load() != parked:
		m.violation("no lost wake-up: task %d is runnable, and nowhere", t.name)
	case places == 0 && t.woken:
		m.violation("no lost wake-up: task %d sleeps, but was woken", t.name)
	}
	if t.queue != nil {
		m.checkWaiting(t)
	}
}

// isLeaving reports whether a CPU has not committed the departure of t.
func (m *model) isLeaving(t *modelTask) bool {
	for i := range m.s.cpus {
		if m.s.cpus[i].leaving == &t.Entity {
			return true
		}
	}
	return false
}

// checkWaiting checks that no CPU should run t, which waits, and does not know it.
func (m *model) checkWaiting(t *modelTask) {
	own := t.queue
	for i := range m.s.cpus {
		if !t.mayRunOn(i) {
			continue
		}
		// A task that is about to sleep may have t wait for its CPU, for a short time.
		handedOver := own.current != nil && own.sliceEnd.Load() != 0 && own.sliceEnd.Load() <= m.now+handOffLimit
		if p := &m.cpus[i]; p.phase == idling && !p.kicked && !handedOver && t.onQueue.Load() != disturbed {
			m.violation("no idle CPU: task %d waits while CPU %d idles", t.name, i)
		}
	}
	r := own.current
	if r == nil || m.cpus[own.number].phase != running {
		return
	}
	if running := r.runner.(*modelTask); !running.raised && t.realtime && t.precedesBy(r, 0) {
		m.violation("priority: task %d waits for CPU %d, which runs task %d", t.name, own.number, running.name)
	}
	if own.sliceEnd.Load() == 0 && !r.runner.(*modelTask).raised && !t.realtime && !r.realtime {
		m.violation("no starvation: task %d waits for task %d, whose slice has no end", t.name, r.runner.(*modelTask).name)
	}
}

// fingerprint describes the state. Times are relative to the clock, virtual times to the floor, and
// turns to each other.
func (m *model) fingerprint() string {
	var b strings.Builder
	for i := range m.s.cpus {
		c, p := &m.s.cpus[i], &m.cpus[i]
		end := c.sliceEnd.Load()
		if end != 0 {
			end = min(max(end-m.now, -1), 2*latency) + 10
		}
		fmt.Fprintf(&b, "|%d%t%t%d %d %d", p.phase, p.kicked, c.resting, len(m.timers), end, c.waiting)
		if c.leaving != nil {
			fmt.Fprintf(&b, "L%d.%d", c.leaving.runner.(*modelTask).name, c.leaving.why)
		}
		if c.current != nil {
			fmt.Fprintf(&b, "C%d", c.current.runner.(*modelTask).name)
		}
		for _, t := range m.queued(i) {
			fmt.Fprintf(&b, "Q%d", t.name)
		}
	}
	for _, t := range m.tasks {
		rank := 0
		for _, other := range m.tasks {
			if other.turn < t.turn {
				rank++
			}
		}
		fmt.Fprintf(&b, "|%d %t%t%t %d %x %d %d %d %d %d", t.state.Load(), t.raised, t.woken, t.ended, rank, t.allowed, t.cpu.Load(),
			max(t.vruntime-m.s.floor, -sleeperCredit), t.pairing.score, t.reasons.Load(), t.onQueue.Load())
		if t.pairing.wokeAt != 0 {
			b.WriteByte('w')
		}
		if v := t.server; v != nil {
			fmt.Fprintf(&b, "D%d %d %t", v.budget, v.at-m.now, v.throttled)
		}
	}
	return b.String()
}

// result is what an exploration has found.
type result struct {
	states int
	// violated has the first sequence of steps for each property, by the property's name.
	violated map[string]string
}

// explore takes every order of steps of a scenario. It ends when it has found a violation of the
// expected property, if that is not empty.
func (c *scenario) explore(expected string) result {
	r := result{violated: map[string]string{}}
	seen := map[string]bool{}
	level := [][]move{nil}
	for range c.depth {
		var next [][]move
		for _, path := range level {
			m := c.reach(path)
			for _, s := range m.moves(c) {
				n := c.reach(path)
				n.take(s)
				n.check()
				longer := append(path[:len(path):len(path)], s)
				for _, w := range n.wrong {
					name, _, _ := strings.Cut(w, ":")
					if r.violated[name] == "" {
						r.violated[name] = fmt.Sprintf("%s: %s, after %v", c.name, w, longer)
					}
				}
				if r.violated[expected] != "" {
					return r
				}
				if f := n.fingerprint(); len(n.wrong) == 0 && !seen[f] {
					seen[f] = true
					next = append(next, longer)
				}
			}
		}
		level = next
	}
	r.states = len(seen)
	return r
}

// reach returns the machine after some steps.
func (c *scenario) reach(path []move) *model {
	m := c.newModel()
	for _, s := range path {
		m.take(s)
	}
	return m
}
