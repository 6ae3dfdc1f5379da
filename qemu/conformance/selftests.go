package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// selftestsName is the suite's name on the command line: Linux's own tests of
// its entry code, tools/testing/selftests/x86, the 64-bit ones.
const selftestsName = "selftests-x86"

// expectations is the committed table: a test, the processor it needs if not
// the usual one, how many of its checks pass on Linux 6.1 in the same QEMU
// (an empty field: no baseline there), how many pass on Slowpath, and for each
// test that falls short the reason.
//
//go:embed selftests-x86.tsv
var expectations string

// selftest is one row of the table.
type selftest struct {
	name, cpu       string
	linux, slowpath int // linux is -1 without a baseline
	reason          string
}

// readSelftests reads the table, whose first line has the columns' names.
func readSelftests(table string) ([]selftest, error) {
	var tests []selftest
	for i, line := range strings.Split(strings.Trim(table, "\n"), "\n") {
		if i == 0 {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 5 {
			return nil, fmt.Errorf("line %d of the table of self-tests has %d fields instead of 5", i+1, len(fields))
		}
		test := selftest{name: fields[0], cpu: fields[1], linux: -1, reason: fields[4]}
		var err error
		if fields[2] != "" {
			if test.linux, err = strconv.Atoi(fields[2]); err != nil {
				return nil, fmt.Errorf("line %d of the table of self-tests: %w", i+1, err)
			}
		}
		if test.slowpath, err = strconv.Atoi(fields[3]); err != nil {
			return nil, fmt.Errorf("line %d of the table of self-tests: %w", i+1, err)
		}
		if test.slowpath < test.linux && test.reason == "" {
			return nil, fmt.Errorf("line %d of the table of self-tests: %s passes less than Linux, and no reason stands there", i+1, test.name)
		}
		tests = append(tests, test)
	}
	return tests, nil
}

// countPassed counts the checks that a test says have passed.
func countPassed(output string) (n int) {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(line, "^@")), "[OK]") { // script(1) begins with ^@
			n++
		}
	}
	return n
}

// What the build needs, and the tree's parts that it reads.
const (
	linuxTarball  = "/usr/src/linux-source-6.1.tar.xz"
	linuxPackages = "linux-source-6.1 gcc-multilib libc6-dev-i386"
)

var linuxParts = []string{"tools/testing/selftests/x86", "tools/testing/selftests/lib.mk", "tools/testing/selftests/kselftest.h",
	"tools/include", "tools/scripts", "tools/arch/x86/include", "scripts", "arch/x86/include"}

// buildSelftests unpacks and builds the tests and returns their directory.
func buildSelftests(work string) (string, error) {
	if _, err := os.Stat(linuxTarball); err != nil {
		out, err := exec.Command("sh", "-c", "apt-get install -y "+linuxPackages+" || { apt-get update && apt-get install -y "+linuxPackages+"; }").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("Linux's sources are missing; install them by: apt-get install %s (%w)\n%s", linuxPackages, err, out)
		}
	}
	programs := filepath.Join(work, "programs")
	if err := os.MkdirAll(programs, 0o755); err != nil {
		return "", err
	}
	unpack := []string{"-xJf", linuxTarball, "-C", work}
	for _, part := range linuxParts {
		unpack = append(unpack, "linux-source-6.1/"+part)
	}
	tests := filepath.Join(work, "linux-source-6.1/tools/testing/selftests/x86")
	if _, err := os.Stat(tests); err != nil {
		if out, err := exec.Command("tar", unpack...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot unpack %s: %w\n%s", linuxTarball, err, out)
		}
	}
	// Some targets do not build with every compiler; the others count.
	out, err := exec.Command("make", "-k", "-C", tests, "CC=gcc -static", "OUTPUT="+programs, "KHDR_INCLUDES=-isystem /usr/include", "all_64").CombinedOutput()
	if built, _ := filepath.Glob(programs + "/*_64"); len(built) == 0 {
		return "", fmt.Errorf("no self-test was built: %w\n%s", err, out)
	}
	return programs, nil
}

// runSelftest runs a test and returns how many of its checks passed. It has a
// terminal, or what it says would be lost with it when it crashes; script(1)
// gives one to the host command. The shell keeps the test from being the
// leader of a session or of a process group.
func runSelftest(programs string, test selftest) int {
	const seconds = 60
	guest := "/selftests/" + test.name
	cpu := test.cpu
	if cpu == "" {
		cpu = "max"
	}
	command := fmt.Sprintf("bin/slowpath run -t --smp 2 --timeout %d --cpu %s --mount-file '%s:%s' /bin/busybox sh -c '%s; exit $?'",
		seconds, cpu, filepath.Join(programs, test.name), guest, guest)
	return countPassed(output(job{name: test.name, seconds: seconds}, "script", []string{"-qec", command, "/dev/null"}))
}

// runSelftests builds and runs them all, prints the table, and fails if one
// passes less than it is expected to.
func runSelftests(work string, report io.Writer) error {
	tests, err := readSelftests(expectations)
	if err != nil {
		return err
	}
	programs, err := buildSelftests(work)
	if err != nil {
		return err
	}
	passed := make([]int, len(tests))
	for i, test := range tests {
		fmt.Fprintf(os.Stderr, "\r%s %d/%d %-40.40s", selftestsName, i+1, len(tests), test.name)
		passed[i] = runSelftest(programs, test)
	}
	fmt.Fprintln(os.Stderr)
	text, lost := selftestReport(tests, passed)
	fmt.Fprint(report, text)
	if lost > 0 {
		return fmt.Errorf("%d of Linux's self-tests pass less than they did; qemu/conformance/selftests-x86.tsv has the expectation", lost)
	}
	return nil
}

// selftestReport returns the table as text, and how many tests pass less than
// they are expected to.
func selftestReport(tests []selftest, passed []int) (text string, lost int) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-28s %6s %9s %9s  %s\n", selftestsName, "Linux", "expected", "Slowpath", "")
	for i, test := range tests {
		linux, remark := fmt.Sprint(test.linux), test.reason
		if test.linux < 0 {
			linux = "-"
		}
		switch {
		case passed[i] < test.slowpath:
			lost++
			remark = "LOST"
		case passed[i] > test.slowpath:
			remark = "more than expected: raise it in the table"
		}
		fmt.Fprintf(&b, "%-28s %6s %9d %9d  %s\n", test.name, linux, test.slowpath, passed[i], remark)
	}
	return b.String(), lost
}
