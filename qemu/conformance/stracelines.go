package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// straceLinesTests has a line for each of strace's test programs whose calls slowpath strace
// prints as the program expects: its name, and the names of the calls that it is about.
//
//go:embed stracelines.txt
var straceLinesTests string

// lineTest is one of strace's test programs. It prints the lines that strace must print about
// it.
type lineTest struct {
	name  string
	calls []string
}

func lineTests() (tests []lineTest) {
	for line := range strings.Lines(straceLinesTests) {
		name, calls, _ := strings.Cut(strings.TrimSpace(line), " ")
		tests = append(tests, lineTest{name, strings.Split(calls, ",")})
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
		fmt.Fprintf(&b, "mkdir /tmp/work/%[1]s; cd /tmp/work/%[1]s; cp /strace/tests/%[1]s .\n"+
			"sh -c 'echo $$ >/tmp/out/%[1]s; exec ./%[1]s' >>/tmp/out/%[1]s </dev/null 2>/dev/null\n", t.name)
	}
	fmt.Fprintf(&b, "cd /tmp/out; for f in *; do echo '%s'$f; cat $f; done\n", lineMark)
	return b.String()
}

// straceLines runs strace's test programs under slowpath strace, and compares the lines with
// those that the programs expect. It prints the programs that fail.
func straceLines() error {
	root := filepath.Join(workDirectory, "root-stracelines")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if _, err := setupStrace(root); err != nil {
		return err
	}
	tests := lineTests()
	if err := os.WriteFile(filepath.Join(root, "strace/lines"), []byte(lineScript(tests)), 0o755); err != nil {
		return err
	}
	logs, err := os.MkdirTemp("", "stracelines")
	if err != nil {
		return err
	}
	defer os.RemoveAll(logs)
	cmd := exec.Command("bin/slowpath", "strace", "-ff", "-q", "-o", filepath.Join(logs, "log"), "--timeout", "600s", "--mem", "1G", "--rootfs", root, "sh", "/strace/lines")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("slowpath strace fails: %w\n%s", err, errs.String())
	}
	outputs := map[string]string{}
	for _, part := range strings.Split(out.String(), lineMark)[1:] {
		name, text, _ := strings.Cut(part, "\n")
		outputs[name] = text
	}
	failed := 0
	for _, t := range tests {
		if err := t.compare(outputs[t.name], logs); err != nil {
			failed++
			fmt.Printf("%s: %v\n", t.name, err)
		}
	}
	fmt.Printf("%d of %d programs are printed as they expect\n", len(tests)-failed, len(tests))
	if failed > 0 {
		return errors.New("slowpath strace prints other lines than strace")
	}
	return nil
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

// lines returns the lines of a log that the program expects: those of its calls, of signals
// and of the end, after its start.
func (t *lineTest) lines(log string) (list []string) {
	start := strings.LastIndex(log, `execve("./`+t.name+`"`)
	for line := range strings.Lines(log[max(start, 0):]) {
		line = strings.TrimSuffix(line, "\n")
		wanted := slices.ContainsFunc(t.calls, func(call string) bool { return strings.HasPrefix(line, call+"(") })
		if wanted || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "+++") {
			list = append(list, line)
		}
	}
	return list
}
