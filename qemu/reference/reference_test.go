package reference

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

const path = "PATH=/usr/bin:/bin"

func build(t *testing.T) *Launcher {
	t.Helper()
	l, err := Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// statusLine returns the value of a field of /proc/self/status.
func statusLine(t *testing.T, status, field string) string {
	t.Helper()
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no field %s in\n%s", field, status)
	return ""
}

// TestIgnoredSignalsAreReset ignores signals in this process, as nohup does with
// SIGHUP, and checks that a program starts with the default dispositions.
func TestIgnoredSignalsAreReset(t *testing.T) {
	signals := []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE, syscall.SIGUSR1}
	signal.Ignore(signals...)
	defer signal.Reset(signals...)
	inherited, err := exec.Command("cat", "/proc/self/status").Output()
	if err != nil {
		t.Fatal(err)
	}
	if statusLine(t, string(inherited), "SigIgn") == "0000000000000000" {
		t.Fatal("this process does not pass ignored signals on, so the test checks nothing")
	}
	out, err := build(t).Command(t.Context(), []string{path}, "cat", "/proc/self/status").Output()
	if err != nil {
		t.Fatal(err)
	}
	if ignored := statusLine(t, string(out), "SigIgn"); ignored != "0000000000000000" {
		t.Errorf("the program starts with the ignored signals %s", ignored)
	}
}

// TestInheritedStateIsReset starts the launcher from a shell with every signal
// blocked, a umask, limits, open files and a personality that programs must not
// inherit.
func TestInheritedStateIsReset(t *testing.T) {
	l, out := build(t), ""
	for _, command := range []string{"cat /proc/self/status /proc/self/limits /proc/self/personality", "ls /proc/self/fd", "env"} {
		words := strings.Fields(command)
		launched := l.Command(t.Context(), []string{path, "HOME=/root"}, words[0], words[1:]...)
		script := `umask 077; ulimit -Sn 64; ulimit -Ss 512; exec 7</dev/null; exec setarch -R env --block-signal "$@"`
		cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, launched.Args...)...)
		cmd.Env = launched.Env
		text, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, text)
		}
		out += string(text)
	}
	for field, want := range map[string]string{"SigBlk": "0000000000000000", "SigIgn": "0000000000000000", "Umask": "0022"} {
		if got := statusLine(t, out, field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
	fields := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{" Max stack size 8388608 ", " Max open files 1024 ", " 00000000 ", " HOME=/root "} {
		if !strings.Contains(fields, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\n7\n") {
		t.Errorf("file descriptor 7 is inherited:\n%s", out)
	}
}

func TestExitCodeAndArgumentsPassThrough(t *testing.T) {
	l := build(t)
	out, err := l.Command(t.Context(), []string{path}, "sh", "-c", `echo "$1"; exit 7`, "sh", "a b").Output()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 || string(out) != "a b\n" {
		t.Errorf("got %q, %v", out, err)
	}
	err = l.Command(t.Context(), []string{path}, "/nonexistent").Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 127 {
		t.Errorf("a missing program gives %v, want exit code 127", err)
	}
}
