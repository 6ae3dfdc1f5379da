// Testreport runs go test and prints how many tests passed.
//
//	testreport -race ./... + ./entry/check : -count=1 ./qemu/integration
//
// Each group of arguments is one run of go test. A plus separates groups that run
// in parallel; a colon separates groups that run one after the other. Every group
// runs even if an earlier one fails. The output of failed tests is printed, and
// the exit code is 1 if any test failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// event is a line of the output of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	Test       string
	Output     string
	Elapsed    float64
	ImportPath string
}

// report counts tests. A test that has subtests is not counted, only its
// subtests.
type report struct {
	mu             sync.Mutex // protects the fields below from parallel runs
	out            io.Writer
	passed, failed int
	output         map[string]*strings.Builder // the output of running tests
	parents        map[string]bool             // the tests that have subtests
}

func main() {
	started := time.Now()
	r := &report{out: os.Stdout, output: make(map[string]*strings.Builder), parents: make(map[string]bool)}
	for _, group := range split(os.Args[1:], ":") {
		r.runParallel(split(group, "+"))
	}
	fmt.Fprintf(r.out, "in %v\n", time.Since(started).Round(time.Second))
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 || r.passed == 0 {
		os.Exit(1)
	}
}

// split splits arguments at a separator.
func split(args []string, separator string) [][]string {
	var all [][]string
	var group []string
	for _, arg := range args {
		if arg != separator {
			group = append(group, arg)
			continue
		}
		all, group = append(all, group), nil
	}
	return append(all, group)
}

// runParallel runs go test for each group in parallel and waits for all.
func (r *report) runParallel(all [][]string) {
	var running sync.WaitGroup
	for _, args := range all {
		running.Go(func() { r.run(args) })
	}
	running.Wait()
}

// run runs go test once and counts its tests. If the run fails but no test in it
// did, the run counts as one failure.
func (r *report) run(args []string) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	failed := 0
	if err == nil {
		failed = r.read(stdout)
		err = cmd.Wait()
	}
	if err != nil && failed == 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprintf(r.out, "testreport: go test %s: %v\n", strings.Join(args, " "), err)
		r.failed++
	}
}

// read processes the events of one run and returns how many tests failed.
func (r *report) read(events io.Reader) (failed int) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return failed
		}
		failed += r.line(line)
	}
}

// line processes one line of a run and returns 1 if it reports a failed test.
func (r *report) line(line []byte) (failed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var e event
	if json.Unmarshal(line, &e) != nil {
		r.out.Write(line) // a message of the go command
		return 0
	}
	before := r.failed
	r.count(e)
	return r.failed - before
}

// count updates the report with one event.
func (r *report) count(e event) {
	name := e.Package + " " + e.Test
	switch e.Action {
	case "run":
		if i := strings.LastIndexByte(name, '/'); e.Test != "" && i > len(e.Package) {
			r.parents[name[:i]] = true
		}
	case "output", "build-output":
		r.keep(name+e.ImportPath, e.Output)
	case "pass":
		r.finish(e, name, &r.passed)
	case "fail", "build-fail":
		fmt.Fprint(r.out, r.text(name+e.ImportPath))
		r.finish(e, name, &r.failed)
	}
}

// keep stores the output of a test until the test ends.
func (r *report) keep(name, output string) {
	b := r.output[name]
	if b == nil {
		b = new(strings.Builder)
		r.output[name] = b
	}
	b.WriteString(output)
}

func (r *report) text(name string) string {
	if b := r.output[name]; b != nil {
		return b.String()
	}
	return ""
}

// finish counts a test that has ended. A package is not counted itself: run
// counts a failed package none of whose tests failed.
func (r *report) finish(e event, name string, count *int) {
	delete(r.output, name+e.ImportPath)
	if e.Test == "" {
		if e.Package != "" {
			fmt.Fprintf(r.out, "%-5s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
		}
		return
	}
	if !r.parents[name] {
		*count++
	}
}
