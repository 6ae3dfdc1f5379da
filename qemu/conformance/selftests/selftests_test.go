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
	for _, bad := range []string{"x/y\t\t\t\t1\t1", "x/y\tslow\t\t\t1\t1\t", "x/y\t\t\t\tone\t1\t", "x/y\t\t\t\t1\tone\t",
		"x/y\t\t\t\t1\t\t", "x/y\t\t\tlong\t1\t1\t", "x/y\t\t\t\t2\t1\t", "y\t\t\t\t1\t1\t"} {
		if got, err := read("columns\n" + bad); err == nil {
			t.Errorf("the malformed row %q is read as %+v", bad, got)
		}
	}
}

func TestPassedChecksAreCounted(t *testing.T) {
	for _, c := range []struct {
		output string
		want   int
	}{
		{"^@[OK] first\r\n[RUN]\ta\n[OK]\tb\n    [OK]  c\n[FAIL]\td [OK]\n[OK]", 4},
		{"TAP version 13\n1..3\nok 1 a\nnot ok 2 b\nok 3 c # SKIP no d\nok then\n[EXIT] 1\n", 1},
		{"Check success of execveat(3, 'a', 0)... [OK]\n", 1},
		{"[EXIT] 0\r\n", 1},
		{"[EXIT] 1\r\n", 0},
		{"not ok 1 a\n[EXIT] 0\n", 0},
		{"", 0},
	} {
		if n := CountPassed(c.output); n != c.want {
			t.Errorf("%q has %d passed checks, want %d", c.output, n, c.want)
		}
	}
}

func TestReportCountsLosses(t *testing.T) {
	results := []Result{
		{Test{Name: "kept", Linux: 2, Slowpath: 2}, 2, NoBaseline},
		{Test{Name: "lost", Linux: 5, Slowpath: 4, Reason: "r"}, 3, 5},
		{Test{Name: "won", Linux: NoBaseline, Slowpath: 1}, 2, NoBaseline},
		{Test{Name: "other", Linux: 2, Slowpath: 2}, 2, 3},
		{Test{Name: "later", Later: true, Linux: 2, Slowpath: 0}, 0, NoBaseline},
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
