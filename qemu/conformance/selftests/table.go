// Package selftests builds and runs Linux's own 64-bit tests of its entry code,
// tools/testing/selftests/x86, and compares the results with a table of what passes
// on Slowpath and on Linux 6.1. The sources come from Debian's package
// linux-source-6.1; they are not part of this repository.
package selftests

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// expectations is the committed table. Its columns are the name of the test; the
// word quick if make test runs it; QEMU's CPU model if not the default; the number
// of checks that pass on Linux 6.1 in the same QEMU, or nothing if that was not
// measured; the number that passes on Slowpath; and the reason if that is fewer.
//
//go:embed x86.tsv
var expectations string

// Test is one row of the table.
type Test struct {
	Name     string // the name of the program
	Quick    bool   // make test runs it: it takes a second and needs no 32-bit compiler
	CPU      string // QEMU's CPU model
	Linux    int    // checks that pass on Linux, or NoBaseline
	Slowpath int    // checks that must pass on Slowpath
	Reason   string // why Slowpath passes fewer
}

// NoBaseline means that the test was not measured on Linux.
const NoBaseline = -1

// All returns the rows of the table in order. It fails if the table is malformed.
func All() ([]Test, error) { return read(expectations) }

// Quick returns the tests that make test runs. It fails if the table is malformed.
func Quick() ([]Test, error) {
	all, err := All()
	return slices.DeleteFunc(all, func(t Test) bool { return !t.Quick }), err
}

// read parses a table. The first line has the names of the columns.
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

// readRow parses one row of a table.
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
		return test, fmt.Errorf("%s passes fewer checks than on Linux, but there is no reason in the last field", test.Name)
	}
	return test, nil
}
