package tracefs_test

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStackIsRecordedAfterTheEvent(t *testing.T) {
	w := newWorld(t)
	w.must("events/test/one/trigger", "stacktrace:1")
	w.record(w.one, 1)
	w.record(w.one, 2)
	lines := strings.SplitAfter(w.lines(), "\n")
	if len(lines) < 3 || lines[0] != prefix+"<stack trace>\n" {
		t.Fatalf("trace of an event with the trigger stacktrace:\n%s", w.lines())
	}
	if !strings.Contains(w.lines(), "=> slowpath/trace/tracefs_test.TestStackIsRecordedAfterTheEvent\n") {
		t.Errorf("the stack lacks the function that has caused the event:\n%s", w.lines())
	}
	w.Write("/t/events/test/one/trigger", "")
	w.Write("/t/trace", "")
	w.must("options/stacktrace", "1")
	w.must("events/test/one/enable", "1")
	w.record(w.one, 3)
	if got := w.lines(); !strings.HasPrefix(got, prefix+"one: n=3\n"+prefix+"<stack trace>\n") {
		t.Errorf("trace with the option stacktrace:\n%s", got)
	}
}

func TestSnapshotExchangesTheRecords(t *testing.T) {
	w := newWorld(t)
	const freed, allocated = "# * Snapshot is freed *", "# * Snapshot is allocated *"
	expect := func(want string) {
		t.Helper()
		if got := w.Read("/t/snapshot"); !strings.Contains(got, want) {
			t.Errorf("snapshot:\n%s\nwant: %s", got, want)
		}
	}
	expect(freed)
	w.must("snapshot", "1")
	expect(allocated)
	w.must("events/test/one/enable", "1")
	w.record(w.one, 1)
	w.must("snapshot", "1")
	w.expect("")
	expect("one: n=1")
	w.record(w.one, 2)
	w.must("snapshot", "1")
	w.expect(prefix + "one: n=1\n")
	expect("one: n=2")
	if got := w.Read("/t/per_cpu/cpu0/snapshot"); !strings.Contains(got, "one: n=2") {
		t.Errorf("the snapshot of the CPU:\n%s", got)
	}
	w.must("snapshot", "2")
	expect(allocated)
	for _, n := range []string{"0", "1"} {
		if err := w.write("per_cpu/cpu0/snapshot", n); err != unix.EINVAL {
			t.Errorf("%s into the snapshot of a CPU: %v", n, err)
		}
	}
	w.must("snapshot", "0")
	expect(freed)
}

func TestTriggerTakesSnapshotBeforeTheRecordUnlessItNeedsIt(t *testing.T) {
	w := newWorld(t)
	w.must("events/test/one/enable", "1")
	w.record(w.one, 1)
	w.must("events/test/one/trigger", "snapshot:1")
	w.record(w.one, 2)
	w.expect(prefix + "one: n=2\n")
	w.must("events/test/one/trigger", "!snapshot")
	w.must("events/test/one/trigger", "snapshot if n == 3")
	w.record(w.one, 3)
	if got := w.Read("/t/snapshot"); !strings.Contains(got, "n=2") || !strings.Contains(got, "n=3") {
		t.Errorf("snapshot of a trigger with a filter:\n%s", got)
	}
	w.must("snapshot", "0")
	w.record(w.one, 3)
	if got := w.lines(); !strings.Contains(got, "*** SNAPSHOT NOT ALLOCATED ***") {
		t.Errorf("trace after a trigger without a snapshot:\n%s", got)
	}
	if got := w.Read("/t/tracing_on"); got != "0\n" {
		t.Errorf("tracing_on after a trigger without a snapshot: %q", got)
	}
}

func TestMarkersRunTriggers(t *testing.T) {
	w := newWorld(t)
	w.must("events/ftrace/print/trigger", "hist:keys=common_pid")
	w.must("events/ftrace/print/trigger", "snapshot")
	for _, text := range []string{"1", "2", "3"} {
		w.must("trace_marker", text)
	}
	if got := w.Read("/t/events/ftrace/print/hist"); !strings.Contains(got, "hitcount:          3\n") {
		t.Errorf("hist of markers:\n%s", got)
	}
	if got := w.Read("/t/snapshot"); !strings.Contains(got, ": 1\n") || !strings.Contains(got, ": 3\n") || strings.Contains(got, ": 2\n") {
		t.Errorf("snapshot after three markers:\n%s", got)
	}
}

