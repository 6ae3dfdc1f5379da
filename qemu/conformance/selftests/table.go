// Package selftests builds and runs Linux's own tests, tools/testing/selftests, and
// compares the results with a table of what passes on Slowpath and on Linux 6.1. The
// sources come from Debian's package linux-source-6.1; they are not part of this
// repository.
package selftests

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// expectations is the committed table. Its columns are:
//
//   - the name of the test: the folder below tools/testing/selftests, and the program, after
//     compat32/ if the program is built as a 32-bit one;
//   - the set: quick if make test runs it, later if Slowpath cannot run it yet;
//   - QEMU's CPU model if not the default;
//   - the time limit in seconds if not the default;
//   - the number of checks that pass on Linux 6.1 in the same QEMU, or nothing if that
//     was not measured;
//   - the number that passes on Slowpath;
//   - the reason if that is fewer.
//
//go:embed expected.tsv
var expectations string

// Test is one row of the table.
type Test struct {
	Name     string // the folder below tools/testing/selftests, and the program
	Quick    bool   // make test runs it: it takes a second
	Later    bool   // it is only listed: it needs a part of Linux that Slowpath does not have yet
	CPU      string // QEMU's CPU model
	Seconds  int    // the time limit
	Linux    int    // checks that pass on Linux, or NoBaseline
	Slowpath int    // checks that must pass on Slowpath
	Reason   string // why Slowpath passes fewer
}

// NoBaseline means that the test was not measured on Linux.
const NoBaseline = -1

// defaultSeconds is the time limit of a test that does not set one.
const defaultSeconds = 60

// compat32 begins the names of tests that are built as 32-bit programs. The folder x86 has
// names of its own for those.
const compat32 = "compat32/"

// Is32 reports whether the test is built as a 32-bit program by a compiler's flag.
func (t Test) Is32() bool { return strings.HasPrefix(t.Name, compat32) }

// Source returns the folder below tools/testing/selftests, and the program.
func (t Test) Source() string { return strings.TrimPrefix(t.Name, compat32) }

// Folder returns the test's folder below tools/testing/selftests.
func (t Test) Folder() string { return path.Dir(t.Source()) }

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
	const columns = 7
	fields := strings.Split(line, "\t")
	if len(fields) != columns {
		return test, fmt.Errorf("it has %d fields instead of %d", len(fields), columns)
	}
	test = Test{Name: fields[0], Quick: fields[1] == "quick", Later: fields[1] == "later", CPU: fields[2],
		Seconds: defaultSeconds, Linux: NoBaseline, Reason: fields[6]}
	if fields[1] != "" && !test.Quick && !test.Later {
		return test, fmt.Errorf("the set is %q instead of quick, later or nothing", fields[1])
	}
	if test.Folder() == "." {
		return test, fmt.Errorf("%q has no folder", test.Name)
	}
	if test.CPU == "" {
		test.CPU = "max"
	}
	for _, number := range []struct {
		text     string
		required bool
		value    *int
	}{{fields[3], false, &test.Seconds}, {fields[4], false, &test.Linux}, {fields[5], true, &test.Slowpath}} {
		if number.text == "" && !number.required {
			continue
		}
		if *number.value, err = strconv.Atoi(number.text); err != nil {
			return test, err
		}
	}
	if test.Slowpath < test.Linux && test.Reason == "" {
		return test, fmt.Errorf("%s passes fewer checks than on Linux, but there is no reason in the last field", test.Name)
	}
	return test, nil
}
