// Conformance runs test suites of others on Slowpath and on the host's Linux
// and keeps a table of the results: busybox's own tests of its shell and its
// applets, from Debian's source package, and the tests of Go's packages os,
// os/exec and sync. Linux's own tests of its entry code run on Slowpath alone,
// against a table of what passes on Linux 6.1 in the same QEMU.
//
//	conformance -o results.tsv [-linux] [busybox-ash busybox-applets go-os go-os/exec go-sync selftests-x86]
//
// Both sides run in the same root directory, Linux by chroot(8), so it must be
// run as root. A test counts when it passes on Linux. With -linux that is
// Debian's kernel for virtual machines in the same QEMU, for all the suites.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slowpath/qemu/conformance/selftests"
)

// goal is the share of the tests passing on Linux that must pass on Slowpath.
const goal = 0.95

// job is one command of a suite, run on both sides in the suite's root.
type job struct {
	name    string
	command []string
	workdir string
	seconds int // time limit; none is 60
}

// suite is a set of jobs and how their output is read.
type suite struct {
	name  string
	setup func(root string) ([]job, error) // fills the root directory
	parse func(output string) map[string]bool
}

// suites lists them all.
func suites() []suite {
	all := []suite{
		{"busybox-ash", setupAsh, parseAsh},
		{"busybox-applets", setupApplets, parseApplets},
	}
	for _, name := range []string{"os", "os/exec", "sync"} {
		all = append(all, suite{"go-" + name, func(root string) ([]job, error) { return setupGo(root, name) }, parseGo})
	}
	return all
}

func main() {
	output := flag.String("o", "conformance.tsv", "`file` for the table")
	work := flag.String("work", "bin/conformance", "`directory` for sources and root directories")
	linux := flag.Bool("linux", false, "run Debian's kernel in QEMU for the baseline")
	fetch := flag.Bool("fetch", false, "only fetch the sources of Linux's self-tests, which make test needs")
	flag.Parse()
	if *fetch {
		if err := selftests.Fetch(filepath.Join(*work, selftestsName)); err != nil {
			fmt.Fprintln(os.Stderr, "conformance:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*work, *output, *linux, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run runs the suites that are named, or all, and writes the table. With
// inQEMU the baseline is Debian's kernel.
func run(work, output string, inQEMU bool, names []string) error {
	work, err := filepath.Abs(work)
	if err != nil {
		return err
	}
	workDirectory = work
	linux, baseline := (*cloudKernel)(nil), onLinux
	if inQEMU {
		if linux, err = fetchCloudKernel(work); err != nil {
			return err
		}
		baseline = linux.onCloudKernel
	}
	var rows []row
	short := false
	for _, s := range suites() {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		results, err := s.run(baseline, filepath.Join(work, strings.ReplaceAll(s.name, "/", "-")))
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, results...)
		short = !report(s.name, results) || short
	}
	if len(rows) > 0 {
		old, _ := os.ReadFile(output) // the first time there is none
		if err := writeTable(output, append(rows, otherRows(string(old), suitesOf(rows))...)); err != nil {
			return err
		}
	}
	if len(names) == 0 || slices.Contains(names, selftestsName) {
		if err := runSelftests(filepath.Join(work, selftestsName), linux, os.Stdout); err != nil {
			return err
		}
	}
	if lost := unexplained(rows); len(lost) > 0 {
		return fmt.Errorf("these pass on Linux and fail here, and nobody knows why; mend them, or give a reason in qemu/conformance/reasons.go:\n%s", strings.Join(lost, "\n"))
	}
	if short {
		return fmt.Errorf("a suite stays below %.0f%% of what passes on Linux; %s has each test", goal*100, output)
	}
	return nil
}

// suitesOf returns the suites that rows are of.
func suitesOf(rows []row) []string {
	var names []string
	for _, r := range rows {
		if !slices.Contains(names, r.suite) {
			names = append(names, r.suite)
		}
	}
	return names
}

// side runs a job in a root directory and returns what it printed.
type side func(root string, j job) string

// run runs a suite on Slowpath and on the baseline.
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
	var rows []row
	for i, j := range jobs {
		fmt.Fprintf(os.Stderr, "\r%s %d/%d %-40.40s", s.name, i+1, len(jobs), j.name)
		linux := s.parse(baseline(root, j))
		ours := s.parse(onSlowpath(root, j))
		for name, passed := range linux {
			rows = append(rows, row{s.name, j.name + " " + name, passed, ours[name]})
		}
	}
	fmt.Fprintln(os.Stderr)
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.test, b.test) })
	return rows, nil
}
