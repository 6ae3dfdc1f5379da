package sched

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slowpath/clock"
)

// program is a task of a test. It spins in its function, and serves NEED_RESCHED as the user
// loop does.
type program struct {
	Entity
	s         *Scheduler
	preempted atomic.Bool
}

func (p *program) Place(int) {}
func (p *program) Preempt()  { p.preempted.Store(true) }

// tick stands for an interrupt of user mode and the return to it.
func (p *program) tick() {
	p.s.Interrupted(&p.Entity)
	if p.preempted.Swap(false) {
		p.s.Reschedule(&p.Entity)
	}
}

// machine has Processors on the host: each CPU sleeps on a channel.
type machine struct {
	kicks   []chan struct{}
	s       *Scheduler
	current int
}

func newMachine(cpus int) *machine {
	m := &machine{}
	for range cpus {
		m.kicks = append(m.kicks, make(chan struct{}, 1))
	}
	m.s = New(cpus, &Processors{Idle: m.Idle, Kick: m.Kick, Arm: m.Arm, Current: m.Current, Now: clock.Raw})
	return m
}

func (m *machine) Idle(cpu int) {
	wait := time.Hour
	if at := m.s.Load.Timers.Earliest(cpu).Load(); at != 0 {
		wait = time.Duration(at - clock.Raw())
	}
	select {
	case <-m.kicks[cpu]:
	case <-time.After(wait):
	}
}

func (m *machine) Kick(cpu int) {
	select {
	case m.kicks[cpu] <- struct{}{}:
	default:
	}
}
func (m *machine) Arm(cpu int)  { m.Kick(cpu) }
func (m *machine) Current() int { return m.current }

// ending is the argument of Unpark where a test has no tracepoints.
func ending() {}

func TestWakeUpBeforeOrDuringParkIsNotLost(t *testing.T) {
	for _, s := range []*Scheduler{New(2, nil), newMachine(2).s} {
		const rounds = 20000
		var done sync.WaitGroup
		done.Add(2)
		var a, b program
		turn := func(own, other *program) func() {
			return func() {
				defer done.Done()
				for range rounds {
					other.Unpark(ending)
					own.Park()
				}
				other.Unpark(ending)
			}
		}
		s.Start(&a.Entity, &a, turn(&a, &b))
		s.Start(&b.Entity, &b, turn(&b, &a))
		done.Wait()
	}
}

// spin runs programs on one CPU for a time of a virtual clock, and returns how long each has run.
func spin(programs []*program, duration int64) []int64 {
	m := newMachine(1)
	var now atomic.Int64
	now.Store(1)
	m.s.now = now.Load
	times := make([]int64, len(programs))
	var done sync.WaitGroup
	const step = 50_000 // ns between two interrupts
	start := func() {
		for i, p := range programs {
			p.s = m.s
			done.Add(1)
			m.s.Start(&p.Entity, p, func() {
				defer done.Done()
				for now.Load() < duration {
					times[i] += step
					now.Add(step)
					p.tick()
				}
			})
		}
		done.Done()
	}
	done.Add(1)
	starter := new(program) // occupies the CPU until all have started
	m.s.Start(&starter.Entity, starter, start)
	done.Wait()
	return times
}

func TestShareOfTasksFollowsTheirNiceValues(t *testing.T) {
	programs := []*program{{}, {}, {}, {}}
	programs[1].set(Attributes{Nice: 5})
	programs[2].set(Attributes{Nice: -5})
	programs[3].set(Attributes{Nice: 19})
	times := spin(programs, 4_000_000_000)
	for i, p := range programs {
		want := float64(p.weight) / float64(weightOfNice0)
		if got := float64(times[i]) / float64(times[0]); got < want*0.9 || got > want*1.1 {
			t.Errorf("the task with the nice value %d has run %.2f times as long as that with 0, want %.2f (%v)", p.Nice, got, want, times)
		}
	}
}

func TestEqualTasksRunEquallyLong(t *testing.T) {
	for n := 2; n <= 64; n *= 2 {
		programs := make([]*program, n)
		for i := range programs {
			programs[i] = new(program)
		}
		const second = 1_000_000_000
		for i, time := range spin(programs, second) {
			if share := float64(time) / second * float64(n); share < 0.95 || share > 1.05 {
				t.Errorf("task %d of %d has run %.3f times its share", i, n, share)
			}
		}
	}
}

func TestRealtimeTasksRunInTheOrderOfTheirPriority(t *testing.T) {
	s := New(1, nil)
	var order []int32
	var done sync.WaitGroup
	var first program
	done.Add(1)
	s.Start(&first.Entity, &first, func() {
		defer done.Done()
		for _, priority := range []int32{0, 3, 7, 3, 99, 1} {
			p := &program{}
			if priority > 0 {
				p.set(Attributes{Policy: FIFO, Priority: priority})
			}
			done.Add(1)
			s.Start(&p.Entity, p, func() {
				defer done.Done()
				order = append(order, priority)
			})
		}
	})
	done.Wait()
	want := []int32{99, 7, 3, 3, 1, 0}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("the order is %v, want %v", order, want)
		}
	}
}

