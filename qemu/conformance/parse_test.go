package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestResultsAreParsedFromOutput(t *testing.T) {
	for _, c := range []struct {
		name, output string
		parse        func(string) map[string]bool
		want         map[string]bool
	}{
		{"applets", "PASS: cat a\nnoise PASS: x\nFAIL: cat b\nUNTESTED: c\n", parseApplets, map[string]bool{"cat a": true, "cat b": false}},
		{"ash", "ash-misc/a.tests: ok\nash-misc/b.tests: fail\nother\n", parseAsh, map[string]bool{"ash-misc/a.tests": true, "ash-misc/b.tests": false}},
		{"go", "=== RUN T\n--- PASS: T (0.01s)\n    --- FAIL: T/sub (0.00s)\n--- SKIP: U (0.00s)\n---\n", parseGo,
			map[string]bool{"T": true, "T/sub": false, "U": false}},
	} {
		if got := c.parse(c.output); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestGoalIs95PercentOfLinux(t *testing.T) {
	rows := make([]row, 100)
	for i := range rows {
		rows[i] = row{"s", "t", true, i >= 5}
	}
	rows = append(rows, row{"s", "fails on Linux", false, false})
	if !report("s", rows, defaultGoal) {
		t.Error("95 of 100 are below the goal")
	}
	rows[50].slowpath = false
	if report("s", rows, defaultGoal) {
		t.Error("94 of 100 reach the goal")
	}
	if report("s", nil, defaultGoal) {
		t.Error("a suite that did not run reaches the goal")
	}
}

func TestTableStartsWithDifferences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table")
	if err := writeTable(path, []row{{"s", "a", true, true}, {"go-os", "all TestSendFile", true, false}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if want := "suite\ttest\tlinux\tslowpath\treason\n" +
		"go-os\tall TestSendFile\tpass\tfail\t" + noNetwork + "\ns\ta\tpass\tpass\n"; string(text) != want || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestFailureNeedsReasonOfItsSuite checks that a test that passes only on Linux is
// explained by the reasons of its own suite and no other.
func TestFailureNeedsReasonOfItsSuite(t *testing.T) {
	rows := []row{
		{"go-os", "all TestSpliceFile/Limited", true, false},
		{"go-os/exec", "all TestSpliceFile", true, false},
		{"go-os", "all TestRemoveAll", true, false},
		{"go-os", "all TestFailsOnLinux", false, false},
		{"go-os", "all TestPasses", true, true},
	}
	want := []string{"go-os/exec all TestSpliceFile", "go-os all TestRemoveAll"}
	if got := unexplained(rows); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTableKeepsOtherSuites checks that a run of one suite keeps the results of the
// others.
func TestTableKeepsOtherSuites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.tsv")
	first := []row{{"a", "x", true, true}, {"b", "y", true, false}, {"b", "z", false, true}}
	if err := writeTable(path, first); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := otherRows(string(old), []string{"a"}), first[1:]; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// FuzzOtherRows checks that otherRows never returns a row of an excluded suite.
func FuzzOtherRows(f *testing.F) {
	f.Add("suite\ttest\tlinux\tslowpath\treason\na\tx\tpass\tfail\twhy\n")
	f.Fuzz(func(t *testing.T, table string) {
		for _, r := range otherRows(table, []string{"a"}) {
			if r.suite == "a" {
				t.Errorf("%q gives a row of the excluded suite", table)
			}
		}
	})
}
