package sched

import (
	"math/rand/v2"
	"testing"
)

const (
	testMillisecond = 1_000_000
	testSecond      = 1000 * testMillisecond
)

// periodic starts a program of SCHED_DEADLINE that has a job in each period, and counts those
// that end after their deadline.
func (v *virtual) periodic(t *testing.T, r Reservation, work, until int64) (missed *int) {
	p := new(program)
	missed = new(int)
	if err := v.s.Reserve(&p.Entity, r); err != nil {
		t.Fatal(err)
	}
	v.start(p, func() {
		release := v.now.Load()
		for ; release < until; release += r.Period {
			v.sleep(p, release)
			v.run(p, work)
			if v.now.Load() > release+r.Deadline {
				*missed++
			}
		}
	})
	return missed
}

// share returns a reservation.
func reservation(runtime, period int64) Reservation {
	return Reservation{Runtime: runtime * testMillisecond, Deadline: period * testMillisecond, Period: period * testMillisecond}
}

func TestDeadlinesAreMetAt80PercentLoad(t *testing.T) {
	v := newVirtual()
	var missed []*int
	var fair *int64
	v.all(func() {
		for _, r := range []Reservation{reservation(2, 10), reservation(3, 15), reservation(8, 40), reservation(10, 50)} {
			missed = append(missed, v.periodic(t, r, r.Runtime-step, 2*testSecond))
		}
		hog := new(program)
		hog.set(Attributes{Policy: FIFO, Priority: MaxPriority})
		v.spinner(2*testSecond, hog)
		fair = v.spinner(2*testSecond, new(program))
	})
	for i, n := range missed {
		if *n > 0 {
			t.Errorf("task %d has missed %d deadlines", i, *n)
		}
	}
	if *fair < testSecond/60 { // 20 % of the 50 ms of each second that SCHED_FIFO leaves
		t.Errorf("the task of SCHED_OTHER has run for %d ns in 2 s", *fair)
	}
}

func TestOverrunDelaysOnlyTheTaskItself(t *testing.T) {
	v := newVirtual()
	var missed *int
	var greedy, fair *int64
	p := &program{}
	v.all(func() {
		r := reservation(3, 10)
		r.SignalOverrun = true
		if err := v.s.Reserve(&p.Entity, r); err != nil {
			t.Error(err)
		}
		greedy = v.spinner(2*testSecond, p)
		missed = v.periodic(t, reservation(6, 12), 6*testMillisecond-step, 2*testSecond)
		fair = v.spinner(2*testSecond, new(program))
	})
	if *missed > 0 {
		t.Errorf("%d deadlines of the other task were missed", *missed)
	}
	if share := float64(*greedy) / (2 * testSecond); share < 0.29 || share > 0.31 {
		t.Errorf("a task that reserved 30 %% and never sleeps has run for %.1f %%", 100*share)
	}
	if share := float64(*fair) / (2 * testSecond); share < 0.18 {
		t.Errorf("the rest of the CPU is 20 %%, but a task of SCHED_OTHER got %.1f %%", 100*share)
	}
	if !p.TakeOverrun() || p.TakeOverrun() {
		t.Error("the overrun was not reported once")
	}
}

func TestYieldGivesUpTheBudgetOfThePeriod(t *testing.T) {
	v := newVirtual()
	jobs := 0
	v.all(func() {
		p := new(program)
		if err := v.s.Reserve(&p.Entity, reservation(5, 10)); err != nil {
			t.Error(err)
		}
		v.start(p, func() {
			for v.now.Load() < testSecond {
				v.run(p, testMillisecond)
				v.s.Yield(&p.Entity)
				jobs++
			}
		})
	})
	if jobs < 99 || jobs > 101 {
		t.Errorf("a task with a period of 10 ms has had %d jobs in 1 s", jobs)
	}
}

