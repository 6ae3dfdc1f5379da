package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// straceLinesTests has a line for each of strace's test programs that says what strace prints
// about it: its name, the calls that it is about, the options of strace, redirections of its
// descriptors, what is not compared (s: signals, x: ends), and the reason if slowpath strace
// prints other lines. The columns are separated by tabs. The list was made from strace's
// tests/gen_tests.in: programs for x86-64 that need no script, injection or security module.
//
//go:embed stracelines.txt
var straceLinesTests string

// lineTest is one of strace's test programs. It prints the lines that strace must print about
// it.
type lineTest struct {
	name, options, redirections, hidden, reason string
	calls                                       []string
}

// lineTests returns the tests of each set of options.
func lineTests() map[string][]lineTest {
	tests := map[string][]lineTest{}
	for line := range strings.Lines(straceLinesTests) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		t := lineTest{name: f[0], calls: strings.Split(f[1], ","), options: f[2], redirections: f[3], hidden: f[4], reason: f[5]}
		tests[t.options] = append(tests[t.options], t)
	}
	return tests
}

// lineMark begins the output of a test program in the output of all.
const lineMark = "@@@@ "

// lineScript returns a script that runs the tests, each in a directory of its own, and then
// prints the id and the output of each.
func lineScript(tests []lineTest) string {
	var b strings.Builder
	fmt.Fprintln(&b, "mkdir -p /tmp/out /tmp/work")
	for _, t := range tests {
		input := "</dev/null"
		if strings.Contains(t.redirections, "<") {
			input = ""
		}
		fmt.Fprintf(&b, "mkdir /tmp/work/%[1]s; cd /tmp/work/%[1]s; cp /strace/tests/%[1]s .\n"+
			"sh -c 'echo $$ >/tmp/out/%[1]s; exec ./%[1]s' >>/tmp/out/%[1]s %[2]s %[3]s 2>/dev/null\n", t.name, input, t.redirections)
	}
	fmt.Fprintf(&b, "cd /tmp/out; for f in *; do echo '%s'$f; cat $f; done\n", lineMark)
	return b.String()
}

// straceLines runs strace's test programs under slowpath strace, and compares the lines with
// those that the programs expect. It prints the programs that fail without a reason in the
// list, and those that have a reason but do not fail.
func straceLines() error {
	root := filepath.Join(workDirectory, "root-stracelines")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if _, err := setupStrace(root, amd64); err != nil {
		return err
	}
	all := lineTests()
	passed, count, wrong := 0, 0, 0
	for _, options := range slices.Sorted(maps.Keys(all)) {
		tests := all[options]
		failures, err := runLines(root, options, tests)
		if err != nil {
			return err
		}
		count += len(tests)
		for i, t := range tests {
			switch err := failures[i]; {
			case err == nil && t.reason == "":
				passed++
			case err == nil:
				wrong++
				fmt.Printf("%s is printed as it expects; remove its reason\n", t.name)
			case t.reason == "":
				wrong++
				fmt.Printf("%s: %v\n", t.name, err)
			}
		}
	}
	fmt.Printf("%d of %d programs are printed as they expect; %d results are not those of the list\n", passed, count, wrong)
	if wrong > 0 {
		return errors.New("slowpath strace prints other lines than strace")
	}
	return nil
}

// runLines runs tests with the same options, and returns why each has failed.
func runLines(root, options string, tests []lineTest) ([]error, error) {
	if err := os.WriteFile(filepath.Join(root, "strace/lines"), []byte(lineScript(tests)), 0o755); err != nil {
		return nil, err
	}
	logs, err := os.MkdirTemp("", "stracelines")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(logs)
	args := slices.Concat([]string{"strace", "-ff", "-q", "-o", filepath.Join(logs, "log")}, strings.Fields(options),
		[]string{"--timeout", "600s", "--mem", "1G", "--rootfs", root, "sh", "/strace/lines"})
	cmd := exec.Command("bin/slowpath", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("slowpath strace fails: %w\n%s", err, errs.String())
	}
	outputs := map[string]string{}
	for _, part := range strings.Split(out.String(), lineMark)[1:] {
		name, text, _ := strings.Cut(part, "\n")
		outputs[name] = text
	}
	failures := make([]error, len(tests))
	for i, t := range tests {
		failures[i] = t.compare(outputs[t.name], logs)
	}
	return failures, nil
}

// spaces are the spaces before a result, whose number depends on the option -a.
var spaces = regexp.MustCompile(` +=`)

// compare compares the log of a program with its output, which begins with its process id.
func (t *lineTest) compare(output, logs string) error {
	id, text, found := strings.Cut(output, "\n")
	if !found {
		return errors.New("it has not run")
	}
	log, err := os.ReadFile(filepath.Join(logs, "log."+id))
	if err != nil {
		return err
	}
	want := strings.Split(strings.TrimSuffix(spaces.ReplaceAllString(text, " ="), "\n"), "\n")
	got := t.lines(spaces.ReplaceAllString(string(log), " ="))
	if len(got) > len(want) {
		got = got[len(got)-len(want):] // the first calls are those of the C library
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return fmt.Errorf("line %d is %.300q, want %.300q", i+1, append(got, "missing")[min(i, len(got))], want[i])
		}
	}
	return nil
}

// lines returns the lines of a log that the program expects: those of its calls with their
// dumps, of signals and of the end, after its start.
func (t *lineTest) lines(log string) (list []string) {
	start := strings.LastIndex(log, `execve("./`+t.name+`"`)
	wanted := false
	for line := range strings.Lines(log[max(start, 0):]) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "---"):
			wanted = !strings.Contains(t.hidden, "s")
		case strings.HasPrefix(line, "+++"):
			wanted = !strings.Contains(t.hidden, "x")
		case strings.HasPrefix(line, " | ") || strings.HasPrefix(line, " * "):
		default:
			wanted = slices.ContainsFunc(t.calls, func(call string) bool { return strings.HasPrefix(line, call+"(") })
		}
		if wanted {
			list = append(list, line)
		}
	}
	return list
}
