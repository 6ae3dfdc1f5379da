// Conformance runs the test suites of other projects on Slowpath and on the host's
// Linux and writes a table of the results. The suites are busybox's tests of its
// shell and its applets, from Debian's source package, the tests of Go's packages
// os, os/exec and sync, the Open POSIX Test Suite, and strace's own tests, all also with
// 32-bit programs. Linux's own tests run on Slowpath only; their results are compared with a committed table
// of what passes on Linux 6.1 in the same QEMU.
//
//	conformance --strace-lines
//	conformance --strace-python
//	conformance -o results.tsv [--linux] [busybox-ash busybox-applets go-os go-os/exec go-sync busybox-ash-i386 ... posix strace programs selftests]
//
// Both sides run with the same root directory. On the host's Linux this takes
// chroot(8), so the command must run as root. Only tests that pass on Linux count.
// With --linux, the baseline is Debian's kernel for virtual machines in the same
// QEMU, for all suites.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"slowpath/qemu/conformance/selftests"
	"slowpath/qemu/reference"
)

// defaultGoal is the fraction of the tests that pass on Linux that must pass on
// Slowpath, if the suite has no goal of its own.
const defaultGoal = 0.95

// job is one command of a suite. It runs on both sides in the suite's root
// directory.
type job struct {
	name    string
	command []string
	workdir string
	seconds int // the time limit; 0 means defaultSeconds
}

// suite is a set of jobs with the parser of their output.
type suite struct {
	name  string
	setup func(root string) ([]job, error) // fills the root directory
	parse func(output string) map[string]bool
	// again returns a job that runs some tests again, by name. A suite with this
	// function names its tests without their jobs, and a test that fails only on
	// Slowpath is run once more: its time limits may be too short for an emulated
	// machine on a busy host. It may be nil.
	again    func(root string, tests []string) (job, error)
	goal     float64 // the fraction of Linux's passes that must pass; 0 means defaultGoal
	parallel int     // how many jobs run at once; 0 means one
}

// suites lists the suites, except Linux's self-tests.
func suites() []suite {
	var all []suite
	for _, m := range []machine{amd64, i386} {
		add := func(name string, parse func(string) map[string]bool, setup func(root string) ([]job, error)) {
			all = append(all, suite{name: name + m.suffix(), setup: setup, parse: parse})
		}
		add("busybox-ash", parseAsh, func(root string) ([]job, error) { return setupAsh(root, m) })
		add("busybox-applets", parseApplets, func(root string) ([]job, error) { return setupApplets(root, m) })
		for _, name := range goPackages(m) {
			add("go-"+name, parseGo, func(root string) ([]job, error) { return setupGo(root, name, m) })
			all[len(all)-1].goal = goGoals[name]
		}
		// A sixth of the tests of POSIX need message queues.
		const posixGoal = 0.8
		all = append(all, suite{name: "posix" + m.suffix(), setup: func(root string) ([]job, error) { return setupPosix(root, m) },
			parse: parseBatch, again: againPosix, goal: posixGoal, parallel: 3})
		const straceGoal = 0.9
		all = append(all, suite{name: "strace" + m.suffix(), setup: func(root string) ([]job, error) { return setupStrace(root, m) },
			parse: parseBatch, again: againStrace, goal: straceGoal, parallel: 2})
	}
	return all
}

