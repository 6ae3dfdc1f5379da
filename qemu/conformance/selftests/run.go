package selftests

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Seconds is the time limit of a test.
const Seconds = 60

// guest returns the path of the test's program in the guest.
func (t Test) guest() string { return "/selftests/" + t.Name }

// Command returns the command that runs the test in the guest. The test runs below
// a shell, so that it is neither a session leader nor a process group leader.
func (t Test) Command() []string {
	return []string{"/bin/busybox", "sh", "-c", t.guest() + "; exit $?"}
}

// Run runs the test on Slowpath with the host command at the path slowpath. It
// returns how many of the test's checks passed, and the test's output. The test
// has a terminal, which script(1) provides: in a pipe, stdio's buffered output
// would be lost if the test crashed.
func (t Test) Run(slowpath, programs string) (passed int, output string) {
	const grace = 10 * time.Second // the host command's own --timeout comes first
	ctx, cancel := context.WithTimeout(context.Background(), Seconds*time.Second+grace)
	defer cancel()
	line := fmt.Sprintf("%s run -t --smp 2 --timeout %d --cpu %s --mount-file '%s:%s' --", slowpath, Seconds, t.CPU,
		filepath.Join(programs, t.Name), t.guest())
	for _, word := range t.Command() {
		line += " '" + word + "'"
	}
	out, _ := exec.CommandContext(ctx, "script", "-qec", line, "/dev/null").CombinedOutput()
	return CountPassed(string(out)), string(out)
}

// CountPassed returns the number of passed checks in a test's output.
func CountPassed(output string) (n int) {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(line, "^@")), "[OK]") { // script(1) prints ^@ first
			n++
		}
	}
	return n
}
