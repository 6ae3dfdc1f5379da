package integration

import "testing"

// TestPerfEventsCountAndSampleAsOnLinux compares what a program sees of perf_event_open(2)
// with the host's Linux: counts of probes, groups, inheritance, records, errors.
func TestPerfEventsCountAndSampleAsOnLinux(t *testing.T) {
	want := onHost(t, "", program("perfevents"))
	if want.code != 0 {
		t.Skipf("the host's Linux does not allow uprobes to this user: it says %s%s", want.out, want.errors)
	}
	check(t, onSlowpath(t, "", "--smp", "2", program("perfevents")), want)
}

// TestPerfEventsObserveOnlyWhatTheyMay compares what the program perfrights does to events
// that it maps, redirects, opens for other processes and passes to programs with other
// privileges.
func TestPerfEventsObserveOnlyWhatTheyMay(t *testing.T) {
	want := onHost(t, "", program("perfrights"))
	if want.code != 0 {
		t.Skipf("the host's Linux does not allow uprobes to this user: it says %s%s", want.out, want.errors)
	}
	check(t, onSlowpath(t, "", "--smp", "2", program("perfrights")), want)
}
