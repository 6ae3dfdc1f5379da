package selftests

import (
	"bytes"
	"fmt"
)

// Result is the result of a test.
type Result struct {
	Test
	Passed   int // checks that passed on Slowpath
	Baseline int // checks that passed on Linux in this run, or NoBaseline
}

// Report returns the results as a table, and the number of tests that pass fewer
// checks than expected. The table shows a baseline of this run beside the
// committed one.
func Report(results []Result) (text string, lost int) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-48s %6s %9s %9s %9s\n", "selftests", "Linux", "measured", "expected", "Slowpath")
	for _, r := range results {
		if r.Later {
			fmt.Fprintf(&b, "%-48s %6s %9s %9s %9s  %s\n", r.Name, count(r.Linux), "-", "-", "-", r.Reason)
			continue
		}
		if r.Passed < r.Slowpath {
			lost++
		}
		fmt.Fprintf(&b, "%-48s %6s %9s %9d %9d  %s\n", r.Name, count(r.Linux), count(r.Baseline), r.Slowpath, r.Passed, r.remark())
	}
	return b.String(), lost
}

// remark says what to do about an unexpected result, or gives the reason of an
// expected failure.
func (r Result) remark() string {
	switch {
	case r.Passed < r.Slowpath:
		return "LOST"
	case r.Passed > r.Slowpath:
		return "more than expected: raise it in the table"
	case r.Baseline != NoBaseline && r.Baseline != r.Linux:
		return "Linux passes another number than in the table: correct it"
	}
	return r.Reason
}

func count(n int) string {
	if n == NoBaseline {
		return "-"
	}
	return fmt.Sprint(n)
}
