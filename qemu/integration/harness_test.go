package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slowpath/qemu/reference"
)

// Directories, relative to the directory of this package.
const (
	binaries = "../../bin"
	sources  = "../testdata"
)

// TestMain sets these before any test runs.
var (
	slowpath string              // the absolute path of the host command
	programs string              // the directory with the test programs
	launcher *reference.Launcher // starts programs on the host's Linux
)

// guestPath is PATH in the guest. On the host, onHost puts the directory of applets
// before it.
const guestPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// timeLimit is the default time limit of a command in the guest.
const timeLimit = 60 * time.Second

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 1
	}
	os.Exit(code)
}

// run builds the test programs, runs the tests and removes the programs. It
// returns the tests' exit code.
func run(m *testing.M) (int, error) {
	var err error
	if slowpath, err = filepath.Abs(filepath.Join(binaries, "slowpath")); err != nil {
		return 0, err
	}
	for _, name := range []string{"slowpath", "kernel.elf", "hello"} {
		if _, err := os.Stat(filepath.Join(binaries, name)); err != nil {
			return 0, fmt.Errorf("%w; run: make build", err)
		}
	}
	if programs, err = os.MkdirTemp("", "slowpath-programs-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(programs)
	if launcher, err = reference.Build(programs); err != nil {
		return 0, err
	}
	if err := linkApplets(); err != nil {
		return 0, err
	}
	if err := buildPrograms(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// applets returns the directory of the host that has a link to busybox for each of
// its applets. The host's PATH begins with it, because the guest's /bin contains
// only the applets.
func applets() string { return filepath.Join(programs, "applets") }

// linkApplets creates the directory of applets and its links.
func linkApplets() error {
	list, err := exec.Command("/bin/busybox", "--list").Output()
	if err != nil {
		return fmt.Errorf("busybox is missing; install it with: apt-get install busybox-static (%w)", err)
	}
	if err := os.Mkdir(applets(), 0o755); err != nil {
		return err
	}
	for applet := range strings.FieldsSeq(string(list)) {
		if err := os.Symlink("/bin/busybox", filepath.Join(applets(), applet)); err != nil {
			return err
		}
	}
	return nil
}

// compilers lists the compiler commands. The programs in everyWay are built with each
// of them, the other C programs only with the first.
var compilers = []struct {
	suffix  string
	command []string
}{
	{"", []string{"gcc", "-static"}},
	{"-musl", []string{"musl-gcc", "-static"}},
	{"-pie", []string{"gcc", "-static-pie", "-fPIE"}},
	{"-dynamic", []string{"gcc"}},
}

// The C programs: everyWay is built with every compiler, glibc statically with glibc,
// and bare without a C library.
var (
	everyWay = []string{"threads", "processes", "memory", "signals"}
	glibc    = []string{"faults", "files", "waiting", "badpointers", "exhaust", "mix", "inject", "paranoid", "spin",
		"catalogue_sigreturn", "catalogue_flags", "catalogue_bases", "catalogue_numbers", "catalogue_float",
		"catalogue_rseq", "catalogue_wakeup", "catalogue_compat", "affinity", "lateness", "clockadjust", "membarrier", "cputime", "corners",
		"bombs", "manycalls", "transfers", "ptrace", "entrystop", "registers", "singlestep", "watchpoint", "processvm", "seccomp", "userdispatch", "bench_filter", "siginfo", "schedule", "stopfilter",
		"bench_ptrace", "bench_signals", "bench_switch", "bench_yield", "bench_uprobe", "bench_calls", "bench_audit", "auditrules", "inherit", "vsyscall", "perfevents", "perfrights", "uprobes", "probeescape", "traced", "tracedcalls", "probediff", "hiddenstep", "hostileregisters", "calls", "tracers", "selectors", "nohz"}
	bare = []string{"catalogue_start", "bench"}
	// narrow is built for 32 bits, statically, and narrowDynamic with the shared C library.
	narrow        = []string{"compat32", "calls", "files", "processes", "threads", "memory", "waiting", "transfers", "badpointers", "corners", "seccomp", "userdispatch", "schedule", "inherit"}
	narrowDynamic = []string{"threads"}
	// otherNarrow are built as narrow, for tests of their own.
	otherNarrow = []string{"tracers", "selectors", "clockadjust"}
)

// bare32 are the C programs that are built as 32-bit programs without a C library.
var bare32 = []string{"bench32"}

// goPrograms are the programs in Go.
var goPrograms = []string{"goprogram", "fuzzer", "probedgo", "straced"}

// buildPrograms compiles the test programs, two at a time.
func buildPrograms() error {
	var commands [][]string
	for _, c := range compilers {
		for _, name := range everyWay {
			commands = append(commands, cCommand(c.command, name, name+c.suffix, "-pthread"))
		}
	}
	for _, name := range glibc {
		commands = append(commands, cCommand(compilers[0].command, name, name, "-pthread"))
	}
	for _, name := range bare {
		commands = append(commands, cCommand(compilers[0].command, name, name, "-nostdlib", "-fno-stack-protector"))
	}
	for _, name := range bare32 {
		commands = append(commands, cCommand([]string{"gcc", "-m32", "-static", "-fno-pie", "-no-pie"}, name, name, "-nostdlib", "-fno-stack-protector"))
	}
	for _, name := range slices.Concat(narrow, otherNarrow) {
		commands = append(commands, cCommand([]string{"gcc", "-m32", "-static"}, name, name+"-32", "-pthread"))
	}
	for _, name := range narrowDynamic {
		commands = append(commands, cCommand([]string{"gcc", "-m32"}, name, name+"-dynamic-32", "-pthread"))
	}
	for _, name := range goPrograms {
		commands = append(commands, []string{"go", "build", "-o", program(name), "./" + sources + "/" + name})
	}
	errs := make([]error, len(commands))
	slots := make(chan struct{}, 2)
	var wg sync.WaitGroup
	for i, command := range commands {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// cCommand returns the command that compiles a program.
func cCommand(compiler []string, name, output string, flags ...string) []string {
	command := append([]string{}, compiler...)
	command = append(command, "-O1", "-Wall", "-Wextra", "-o", program(output), filepath.Join(sources, name+".c"))
	return append(command, flags...)
}

// program returns the path of a test program.
func program(name string) string { return filepath.Join(programs, name) }

// result is the exit code and the output of a command.
type result struct {
	code        int
	out, errors string
}

// execute runs a command in the root directory and waits for it.
func execute(t testing.TB, stdin string, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd.Path, err)
	}
	return result{exitCode(cmd.ProcessState), out.String(), errs.String()}
}

// exitCode returns the exit code as a shell reports it: 128+N for signal N.
func exitCode(state *os.ProcessState) int {
	if code := state.ExitCode(); code >= 0 {
		return code
	}
	return 128 + int(signalOf(state))
}

// onHost runs a command on the host's Linux. Its result is the reference. The
// launcher starts the command in the same process state and environment as
// on Slowpath, except that PATH begins with the directory of applets.
func onHost(t testing.TB, stdin string, command ...string) result {
	t.Helper()
	env := []string{"PATH=" + applets() + ":" + guestPath, "HOME=/root"}
	return execute(t, stdin, launcher.Command(t.Context(), env, command[0], command[1:]...))
}

// onSlowpath runs a command on the kernel. The arguments are flags of
// slowpath run, the program, and its arguments.
func onSlowpath(t testing.TB, stdin string, args ...string) result {
	t.Helper()
	all := append([]string{"run", "--timeout", fmt.Sprint(timeLimit)}, args...)
	return execute(t, stdin, exec.CommandContext(t.Context(), slowpath, all...))
}

// check reports each difference between the results on Slowpath and on Linux.
func check(t *testing.T, got, want result) {
	t.Helper()
	if got.code != want.code {
		t.Errorf("the exit code is %d, but %d on Linux", got.code, want.code)
	}
	if got.out != want.out {
		t.Errorf("the output differs from Linux's:\n%s", difference(got.out, want.out))
	}
	if got.errors != want.errors {
		t.Errorf("standard error is\n%s\nbut on Linux\n%s", shorten(got.errors), shorten(want.errors))
	}
}

// difference returns the first ten lines in which two texts differ.
func difference(got, want string) string {
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	var b strings.Builder
	for i, shown := 0, 0; i < max(len(g), len(w)) && shown < 10; i++ {
		var lineGot, lineWant string
		if i < len(g) {
			lineGot = g[i]
		}
		if i < len(w) {
			lineWant = w[i]
		}
		if lineGot != lineWant {
			shown++
			fmt.Fprintf(&b, "line %d: got  %.200q\n         want %.200q\n", i+1, lineGot, lineWant)
		}
	}
	return b.String()
}

// shorten truncates a text to 4000 bytes.
func shorten(text string) string {
	if len(text) > 4000 {
		return text[:4000] + "..."
	}
	return text
}

// processors lists the numbers of CPUs with which most tests run.
var processors = []int{1, 2, 4}

// same runs a command on Linux and on Slowpath, there once for each number of CPUs in
// processors, and checks that the results are equal.
func same(t *testing.T, stdin string, command ...string) {
	t.Helper()
	sameOn(t, processors, stdin, command...)
}

// sameOn does what same does, with the given numbers of CPUs.
func sameOn(t *testing.T, cpus []int, stdin string, command ...string) {
	t.Helper()
	want := onHost(t, stdin, command...)
	for _, n := range cpus {
		t.Run(fmt.Sprintf("smp%d", n), func(t *testing.T) {
			t.Parallel()
			check(t, onSlowpath(t, stdin, append([]string{"--smp", fmt.Sprint(n)}, command...)...), want)
		})
	}
}
