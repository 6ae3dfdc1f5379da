package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// notes are parts of messages that the kernel logs when a system call failed inside
// the kernel but the machine continues.
var notes = []string{"made the kernel panic", "come back however often", "fatal error", "unexpected fault"}

// tortureRun runs torture.c and returns its line about each round. The program must
// end, all its processes must be killable, and the kernel must not panic.
func tortureRun(t *testing.T, cpus int, arguments ...string) (rounds []string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	all := append([]string{"--smp", fmt.Sprint(cpus), "--mem", "256M", "--log", log, program("torture")}, arguments...)
	got := onSlowpath(t, "", all...)
	if got.code != 0 || got.out != "alive\n" {
		t.Errorf("torture %v on %d CPUs exits with %d and prints %q\n%s", arguments, cpus, got.code, got.out, shorten(got.errors))
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range notes {
		if strings.Contains(string(text), note) {
			t.Errorf("torture %v on %d CPUs: the log has %q:\n%s", arguments, cpus, note, shorten(string(text)))
		}
	}
	return strings.Split(strings.TrimSpace(got.errors), "\n")
}

// buildTorture compiles the program.
func buildTorture(t *testing.T) {
	t.Helper()
	command := cCommand(compilers[0].command, "torture", "torture", "-pthread")
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
}

// TestKernelSurvivesRandomSystemCalls makes random system calls. The seeds are
// fixed; the long form has more of them.
func TestKernelSurvivesRandomSystemCalls(t *testing.T) {
	buildTorture(t)
	for seed := range choose(1, 50) {
		for _, cpus := range processors {
			tortureRun(t, cpus, fmt.Sprint(1000*cpus+seed), "5", "1000")
		}
	}
}

// TestRandomSystemCallsLeakNoMemory checks that the memory of a round's processes is
// free after they have ended. The processes are not root, so that they leave no
// mounts.
func TestRandomSystemCallsLeakNoMemory(t *testing.T) {
	buildTorture(t)
	rounds := tortureRun(t, 2, "7", fmt.Sprint(choose(20, 60)), "1000", "nobody")
	if t.Failed() {
		return
	}
	const slack = 8 << 10 // kB; the size of the kernel's own heap varies
	early, late := freeIn(t, rounds[len(rounds)/2]), freeIn(t, rounds[len(rounds)-1])
	if late < early-slack {
		t.Errorf("memory leaks: %d kB were free in the middle and %d kB at the end\n%s", early, late, strings.Join(rounds, "\n"))
	}
}

// freeIn returns the free memory in kB from a line of the program.
func freeIn(t *testing.T, line string) (free int) {
	t.Helper()
	var round, calls int
	if _, err := fmt.Sscanf(line, "round %d: %d calls so far, %d kB free", &round, &calls, &free); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if calls < 100 {
		t.Errorf("only %d calls were made up to round %d", calls, round)
	}
	return free
}
