package task

import "testing"

// TestLoadAverageFollowsLinuxArithmetic checks the averages of one task that runs for a minute
// against those of calc_load.
func TestLoadAverageFollowsLinuxArithmetic(t *testing.T) {
	w := newWorld(t)
	w.process(func(task *Task) {
		k := task.kernel
		now := k.load.due.Load()
		for range 12 {
			k.sampleLoad(now)
			k.sampleLoad(now + loadPeriod/2) // too early: no effect
			now += loadPeriod
		}
		want := [3]uint64{}
		for range 12 {
			want[0] = (want[0]*1884 + 2048*(2048-1884) + 2047) / 2048
			want[1] = (want[1]*2014 + 2048*(2048-2014) + 2047) / 2048
			want[2] = (want[2]*2037 + 2048*(2048-2037) + 2047) / 2048
		}
		if k.load.values != want {
			w.T.Errorf("after a minute the averages are %v, want %v", k.load.values, want)
		}
	})
}

// TestLoadAverageStepResponse checks 1-exp(-t/T) for T of 1, 5 and 15 minutes.
func TestLoadAverageStepResponse(t *testing.T) {
	for i, want := range [3]float64{0.632, 0.181, 0.064} {
		load := uint64(0)
		for range 12 {
			load = nextLoad(load, loadKeeps[i], loadOne)
		}
		if got := float64(load) / loadOne; got < want-0.005 || got > want+0.005 {
			t.Errorf("average %d is %.3f after a minute, want %.3f", i, got, want)
		}
		for range 3000 {
			load = nextLoad(load, loadKeeps[i], 0)
		}
		if load != 0 {
			t.Errorf("average %d never reaches 0", i)
		}
	}
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
