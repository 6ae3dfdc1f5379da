package integration

import (
	"strconv"
	"strings"
	"testing"
)

// targets are the greatest numbers of guest instructions, and Linux 6.1's own
// beside them for the record.
var targets = map[string]struct{ limit, linux float64 }{
	"getppid": {130, 326},
	"unknown": {128, 212},
	"boot":    {78e6, 1562e6},
}

// measure runs the program bench under a clock that counts instructions.
func measure(t testing.TB) map[string]float64 {
	t.Helper()
	got := onSlowpath(t, "", "--icount", "--mem", "256", program("bench"))
	if got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	figures := make(map[string]float64)
	for line := range strings.Lines(got.out) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			t.Fatalf("bench printed %q", line)
		}
		figures[name] = value
	}
	return figures
}

// BenchmarkInstructions prints guest instructions: of a system call with the
// five of the user's loop, from power-on to the first in user mode, and of a
// return to user mode with NEED_RESCHED alone.
func BenchmarkInstructions(b *testing.B) {
	for range b.N {
		for name, value := range measure(b) {
			b.ReportMetric(value, name+"-instructions")
			b.ReportMetric(targets[name].limit, name+"-goal")
			b.ReportMetric(targets[name].linux, name+"-linux")
		}
	}
	b.ReportMetric(float64(undisturbedWay(b).total), "resched-instructions")
	b.ReportMetric(rescheduleLimit, "resched-goal")
	b.ReportMetric(0, "ns/op")
}

func TestInstructionCounts(t *testing.T) {
	figures := measure(t)
	for name, target := range targets {
		if value, ok := figures[name]; !ok || value > target.limit {
			t.Errorf("%s takes %.0f instructions, the goal is %.0f", name, value, target.limit)
		}
	}
}
