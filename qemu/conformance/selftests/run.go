package selftests

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Seconds is how long a test may take.
const Seconds = 60

// guest is where a test lies in the guest.
func (t Test) guest() string { return "/selftests/" + t.Name }

// Command is how a test is started in the guest: the shell keeps it from being
// the leader of a session or of a process group.
func (t Test) Command() []string {
	return []string{"/bin/busybox", "sh", "-c", t.guest() + "; exit $?"}
}

// Run runs a test on Slowpath by the host command and returns how many of its
// checks passed, and what it printed. It has a terminal, or what it says would
// be lost with it when it crashes; script(1) gives one to the host command.
func (t Test) Run(slowpath, programs string) (passed int, output string) {
	const grace = 10 * time.Second // for the host command to end the guest
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

// CountPassed counts the checks that a test says have passed.
func CountPassed(output string) (n int) {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(line, "^@")), "[OK]") { // script(1) begins with ^@
			n++
		}
	}
	return n
}
