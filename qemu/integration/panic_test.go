package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildFaultKernel builds a kernel with additional system calls that panic, and the
// test program "panics", which makes them. It returns the kernel's path.
func buildFaultKernel(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	raw, linked := filepath.Join(directory, "kernel.raw"), filepath.Join(directory, "kernel.elf")
	for _, command := range [][]string{
		{"go", "build", "-tags", "kernel,faultinject", "-ldflags=-T=-0x7fe00000", "-o", raw, "slowpath/cmd/kernel"},
		{"go", "run", "slowpath/boot/image/link", "-o", linked, raw},
		cCommand([]string{"gcc", "-static"}, "panics", "panics", "-pthread"),
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	return linked
}

// TestPanicInSystemCallKillsOnlyItsProcess checks that a Go panic in a system call
// kills the process that made the call, that the log contains the panic's message and
// stack, and that other processes continue.
func TestPanicInSystemCallKillsOnlyItsProcess(t *testing.T) {
	kernel := buildFaultKernel(t)
	log := filepath.Join(t.TempDir(), "log")
	t.Setenv("SLOWPATH_KERNEL", kernel)
	got := onSlowpath(t, "", "--log", log, "--append", "loglevel=7", program("panics"))
	want := strings.Repeat("exit: result 0, error code 18\n", 3) + "exit without a handler: signal 11\n" +
		strings.Repeat("nil: signal 9\npanic: signal 9\npanic in a thread: signal 9\n", 3) + "alive\n"
	if got.code != 5 || got.out != want {
		t.Errorf("exit code %d, want 5; output\n%s\nstandard error\n%s", got.code, got.out, got.errors)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"made the kernel panic", "injected by slowpath_panic", "nil pointer dereference", "syscall.sysPanic"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the log does not contain %q:\n%s", part, shorten(string(text)))
		}
	}
}

// TestPanicAtRandomPointLeavesKernelUsable makes children panic at a random point of
// random calls on objects that they share, with locks held too. Afterwards every object
// works, and no memory and no goroutine is lost.
func TestPanicAtRandomPointLeavesKernelUsable(t *testing.T) {
	t.Setenv("SLOWPATH_KERNEL", buildFaultKernel(t))
	const want = "half of the children died: 1, memory lost: 0, goroutines lost: 0\n"
	for _, n := range processors {
		got := onSlowpath(t, "", "--smp", fmt.Sprint(n), program("panics"), fmt.Sprint(choose(300, 20_000)))
		t.Log(strings.TrimSpace(got.errors))
		if got.code != 5 || got.out != want {
			t.Errorf("%d processors: exit code %d, want 5; output %q, want %q", n, got.code, got.out, want)
		}
	}
}
