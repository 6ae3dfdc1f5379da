package task

import "testing"

// TestLoadAverageDecaysExponentially checks the step response 1-exp(-t/T) for T of 1,
// 5 and 15 minutes: one task runs for a minute, and no task runs in the next minute.
func TestLoadAverageDecaysExponentially(t *testing.T) {
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
			k.sampleLoad(now + loadPeriod/2) // too early: no effect
			now += loadPeriod
		}
		check("after a minute", [3]float64{0.632, 0.181, 0.064})
		k.sampleLoad(now + 11*loadPeriod)
		check("after an idle minute", [3]float64{0.312, 0.165, 0.066})
	})
}

func TestOOMScoreAdjustChangesTheScore(t *testing.T) {
	w := newWorld(t)
	w.process(func(task *Task) {
		g := task.Group()
		plain := g.OOMScore()
		if plain < 667 || plain > 1334 {
			w.T.Errorf("the OOM score is %d, want 667 to 1334", plain)
		}
		for _, c := range []struct{ adjust, least, most int }{{500, plain + 333, plain + 334}, {1000, plain + 666, plain + 667}, {-1000, 0, 0}} {
			g.OOMAdjust.Store(int32(c.adjust))
			if got := g.OOMScore(); got < c.least || got > c.most {
				w.T.Errorf("with oom_score_adj %d the OOM score is %d, without it %d", c.adjust, got, plain)
			}
		}
	})
}
