package selftests

import (
	"strings"
	"testing"
)

func TestExpectationsAreParsed(t *testing.T) {
	all, err := All()
	if err != nil || len(all) < 15 {
		t.Fatalf("got %d tests, %v", len(all), err)
	}
	quick, err := Quick()
	if err != nil || len(quick) < 12 || len(quick) >= len(all) {
		t.Fatalf("%d of %d tests are quick, %v", len(quick), len(all), err)
	}
	for _, bad := range []string{"x\t\t\t1\t1", "x\tslow\t\t1\t1\t", "x\t\t\tone\t1\t", "x\t\t\t1\tone\t", "x\t\t\t2\t1\t"} {
		if got, err := read("columns\n" + bad); err == nil {
			t.Errorf("the malformed row %q is read as %+v", bad, got)
		}
	}
}

func TestPassedChecksAreCounted(t *testing.T) {
	if n := CountPassed("^@[OK] first\r\n[RUN]\ta\n[OK]\tb\n    [OK]  c\n[FAIL]\td [OK]\n[OK]"); n != 4 {
		t.Errorf("got %d", n)
	}
}

func TestReportCountsLosses(t *testing.T) {
	results := []Result{
		{Test{Name: "kept", Linux: 2, Slowpath: 2}, 2, NoBaseline},
		{Test{Name: "lost", Linux: 5, Slowpath: 4, Reason: "r"}, 3, 5},
		{Test{Name: "won", Linux: NoBaseline, Slowpath: 1}, 2, NoBaseline},
		{Test{Name: "other", Linux: 2, Slowpath: 2}, 2, 3},
	}
	text, lost := Report(results)
	if lost != 1 || !strings.Contains(text, "LOST") || !strings.Contains(text, "raise it") || !strings.Contains(text, "another number") {
		t.Errorf("%d lost:\n%s", lost, text)
	}
	results[1].Passed = 4
	if _, lost := Report(results); lost != 0 {
		t.Errorf("%d tests are reported as lost, want none", lost)
	}
}
