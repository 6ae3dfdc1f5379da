package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"slowpath/hostlink"
)

// result is the result of running a scenario.
type result struct {
	status           hostlink.Status
	err              error
	out, errors, log bytes.Buffer
}

func runScenario(t *testing.T, ctx context.Context, name string, stdin io.Reader) *result {
	t.Helper()
	useFake(t, name)
	r := new(result)
	r.status, r.err = Run(ctx, &Config{Kernel: "kernel.elf"},
		Streams{Stdin: stdin, Stdout: &r.out, Stderr: &r.errors, Log: &r.log})
	return r
}

func TestRunReturnsStatusAndStreams(t *testing.T) {
	r := runScenario(t, limited(t), "hello", nil)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if want := (hostlink.Status{Outcome: hostlink.Exited, Value: 7}); r.status != want {
		t.Errorf("the status is %+v, want %+v", r.status, want)
	}
	if r.out.String() != "out\x00put" || r.errors.String() != "complaint" || r.log.String() != "a line of the log\n" {
		t.Errorf("the streams have %q, %q, %q", &r.out, &r.errors, &r.log)
	}
}

func TestRunReportsSignal(t *testing.T) {
	r := runScenario(t, limited(t), "killed", nil)
	if want := (hostlink.Status{Outcome: hostlink.Signaled, Value: 11}); r.err != nil || r.status != want {
		t.Errorf("got %+v, %v; want %+v", r.status, r.err, want)
	}
}

func TestStdinRespectsCredit(t *testing.T) {
	data := bytes.Repeat([]byte("all work and no play\n"), 3000)
	r := runScenario(t, limited(t), "cat", bytes.NewReader(data))
	if r.err != nil || r.status.Value != 0 {
		t.Fatalf("got %+v, %v", r.status, r.err)
	}
	if !bytes.Equal(r.out.Bytes(), data) {
		t.Error("the output of cat differs from its input")
	}
}

func TestWindowSizeReachesGuest(t *testing.T) {
	useFake(t, "size")
	sizes := make(chan hostlink.TerminalSize, 1)
	sizes <- hostlink.TerminalSize{Rows: 50, Columns: 100}
	var out bytes.Buffer
	_, err := Run(limited(t), &Config{}, Streams{Stdout: &out, Resized: sizes})
	if err != nil || out.String() != "50 100" {
		t.Errorf("the guest got %q, %v", &out, err)
	}
}

func TestRunFailsWithoutStatusFromKernel(t *testing.T) {
	for scenario, want := range map[string]string{
		"panic":         "the kernel ended before the program did",
		"silent death":  "no such machine",
		"other version": "version 32516",
		"garbage":       "breaks the protocol",
		"host's frame":  "a StdinEOF frame",
	} {
		t.Run(scenario, func(t *testing.T) {
			r := runScenario(t, limited(t), scenario, nil)
			if r.err == nil || !strings.Contains(r.err.Error(), want) {
				t.Errorf("got %+v, %v; want an error with %q", r.status, r.err, want)
			}
		})
	}
}

func TestErrorQuotesLogThatIsNotShown(t *testing.T) {
	useFake(t, "panic")
	_, err := Run(limited(t), &Config{}, Streams{Stdout: io.Discard, Stderr: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "panic: out of ideas") {
		t.Errorf("the error is %v", err)
	}
}

func TestLongLogDoesNotBlockProgram(t *testing.T) {
	r := runScenario(t, limited(t), "exit code, late", nil)
	if r.err != nil || r.status.Value != 5 || r.log.Len() != 1<<20+1 {
		t.Errorf("got %+v, %v, and %d bytes of log", r.status, r.err, r.log.Len())
	}
}

func TestGuestThatDoesNotPowerOffIsKilled(t *testing.T) {
	r := runScenario(t, limited(t), "lingering", nil)
	if r.err != nil || r.status.Value != 3 {
		t.Errorf("got %+v, %v", r.status, r.err)
	}
}

func TestCancellationEndsQEMU(t *testing.T) {
	cause := errors.New("the time is up")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, cause)
	defer cancel()
	r := runScenario(t, ctx, "hang", nil)
	if !errors.Is(r.err, cause) {
		t.Errorf("the error is %v, want %v", r.err, cause)
	}
}

func TestCloseReapsQEMU(t *testing.T) {
	useFake(t, "hang")
	vm, err := Start(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	pid := vm.PID()
	vm.Close()
	vm.Close()
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("process %d still exists: %v", pid, err)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Errorf("process %d is still in /proc", pid)
	}
}

func TestMissingQEMUIsExplained(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(&Config{}); err == nil || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("the error is %v", err)
	}
}
