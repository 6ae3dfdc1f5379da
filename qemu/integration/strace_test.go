package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slowpath/qemu/stracelog"
)

// straceOf runs a command under strace -f on the host's Linux, or under slowpath strace -f, and
// returns the file of -o. Both write the same format. The program must exit with code.
func straceOf(t *testing.T, tracer []string, code int, command ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	args := slices.Concat(tracer, []string{"-f", "-o", file}, command)
	// The environment is that of the guest, and the launcher leaves no descriptor open.
	cmd := launcher.Command(t.Context(), []string{"PATH=" + guestPath, "HOME=/root"}, args[0], args[1:]...)
	if got := execute(t, "", cmd); got.code != code {
		t.Fatalf("%v: got %+v", args, got)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// onLinux and outside are the tracers that are compared.
func onLinux(t *testing.T) []string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is missing; install it with: apt-get install strace")
	}
	return []string{strace}
}

func outside() []string { return []string{slowpath, "strace", "--timeout", "120s"} }

// threadsOf returns the normalized lines of each thread.
func threadsOf(t *testing.T, text string) [][]string {
	t.Helper()
	threads, err := stracelog.Threads(text)
	if err != nil {
		t.Fatal(err)
	}
	return threads
}

// compareThreads compares the lines of each thread.
func compareThreads(t *testing.T, got, want [][]string) {
	t.Helper()
	for _, err := range stracelog.Compare(got, want) {
		t.Error(err)
	}
}

// TestStracePrintsCallsAsOnLinux compares the lines of slowpath strace with those of strace for
// a program with calls of all families.
func TestStracePrintsCallsAsOnLinux(t *testing.T) {
	const code = 7
	want := threadsOf(t, straceOf(t, onLinux(t), code, program("calls")))
	got := threadsOf(t, straceOf(t, outside(), code, program("calls")))
	compareThreads(t, got, want)
	if lines := slices.Concat(got...); len(lines) < 150 {
		t.Errorf("the program makes only %d calls", len(lines))
	}
}

// TestStracePrintsShellsAsOnLinux compares the lines for a script of busybox, of which each
// command is a process.
func TestStracePrintsShellsAsOnLinux(t *testing.T) {
	const script = `cd /tmp; mkdir -p straced/a; echo text >straced/a/b; cat straced/a/b; mv straced/a/b straced/a/c
		ln -s c straced/d; cat straced/a/c >/dev/null; rm straced/d; rm -r straced; trap 'echo trapped' USR1; kill -USR1 $$
		expr 1 + 2; head -c 100 /dev/zero >/dev/null; sh -c 'kill -TERM $$'; exit 5`
	busybox, err := filepath.EvalSymlinks("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	command := []string{busybox, "sh", "-c", script}
	want := threadsOf(t, straceOf(t, onLinux(t), 5, command...))
	got := threadsOf(t, straceOf(t, outside(), 5, command...))
	compareThreads(t, got, want)
}

// TestStracePrintsGoProgramsAsOnLinux compares the different lines for a Go program, whose
// threads and order are not the same in two runs.
func TestStracePrintsGoProgramsAsOnLinux(t *testing.T) {
	known := map[string]bool{}
	for _, thread := range threadsOf(t, straceOf(t, onLinux(t), 0, program("straced"))) {
		for _, line := range thread {
			known[goShape(line)] = true
		}
	}
	unknown, all := 0, 0
	for _, thread := range threadsOf(t, straceOf(t, outside(), 0, program("straced"))) {
		for _, line := range thread {
			all++
			if !known[goShape(line)] && !timing(line) {
				unknown++
				t.Errorf("strace has not printed %s", line)
			}
		}
	}
	if all < 100 || len(known) < 30 {
		t.Errorf("there are %d lines, on Linux %d different ones", all, len(known))
	}
}

// numbers are the parts of a line of a Go program that its runtime chooses by the machine.
var numbers = regexp.MustCompile(`\b\d+\b`)

func goShape(line string) string { return numbers.ReplaceAllString(line, "N") }

// timing reports whether the runtime makes a call only at some times, or on some machines.
func timing(line string) bool {
	return slices.ContainsFunc([]string{"futex(", "nanosleep(", "epoll_", "tgkill(", "--- SIGURG", "rt_sigreturn(", "sched_yield(", "madvise(", "sched_getaffinity(",
		"read(", "openat(AT_FDCWD, \"/sys/", "prlimit64(", "mmap(", "munmap(", "fcntl("}, func(prefix string) bool { return strings.HasPrefix(line, prefix) })
}

// TestStraceDoesNotDisturbPrograms compares the output and exit code with those of a run
// without strace.
func TestStraceDoesNotDisturbPrograms(t *testing.T) {
	for _, command := range [][]string{{program("threads")}, {program("processes")}, {program("signals")}, {program("ptrace")}} {
		file := filepath.Join(t.TempDir(), "log")
		want := onHost(t, "", command...)
		check(t, execute(t, "", exec.Command(slowpath, append([]string{"strace", "--timeout", "120s", "--smp", "2", "-f", "-o", file}, command...)...)), want)
		text, err := os.ReadFile(file)
		if err != nil || strings.Count(string(text), "\n") < 10 {
			t.Errorf("the log of %v has %d bytes, %v", command, len(text), err)
		}
	}
}

// TestStraceInjects lets calls fail, and checks what the program sees.
func TestStraceInjects(t *testing.T) {
	const script = `cat /etc/passwd >/dev/null && echo first; cat /etc/passwd >/dev/null || echo second`
	file := filepath.Join(t.TempDir(), "log")
	got := execute(t, "", exec.Command(slowpath, "strace", "--timeout", "60s", "-f", "-o", file, "-e", "trace=open,openat", "-e", "inject=mkdir:error=EROFS",
		"-e", "inject=unlink:retval=0:delay_enter=30ms", "/bin/busybox", "sh", "-c", `mkdir /tmp/x; echo y >/tmp/y; rm /tmp/y; ls /tmp/y; `+script))
	for _, want := range []string{"/tmp/y\n", "first\n"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("the program printed %q, without %q", got.out, want)
		}
	}
	if !strings.Contains(got.errors, "Read-only file system") {
		t.Errorf("the errors are %q", got.errors)
	}
}

// straceCost is how much slower a program may be under strace, in guest instructions.
const straceCost = 1.5

// TestStraceCostsLittle compares the instructions that a shell with many short commands
// takes with and without strace.
func TestStraceCostsLittle(t *testing.T) {
	const script = `i=0; while [ $i -lt 30 ]; do ls -l / >/dev/null; cat /etc/passwd | grep root >/dev/null; expr 1 + $i >/dev/null; i=$((i+1)); done`
	seconds := func(args ...string) float64 {
		all := append([]string{args[0], "--icount", "--mem", "256", "--timeout", "120s"}, args[1:]...)
		got := execute(t, "", exec.Command(slowpath, append(all, "/bin/busybox", "time", "-f", "%e", "/bin/busybox", "sh", "-c", script)...))
		value, err := strconv.ParseFloat(strings.TrimSpace(got.errors), 64)
		if err != nil {
			t.Fatalf("got %+v", got)
		}
		return value
	}
	plain := seconds("run")
	straced := seconds("strace", "-f", "-o", filepath.Join(t.TempDir(), "log"))
	t.Logf("%.2f without strace, %.2f with strace", plain, straced)
	if straced > straceCost*plain {
		t.Errorf("with strace the program takes %.2f, without strace %.2f", straced, plain)
	}
}