func main() {
	var o options
	pflag.StringVarP(&o.output, "output", "o", "conformance.tsv", "write the table to `FILE`")
	pflag.StringVar(&o.work, "work", "bin/conformance", "`DIRECTORY` for sources and root directories")
	pflag.BoolVar(&o.linuxInQEMU, "linux", false, "use Debian's kernel in QEMU as the baseline")
	pflag.StringSliceVar(&o.only, "only", nil, "run only those self-tests and scenarios of programs whose names begin with one of `PREFIXES`, separated by commas")
	fetch := pflag.Bool("fetch", false, "only fetch the sources of Linux's self-tests, which make test needs")
	root := pflag.String("root", "", "only make the root directory `NAME` of the suite programs, and print how to use it")
	python := pflag.Bool("strace-python", false, "only compare slowpath strace with strace for Debian's python3, as root")
	lines := pflag.Bool("strace-lines", false, "only compare slowpath strace with what strace's test programs expect")
	pflag.Parse()
	o.suites = pflag.Args()
	err := o.prepare()
	switch {
	case err != nil:
	case *python:
		err = stracePython()
	case *lines:
		err = straceLines()
	case *root != "":
		err = makeRoot(*root)
	case *fetch:
		err = selftests.Fetch(filepath.Join(workDirectory, selftestsName))
	default:
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	output      string
	work        string
	linuxInQEMU bool
	suites      []string // the suites to run; all if empty
	only        []string // prefixes of the self-tests and scenarios to run; all if empty
}

// prepare creates the work directory and sets workDirectory.
func (o *options) prepare() (err error) {
	if workDirectory, err = filepath.Abs(o.work); err != nil {
		return err
	}
	return os.MkdirAll(workDirectory, 0o755)
}

// wants reports whether a suite is to run.
func (o *options) wants(suite string) bool {
	return len(o.suites) == 0 || slices.Contains(o.suites, suite)
}

// baseline returns the side that runs the baseline, and Debian's kernel if that is
// the baseline.
func (o *options) baseline() (side, *cloudKernel, error) {
	if o.linuxInQEMU {
		linux, err := fetchCloudKernel(workDirectory)
		if err != nil {
			return nil, nil, err
		}
		return linux.onCloudKernel, linux, nil
	}
	var err error
	launcher, err = reference.Build(workDirectory)
	return onLinux, nil, err
}

// run runs the suites and writes the table.
func run(o options) error {
	baseline, linux, err := o.baseline()
	if err != nil {
		return err
	}
	var rows []row
	short := false
	for _, s := range suites() {
		if !o.wants(s.name) {
			continue
		}
		results, err := s.run(baseline, filepath.Join(workDirectory, strings.ReplaceAll(s.name, "/", "-")))
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, results...)
		short = !report(s.name, results, s.wanted()) || short
	}
	if o.wants(programsName) {
		work := filepath.Join(workDirectory, programsName)
		results, err := runPrograms(baseline, linux, work, o.only)
		if err != nil {
			return fmt.Errorf("%s: %w", programsName, err)
		}
		rows = append(rows, results...)
		reportPrograms(results, work)
		short = !report(programsName, results, defaultGoal) || short
	}
	if len(rows) > 0 {
		old, _ := os.ReadFile(o.output) // does not exist before the first run
		if err := writeTable(o.output, append(rows, otherRows(string(old), suitesOf(rows))...)); err != nil {
			return err
		}
	}
	if o.wants(selftestsName) {
		if err := runSelftests(filepath.Join(workDirectory, selftestsName), o.only, linux, os.Stdout); err != nil {
			return err
		}
	}
	if lost := unexplained(rows); len(lost) > 0 {
		return fmt.Errorf("these tests pass on Linux and fail on Slowpath for no known reason; fix the kernel, or add a reason to qemu/conformance/reasons.go:\n%s", strings.Join(lost, "\n"))
	}
	if short {
		return fmt.Errorf("in one suite too few of the tests that pass on Linux pass; %s has the result of each test", o.output)
	}
	return nil
}

// suitesOf returns the suites of the rows.
func suitesOf(rows []row) []string {
	var names []string
	for _, r := range rows {
		if !slices.Contains(names, r.suite) {
			names = append(names, r.suite)
		}
	}
	return names
}

// side runs a job with a root directory and returns its output.
type side func(root string, j job) string

// run runs a suite on the baseline and on Slowpath and returns the results sorted
// by name.
func (s suite) run(baseline side, root string) ([]row, error) {
	if err := os.RemoveAll(root); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	jobs, err := s.setup(root)
	if err != nil {
		return nil, err
	}
	linux, ours := make([]map[string]bool, len(jobs)), make([]map[string]bool, len(jobs))
	err = inParallel(s.name, len(jobs), max(s.parallel, 1), func(i int) (string, error) {
		linux[i] = s.parse(baseline(root, jobs[i]))
		ours[i] = s.parse(onSlowpath(root, jobs[i]))
		return jobs[i].name, nil
	})
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, j := range jobs {
		for name, passed := range linux[i] {
			rows = append(rows, row{s.name, s.testName(j, name), passed, ours[i][name]})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.test, b.test) })
	return rows, s.runAgain(root, rows)
}

// wanted returns the fraction of Linux's passes that must pass.
func (s suite) wanted() float64 {
	if s.goal == 0 {
		return defaultGoal
	}
	return s.goal
}

// testName returns the name of a job's test in the table.
func (s suite) testName(j job, test string) string {
	if s.again != nil {
		return test
	}
	return j.name + " " + test
}

// runAgain runs the tests once more that fail only on Slowpath, for no known
// reason, and updates their rows.
func (s suite) runAgain(root string, rows []row) error {
	var names []string
	for _, r := range rows {
		if r.linux && !r.slowpath && r.reason() == "" {
			names = append(names, r.test)
		}
	}
	if s.again == nil || len(names) == 0 {
		return nil
	}
	j, err := s.again(root, names)
	if err != nil {
		return err
	}
	results := s.parse(onSlowpath(root, j))
	for i := range rows {
		rows[i].slowpath = rows[i].slowpath || results[rows[i].test]
	}
	return nil
}

// inParallel calls run for the numbers below count, some at once, and prints the
// progress. run returns the name of what it ran.
func inParallel(what string, count, parallel int, run func(i int) (name string, err error)) error {
	var group sync.WaitGroup
	var lock sync.Mutex
	var failures []error
	done := 0
	slots := make(chan struct{}, parallel)
	for i := range count {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			name, err := run(i)
			lock.Lock()
			defer lock.Unlock()
			failures = append(failures, err)
			done++
			fmt.Fprintf(os.Stderr, "\r%s %d/%d %-50.50s", what, done, count, name)
		})
	}
	group.Wait()
	fmt.Fprintln(os.Stderr)
	return errors.Join(failures...)
}