func TestHistogramCountsRecords(t *testing.T) {
	w := newWorld(t)
	const file = "events/test/one/trigger"
	w.must(file, "hist:keys=n:vals=n.hex:sort=hitcount.descending,n:size=200 if n < 9")
	for _, n := range []int{7, 3, 5, 7, 9} {
		w.record(w.one, n)
	}
	const info = "hist:keys=n:vals=hitcount,n.hex:sort=hitcount.descending,n.hex:size=256 if n < 9"
	const entries = `
{ n:          7 } hitcount:          2  n:          e
{ n:          3 } hitcount:          1  n:          3
{ n:          5 } hitcount:          1  n:          5

Totals:
    Hits: 4
    Entries: 3
    Dropped: 0
`
	expect := func(state, entries string) {
		t.Helper()
		if got, want := w.Read("/t/events/test/one/hist"), "# event histogram\n#\n# trigger info: "+info+" ["+state+"]\n#\n\n"+strings.TrimPrefix(entries, "\n"); got != want {
			t.Errorf("hist:\n%swant:\n%s", got, want)
		}
		if got := w.Read("/t/" + file); got != info+" ["+state+"]\n" {
			t.Errorf("trigger: %s", got)
		}
	}
	expect("active", entries)
	w.must(file, "hist:keys=n:vals=n.hex:sort=hitcount.descending,n:pause if n < 9")
	w.record(w.one, 7)
	expect("paused", entries)
	w.must("events/test/two/trigger", "enable_hist:test:one")
	w.record(w.two, 0)
	w.must(file, "hist:keys=n:vals=n.hex:sort=hitcount.descending,n:clear if n < 9")
	expect("active", "\n\nTotals:\n    Hits: 0\n    Entries: 0\n    Dropped: 0\n")
	if err := w.write(file, "hist:keys=n:vals=n.hex:sort=hitcount.descending,n if n < 9"); err != unix.EEXIST {
		t.Errorf("the same histogram again: %v", err)
	}
	if err := w.write(file, "hist:keys=n:clear"); err != unix.ENOENT {
		t.Errorf("clear of another histogram: %v", err)
	}
	w.must(file, "!hist:keys=n:vals=n.hex:sort=hitcount.descending,n if n < 9")
	if got := w.Read("/t/events/test/one/hist"); got != "" {
		t.Errorf("hist without a histogram: %q", got)
	}
}

func TestEventsShareHistogramsByName(t *testing.T) {
	w := newWorld(t)
	w.must("events/test/one/trigger", "hist:name=mine:keys=common_pid.execname")
	w.must("events/test/two/trigger", "hist:name=mine:keys=common_pid.execname")
	w.record(w.one, 1)
	w.record(w.two, 1)
	one, two := w.Read("/t/events/test/one/hist"), w.Read("/t/events/test/two/hist")
	if one != two || !strings.Contains(one, "{ common_pid: prog            [       100] } hitcount:          2\n") {
		t.Errorf("hist of one:\n%shist of two:\n%s", one, two)
	}
	if err := w.write("events/test/one/trigger", "hist:name=mine:keys=n"); err != unix.EINVAL {
		t.Errorf("the name with other keys: %v", err)
	}
	if got := w.Read("/t/error_log"); !strings.Contains(got, "hist:test:one: error: Named hist trigger doesn't match existing named trigger (includes variables)\n  Command: hist:name=mine:keys=n\n                ^\n") {
		t.Errorf("error_log:\n%s", got)
	}
}

func TestHistogramIsChargedToTheMemory(t *testing.T) {
	w := newWorld(t)
	for n := range 1000 {
		keys := []string{"stacktrace,n", "stacktrace,common_pid", "n,stacktrace"}[n%3]
		err := w.write("events/test/one/trigger", "hist:size=131072:keys="+keys+":vals=n"+strings.Repeat("+1", n%3))
		if err == unix.ENOMEM {
			return
		}
	}
	t.Error("a world of 16 MiB has memory for a histogram of 100 MiB")
}
