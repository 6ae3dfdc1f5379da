package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestWaitsNeverEndEarly runs waits of all kinds for 0.1 to 100 ms. lateness exits with 1 if one
// ends before its time.
func TestWaitsNeverEndEarly(t *testing.T) {
	got := onSlowpath(t, "", "--smp", "2", program("lateness"), "20")
	if got.code != 0 {
		t.Errorf("exit code %d: the fourth column says how many waits ended early:\n%s", got.code, got.out)
	}
}

// BenchmarkLateness prints how late waits end, in microseconds of guest time. With --icount the
// guest's clock counts instructions, so the host's own lateness, which is most of it without
// --icount, does not count.
func BenchmarkLateness(b *testing.B) {
	for range b.N {
		got := onSlowpath(b, "", "--icount", program("lateness"))
		if got.code != 0 {
			b.Fatalf("got %+v", got)
		}
		for line := range strings.Lines(got.out) {
			var kind string
			var length, count, early int
			var median, most, maximum float64
			if _, err := fmt.Sscan(line, &kind, &length, &count, &early, &median, &most, &maximum); err != nil {
				b.Fatalf("lateness printed %q", line)
			}
			name := fmt.Sprintf("%s-%dus", kind, length)
			b.ReportMetric(median, name+"-median")
			b.ReportMetric(most, name+"-99%")
		}
	}
	b.ReportMetric(0, "ns/op")
}
