// Testreport runs go test and says in one line how many tests passed.
//
//	testreport -race ./... : -count=1 ./qemu/integration
//
// Each group of arguments, between colons, is one run of go test. Every group
// runs even when one before it fails. The output of tests that fail is shown,
// and the exit code is 1 if any did.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// event is a line of go test -json (see go doc test2json).
type event struct {
	Action     string
	Package    string
	Test       string
	Output     string
	Elapsed    float64
	ImportPath string
}

// report counts tests. Only the innermost are counted, so that a table of
// cases counts as its cases.
type report struct {
	out            io.Writer
	passed, failed int
	output         map[string]*strings.Builder // of tests that run
	parents        map[string]bool             // tests that have subtests
}

func main() {
	started := time.Now()
	r := &report{out: os.Stdout, output: make(map[string]*strings.Builder), parents: make(map[string]bool)}
	for _, group := range groups(os.Args[1:]) {
		if err := r.run(group); err != nil {
			fmt.Fprintf(r.out, "testreport: %v\n", err)
			r.failed++
		}
	}
	fmt.Fprintf(r.out, "in %v\n", time.Since(started).Round(time.Second))
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 || r.passed == 0 {
		os.Exit(1)
	}
}

// groups splits arguments at colons.
func groups(args []string) [][]string {
	var all [][]string
	var group []string
	for _, arg := range args {
		if arg != ":" {
			group = append(group, arg)
			continue
		}
		all, group = append(all, group), nil
	}
	return append(all, group)
}

// run runs go test once and counts its tests. A run that fails without a test
// that failed counts as a failure of its own.
func (r *report) run(args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := r.failed
	r.read(stdout)
	if err := cmd.Wait(); err != nil && r.failed == before {
		return fmt.Errorf("go test %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// read takes the events of one run.
func (r *report) read(events io.Reader) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			r.out.Write(line) // what the go command itself says
			continue
		}
		r.take(e)
	}
}

// take counts one event.
func (r *report) take(e event) {
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

// keep remembers the output of a test until it is known how it ended.
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

// finish counts a test that has ended. A package that fails is counted only
// through its tests, unless none of them failed.
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
