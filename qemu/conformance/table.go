package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// row is one test's result on both sides.
type row struct {
	suite, test     string
	linux, slowpath bool
}

// report prints how many of a suite's tests pass and returns whether they reach the
// goal, a fraction of what passes on Linux.
func report(name string, rows []row, goal float64) bool {
	linux, both := 0, 0
	for _, r := range rows {
		if r.linux {
			linux++
			if r.slowpath {
				both++
			}
		}
	}
	if linux == 0 {
		fmt.Printf("%-16s nothing passes on Linux, so the suite did not run\n", name)
		return false
	}
	fmt.Printf("%-16s %d of the %d that pass on Linux (%.1f%%)\n", name, both, linux, 100*float64(both)/float64(linux))
	return float64(both) >= goal*float64(linux)
}

// otherRows returns the rows of a table from writeTable, without those of the given
// suites: suites that were not run keep their old results.
func otherRows(table string, suites []string) []row {
	var rows []row
	for line := range strings.Lines(table) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		const suite, test, linux, slowpath = 0, 1, 2, 3
		if len(fields) <= slowpath || fields[suite] == "suite" || slices.Contains(suites, fields[suite]) {
			continue
		}
		rows = append(rows, row{fields[suite], fields[test], fields[linux] == word(true), fields[slowpath] == word(true)})
	}
	return rows
}

// writeTable writes the rows to a file. Rows in which the sides differ come first.
func writeTable(path string, rows []row) error {
	var b strings.Builder
	b.WriteString("suite\ttest\tlinux\tslowpath\treason\n")
	for _, differ := range []bool{true, false} {
		for _, r := range rows {
			if (r.linux != r.slowpath) == differ {
				line := []string{r.suite, r.test, word(r.linux), word(r.slowpath), r.reason()}
				b.WriteString(strings.TrimRight(strings.Join(line, "\t"), "\t") + "\n")
			}
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func word(passed bool) string {
	if passed {
		return "pass"
	}
	return "fail"
}
