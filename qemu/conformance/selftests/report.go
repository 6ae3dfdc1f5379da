package selftests

import (
	"bytes"
	"fmt"
)

// Result is what came of a test.
type Result struct {
	Test
	Passed   int // checks on Slowpath
	Baseline int // checks on Linux just now, or NoBaseline
}

// Report returns the results as a table, and how many tests pass less than the
// committed table expects of them. A baseline that was just measured stands
// beside the committed one.
func Report(results []Result) (text string, lost int) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-28s %6s %9s %9s %9s\n", "selftests-x86", "Linux", "measured", "expected", "Slowpath")
	for _, r := range results {
		if r.Passed < r.Slowpath {
			lost++
		}
		fmt.Fprintf(&b, "%-28s %6s %9s %9d %9d  %s\n", r.Name, count(r.Linux), count(r.Baseline), r.Slowpath, r.Passed, r.remark())
	}
	return b.String(), lost
}

// remark says in a word what is to be done about a result; if nothing is, why
// it falls short.
func (r Result) remark() string {
	switch {
	case r.Passed < r.Slowpath:
		return "LOST"
	case r.Passed > r.Slowpath:
		return "more than expected: raise it in the table"
	case r.Baseline != NoBaseline && r.Baseline != r.Linux:
		return "Linux passes another number than in the table"
	}
	return r.Reason
}

func count(n int) string {
	if n == NoBaseline {
		return "-"
	}
	return fmt.Sprint(n)
}