// TestSleepsGainNoBandwidth lets a task sleep for random times, so that it wakes at all places of
// its period.
func TestSleepsGainNoBandwidth(t *testing.T) {
	for _, r := range []Reservation{reservation(4, 10), {Runtime: 2 * testMillisecond, Deadline: 4 * testMillisecond, Period: 10 * testMillisecond}} {
		v := newVirtual()
		random := rand.New(rand.NewPCG(1, 2))
		var ran int64
		v.all(func() {
			p := new(program)
			if err := v.s.Reserve(&p.Entity, r); err != nil {
				t.Error(err)
			}
			v.start(p, func() {
				for v.now.Load() < 4*testSecond {
					work := (1 + random.Int64N(50)) * step
					v.run(p, work)
					ran += work
					v.sleep(p, v.now.Load()+random.Int64N(testMillisecond))
				}
			})
			v.spinner(4*testSecond, new(program))
		})
		if got, most := float64(ran)/(4*testSecond), float64(r.Runtime)/float64(r.Period); got > most*1.02 {
			t.Errorf("%+v: the task has run for %.1f %%, more than %.1f %%", r, 100*got, 100*most)
		}
	}
}

func TestAdmissionLimitsTheSumOfReservations(t *testing.T) {
	s := New(2, nil)
	var a, b, c, confined Entity
	reserve := func(e *Entity, runtime int64, want error) {
		t.Helper()
		if err := s.Reserve(e, reservation(runtime, 100)); err != want {
			t.Errorf("%d %%: %v, want %v", runtime, err, want)
		}
	}
	reserve(&a, 95, nil)
	reserve(&b, 94, nil)
	reserve(&c, 2, ErrBandwidth)
	reserve(&b, 96, ErrBandwidth)
	if err := s.SetLimits(Limits{Period: testSecond, Runtime: testSecond / 2}); err != ErrBandwidth {
		t.Errorf("limits below what is reserved: %v", err)
	}
	reserve(&b, 50, nil)
	reserve(&c, 2, nil)
	s.SetAttributes(&a, Attributes{})
	reserve(&c, 90, nil)
	s.Retire(&c)
	reserve(&a, 95, nil)
	reserve(&c, 50, nil) // does nothing
	if s.Reservation(&c) != (Reservation{}) {
		t.Error("an entity that has ended has a reservation")
	}
	if _, err := s.SetAffinity(&a, 1); err != ErrBandwidth {
		t.Errorf("an affinity for SCHED_DEADLINE: %v", err)
	}
	s.SetAffinity(&confined, 1)
	reserve(&confined, 1, ErrConfined)
	if s.Inherit(new(Entity), &a, false) || !s.Inherit(new(Entity), &a, true) {
		t.Error("a task with a deadline forks with reset-on-fork only")
	}
	s.SetAttributes(&a, Attributes{})
	s.SetAttributes(&b, Attributes{})
	if s.reserved != 0 {
		t.Errorf("%d is reserved, but no entity has a deadline", s.reserved)
	}
	if err := s.SetLimits(Limits{Period: testSecond, Runtime: -1}); err != nil {
		t.Error(err)
	}
	for range 3 {
		reserve(new(Entity), 100, nil)
	}
	reserve(&confined, 1, nil)
}

func TestClassCanChangeWhileThrottled(t *testing.T) {
	v := newVirtual()
	p := new(program)
	var left int64
	v.all(func() {
		if err := v.s.Reserve(&p.Entity, reservation(1, 1000)); err != nil {
			t.Error(err)
		}
		v.start(p, func() {
			v.run(p, 2*testMillisecond)
			left = v.now.Load()
		})
		other := new(program)
		v.start(other, func() {
			v.run(other, 10*testMillisecond)
			v.s.SetAttributes(&p.Entity, Attributes{})
			v.run(other, 50*testMillisecond)
		})
	})
	if left > 100*testMillisecond {
		t.Errorf("the task ran again after %d ns", left)
	}
}

func TestDeadlineQueueIsOrdered(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q placeHeap[*server]
	var all []*server
	for range 2000 {
		if n := len(all); n > 0 && random.IntN(2) == 0 {
			i := random.IntN(n)
			q.remove(all[i].index)
			all[i] = all[n-1]
			all = all[:n-1]
		} else {
			v := &server{at: random.Int64N(100)}
			q.push(v)
			all = append(all, v)
		}
		for _, v := range all {
			if v.at < q.first().at || q.items[v.index] != v {
				t.Fatalf("%d is behind %d, or not at its place", v.at, q.first().at)
			}
		}
	}
}
