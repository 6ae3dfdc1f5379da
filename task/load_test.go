package task

import "testing"

// TestLoadAverage: a task that runs for a minute makes the first average 63 %
// of one, and the others less (the step response of exp(-t/T)); a minute in
// which nobody runs takes as much away.
func TestLoadAverage(t *testing.T) {
	w := newWorld(t)
	w.process(func(task *Task) {
		k := task.kernel
		check := func(when string, want [3]float64) {
			for i, got := range k.load.values {
				if got < want[i]-0.001 || got > want[i]+0.001 {
					w.T.Errorf("average %d is %.3f %s, want %.3f", i, got, when, want[i])
				}
			}
		}
		now := k.load.due.Load()
		for range 12 {
			k.sampleLoad(now)
			k.sampleLoad(now + loadPeriod/2) // not due
			now += loadPeriod
		}
		check("after a minute", [3]float64{0.632, 0.181, 0.064})
		k.sampleLoad(now + 11*loadPeriod)
		check("after another, idle until now", [3]float64{0.312, 0.165, 0.066})
	})
}

func TestOOMScore(t *testing.T) {
	w := newWorld(t)
	w.process(func(task *Task) {
		g := task.Group()
		plain := g.OOMScore()
		if plain < 667 || plain > 1334 {
			w.T.Errorf("the score is %d", plain)
		}
		for _, c := range []struct{ adjust, least, most int }{{500, plain + 333, plain + 334}, {1000, plain + 666, plain + 667}, {-1000, 0, 0}} {
			g.OOMAdjust.Store(int32(c.adjust))
			if got := g.OOMScore(); got < c.least || got > c.most {
				w.T.Errorf("with %d the score is %d, and %d without", c.adjust, got, plain)
			}
		}
	})
}
