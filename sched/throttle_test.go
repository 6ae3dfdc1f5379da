package sched

import "testing"

func TestRunawayRealtimeTaskLeavesTimeToOthers(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		share  float64
	}{
		{DefaultLimits, 0.95},
		{Limits{Period: 100 * testMillisecond, Runtime: 30 * testMillisecond, RoundRobin: 100 * testMillisecond}, 0.3},
		{Limits{Period: testSecond, Runtime: -1, RoundRobin: 100 * testMillisecond}, 1},
	} {
		v := newVirtual()
		v.s.SetLimits(c.limits)
		var hog *int64
		v.all(func() {
			p := new(program)
			p.set(Attributes{Policy: FIFO, Priority: 50})
			hog = v.spinner(4*testSecond, p)
			for range 3 {
				v.spinner(4*testSecond, new(program))
			}
		})
		if got := float64(*hog) / (4 * testSecond); got < c.share-0.01 || got > c.share+0.01 {
			t.Errorf("%+v: the SCHED_FIFO task has run for %.1f %%", c.limits, 100*got)
		}
	}
}

func TestRealtimeTaskAloneIsNotHeldBack(t *testing.T) {
	v := newVirtual()
	var hog *int64
	v.all(func() {
		p := new(program)
		p.set(Attributes{Policy: FIFO, Priority: 50})
		hog = v.spinner(4*testSecond, p)
	})
	if v.now.Load()-*hog > testMillisecond {
		t.Errorf("it has run for %d of %d ns", *hog, v.now.Load())
	}
}

func TestBurstOfRealtimeTaskEndsWhenItSleeps(t *testing.T) {
	v := newVirtual()
	p := new(program)
	p.set(Attributes{Policy: RR, Priority: 50})
	v.all(func() {
		v.start(p, func() {
			v.run(p, 30*testMillisecond)
			v.s.Interrupted(&p.Entity)
			if got := p.Burst(); got < 29*testMillisecond || got > 31*testMillisecond {
				t.Errorf("the burst is %d ns after 30 ms", got)
			}
			v.sleep(p, v.now.Load()+testMillisecond)
			if got := p.Burst(); got > testMillisecond {
				t.Errorf("the burst is %d ns after a sleep", got)
			}
		})
	})
}

func TestTasksOfRoundRobinShareTheCPU(t *testing.T) {
	v := newVirtual()
	v.s.SetLimits(Limits{Period: testSecond, Runtime: -1, RoundRobin: 10 * testMillisecond})
	var ran []*int64
	v.all(func() {
		for range 3 {
			p := new(program)
			p.set(Attributes{Policy: RR, Priority: 50})
			ran = append(ran, v.spinner(3*testSecond, p))
		}
	})
	for i, r := range ran {
		if *r < 980*testMillisecond || *r > 1020*testMillisecond {
			t.Errorf("task %d of 3 has run for %d ns in 3 s", i, *r)
		}
	}
}
