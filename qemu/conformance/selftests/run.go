package selftests

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Guest returns the path of the test's program in the guest.
func (t Test) Guest() string { return "/selftests/" + t.Name }

// preparations are shell commands that create files which a test expects beside its
// program, and that the makefiles create.
var preparations = map[string]string{
	"exec/execveat": `ln -s execveat execveat.symlink; cp execveat execveat.denatured; chmod -x execveat.denatured; ` +
		`printf '#!/bin/sh\nexit $*\n' >script; chmod +x script; mkdir subdir; `,
}

// exitMark begins the line after the test's output that has its exit code.
const exitMark = "[EXIT]"

// Command returns the command that runs the test in the guest, in its folder. The
// test runs below a shell, so that it is neither a session leader nor a process
// group leader.
func (t Test) Command() []string {
	if t.IsScript() {
		return []string{"/bin/sh", "-c", t.scriptCommand()}
	}
	script := fmt.Sprintf(`cd %s; %s./%s; code=$?; echo; echo "%s $code"`, path.Dir(t.Guest()), preparations[t.Source()], path.Base(t.Name), exitMark)
	return []string{"/bin/busybox", "sh", "-c", script}
}

// Run runs the test on Slowpath with the host command at the path slowpath. It
// returns how many of the test's checks passed, and the test's output. The test
// has a terminal, which script(1) provides: in a pipe, stdio's buffered output
// would be lost if the test crashed.
func (t Test) Run(slowpath, programs string) (passed int, output string) {
	const grace = 10 * time.Second // the host command's own --timeout comes first
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(t.Seconds)*time.Second+grace)
	defer cancel()
	files := fmt.Sprintf("--mount-file '%s:%s'", filepath.Join(programs, t.Name), t.Guest())
	if t.IsScript() {
		files = fmt.Sprintf("--mem 1G --env PATH=/usr/bin:/bin:/usr/sbin:/sbin --rootfs '%s'", ScriptRoot(programs))
	}
	line := fmt.Sprintf("%s run -t --smp 2 --timeout %d --cpu %s %s --", slowpath, t.Seconds, t.CPU, files)
	for _, word := range t.Command() {
		line += " '" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	out, _ := exec.CommandContext(ctx, "script", "-qec", line, "/dev/null").CombinedOutput()
	return CountPassed(string(out)), string(out)
}

// CountPassed returns the number of passed checks in a test's output. A test that
// reports no single checks counts as one check, which passes if the exit code is 0.
func CountPassed(output string) (n int) {
	reports, succeeded := false, false
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "^@")) // script(1) prints ^@ first
		result, exit := strings.CutPrefix(line, exitMark+" ")
		switch {
		case exit:
			succeeded = result == "0"
		case isPassed(line):
			n++
		case isFailed(line):
			reports = true
		}
	}
	if n == 0 && !reports && succeeded {
		return 1
	}
	return n
}

// isPassed reports whether a line says that a check passed: "[OK] name" or
// "name [OK]", as the tests without a common form print, or "ok 1 name" of the test
// anything protocol, unless that check was skipped.
func isPassed(line string) bool {
	if strings.Contains(line, "[FAIL]") || strings.Contains(line, "# SKIP") {
		return false
	}
	return strings.Contains(line, "[OK]") || strings.Contains(line, "[PASS]") || isResult(line, "ok ")
}

// isFailed reports whether a line says that a check failed or was skipped.
func isFailed(line string) bool {
	return strings.Contains(line, "[FAIL]") || strings.Contains(line, "# SKIP") || isResult(line, "not ok ")
}

// isResult reports whether a line has the form "prefix NUMBER ...".
func isResult(line, prefix string) bool {
	rest, ok := strings.CutPrefix(line, prefix)
	return ok && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}