func TestEntityLeavesCPUThatItsAffinityExcludes(t *testing.T) {
	m := newMachine(2)
	s := m.s
	var p program
	p.s = s
	seen := make(chan int, 2)
	s.Start(&p.Entity, &p, func() {
		first := p.CPU()
		seen <- first
		if misplaced, _ := s.SetAffinity(&p.Entity, 1<<uint(1-first)); !misplaced {
			t.Error("the entity is not misplaced")
		}
		s.Reschedule(&p.Entity)
		seen <- p.CPU()
	})
	if first, second := <-seen, <-seen; second != 1-first {
		t.Errorf("the entity has moved from CPU %d to %d", first, second)
	}
}

func TestSleepersWakeWhileOthersSpin(t *testing.T) {
	m := newMachine(1)
	spinner, sleeper := &program{s: m.s}, &program{s: m.s}
	var stop atomic.Bool
	var done sync.WaitGroup
	done.Add(2)
	m.s.Start(&spinner.Entity, spinner, func() {
		defer done.Done()
		for !stop.Load() {
			spinner.tick()
		}
	})
	m.s.Start(&sleeper.Entity, sleeper, func() {
		defer done.Done()
		defer stop.Store(true)
		for range 20 {
			m.s.Load.Timers.AfterFunc(time.Millisecond, func() { sleeper.Unpark(ending) })
			sleeper.Park()
		}
	})
	done.Wait()
}

// TestGoroutinesOfEndedEntitiesReturn starts and ends entities that sleep and wake each other at
// random, on several CPUs. No goroutine may be left.
func TestGoroutinesOfEndedEntitiesReturn(t *testing.T) {
	before := runtime.NumGoroutine()
	for round := range 40 {
		s := New(1+round%4, nil)
		var done sync.WaitGroup
		programs := make([]*program, 40)
		for i := range programs {
			programs[i] = new(program)
		}
		for i, p := range programs {
			done.Add(1)
			random := rand.New(rand.NewPCG(uint64(round), uint64(i)))
			s.Start(&p.Entity, p, func() {
				defer done.Done()
				for range random.IntN(30) {
					switch random.IntN(3) {
					case 0:
						s.Yield(&p.Entity)
					case 1:
						programs[random.IntN(len(programs))].Unpark(ending)
					case 2:
						time.AfterFunc(time.Duration(random.IntN(100))*time.Microsecond, func() { p.Unpark(ending) })
						p.Park()
					}
				}
			})
		}
		done.Wait()
		for !s.Quiescent() {
			runtime.Gosched()
		}
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines are left", runtime.NumGoroutine()-before)
}

// TestCondReschedLetsASleeperRunWhoseTimerHasExpired: a task in a long system call returns to user mode
// late, so the point in the middle fires the timers of its CPU.
func TestCondReschedLetsASleeperRunWhoseTimerHasExpired(t *testing.T) {
	m := newMachine(1)
	worker, sleeper := &program{s: m.s}, &program{s: m.s}
	sleeper.set(fifo(1))
	var asleep, woken atomic.Bool
	var done sync.WaitGroup
	done.Add(2)
	m.s.Start(&worker.Entity, worker, func() {
		defer done.Done()
		m.s.Start(&sleeper.Entity, sleeper, func() {
			defer done.Done()
			m.s.Load.Timers.AfterFunc(time.Millisecond, func() { sleeper.Unpark(ending) })
			asleep.Store(true)
			sleeper.Park()
			woken.Store(true)
		})
		m.s.Reschedule(&worker.Entity)
		if !asleep.Load() {
			t.Error("a real-time task does not preempt")
		}
		for end := clock.Monotonic() + int64(10*time.Second); !woken.Load() && clock.Monotonic() < end; {
			m.s.CondResched(&worker.Entity)
		}
		if !woken.Load() {
			t.Error("the sleeper has not run")
		}
	})
	done.Wait()
}

// TestSwitchesAreCountedByCause checks that a sleep counts as voluntary, a yield to another entity
// as involuntary, and that neither counts without a switch.
func TestSwitchesAreCountedByCause(t *testing.T) {
	s := newMachine(1).s
	var a, b program
	var voluntary, involuntary atomic.Int64
	a.CountSwitches(&voluntary, &involuntary)
	var done sync.WaitGroup
	done.Add(2)
	s.Start(&a.Entity, &a, func() {
		defer done.Done()
		s.Yield(&a.Entity) // alone: no switch
		a.Unpark(ending)
		a.Park() // takes the token: no switch
		s.Start(&b.Entity, &b, func() {
			defer done.Done()
			a.Unpark(ending)
		})
		s.Yield(&a.Entity)
		a.Park() // takes the token
	})
	done.Wait()
	if v, i := voluntary.Load(), involuntary.Load(); v != 0 || i != 1 {
		t.Errorf("%d voluntary and %d involuntary switches, want 0 and 1", v, i)
	}
	var c program
	c.CountSwitches(&voluntary, &involuntary)
	done.Add(1)
	s.Start(&c.Entity, &c, func() {
		defer done.Done()
		c.Park()
	})
	for !s.Quiescent() {
		runtime.Gosched()
	}
	c.Unpark(ending)
	done.Wait()
	if v := voluntary.Load(); v != 1 {
		t.Errorf("%d voluntary switches after a sleep, want 1", v)
	}
}
