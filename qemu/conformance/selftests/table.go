// Package selftests builds and runs Linux's own tests of its entry code,
// tools/testing/selftests/x86, the 64-bit ones, and holds the results against
// a table of what passes on Slowpath and on Linux 6.1. The sources are those of
// Debian's package linux-source-6.1; nothing of them is kept here.
package selftests

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// expectations is the committed table: a test, the word quick if it is one of
// those that make test runs, the processor it needs if not the usual one, how
// many of its checks pass on Linux 6.1 in the same QEMU (an empty field: no
// baseline there), how many pass on Slowpath, and for each test that falls
// short the reason.
//
//go:embed x86.tsv
var expectations string

// Test is one row of the table.
type Test struct {
	Name     string // of the program
	Quick    bool   // it is done in a second, and needs no 32-bit compiler
	CPU      string // QEMU's processor
	Linux    int    // checks that pass on Linux, or NoBaseline
	Slowpath int    // checks that must pass here
	Reason   string // why Slowpath passes fewer
}

// NoBaseline is Test.Linux of a test that was not measured there.
const NoBaseline = -1

// All returns the rows of the table, in its order. The error says what is wrong
// with the table.
func All() ([]Test, error) { return read(expectations) }

// Quick returns those that make test runs.
func Quick() ([]Test, error) {
	all, err := All()
	return slices.DeleteFunc(all, func(t Test) bool { return !t.Quick }), err
}

// read reads a table, whose first line has the columns' names.
func read(table string) ([]Test, error) {
	var tests []Test
	for i, line := range strings.Split(strings.Trim(table, "\n"), "\n") {
		if i == 0 {
			continue
		}
		test, err := readRow(line)
		if err != nil {
			return nil, fmt.Errorf("line %d of the table of self-tests: %w", i+1, err)
		}
		tests = append(tests, test)
	}
	return tests, nil
}

// readRow reads one line of a table.
func readRow(line string) (test Test, err error) {
	const columns = 6
	fields := strings.Split(line, "\t")
	if len(fields) != columns {
		return test, fmt.Errorf("it has %d fields instead of %d", len(fields), columns)
	}
	test = Test{Name: fields[0], Quick: fields[1] == "quick", CPU: fields[2], Linux: NoBaseline, Reason: fields[5]}
	if fields[1] != "" && !test.Quick {
		return test, fmt.Errorf("%q is not the word quick", fields[1])
	}
	if test.CPU == "" {
		test.CPU = "max"
	}
	if fields[3] != "" {
		if test.Linux, err = strconv.Atoi(fields[3]); err != nil {
			return test, err
		}
	}
	if test.Slowpath, err = strconv.Atoi(fields[4]); err != nil {
		return test, err
	}
	if test.Slowpath < test.Linux && test.Reason == "" {
		return test, fmt.Errorf("%s passes less than Linux, and no reason stands there", test.Name)
	}
	return test, nil
}
