package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slowpath/runspec"
)

// outcome is the exit code and the output of a command line.
type outcome struct {
	code        int
	out, errors string
}

// command runs a command line in this process with an empty standard input.
func command(t *testing.T, args ...string) outcome {
	t.Helper()
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out, errors bytes.Buffer
	code := dispatch(standard{in: in, out: &out, err: &errors}, args)
	return outcome{code, out.String(), errors.String()}
}

// useKernel makes findKernel return a dummy file.
func useKernel(t *testing.T) string {
	t.Helper()
	kernel := filepath.Join(t.TempDir(), "kernel.elf")
	if err := os.WriteFile(kernel, []byte("kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv(kernelVariable, kernel)
	return kernel
}

// compile builds a C program with the given flags.
func compile(t *testing.T, flags ...string) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), "p.c")
	if err := os.WriteFile(source, []byte("int main(void) { return 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	program := strings.TrimSuffix(source, ".c")
	cmd := exec.Command("gcc", append(flags, "-o", program, source)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v, %s", err, out)
	}
	return program
}

func TestBadCommandLinesAreExplained(t *testing.T) {
	useKernel(t)
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal("busybox is missing; install it with: apt-get install busybox-static")
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("just text\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, whole[:len(whole)/2], 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 125, "Usage"},
		{"walk", 125, `no subcommand "walk"`},
		{"run", 125, "no program is given"},
		{"run --speed 9 x", 125, "-speed"},
		{"run --speed 9 x", 125, "there is no flag --speed; slowpath help run"},
		{"run -x " + busybox, 125, "there is no flag -x"},
		{"run -smp 2 " + busybox, 125, "write --smp with two dashes"},
		{"run -smp=2 " + busybox, 125, "write --smp with two dashes"},
		{"run --smp", 125, "--smp needs a value; write --smp=NUMBER"},
		{"run --smp two " + busybox, 125, `--smp is "two"; give a number`},
		{"run --icount=maybe " + busybox, 125, `--icount is "maybe"; give true or false`},
		{"run --no-icount=maybe " + busybox, 125, `--no-icount is "maybe"; give true or false`},
		{"run --no-smp " + busybox, 125, "there is no flag --no-smp"},
		{"run --smp 0 " + busybox, 125, "--smp is 0"},
		{"run --smp 99 " + busybox, 125, "1 to 8"},
		{"run --mem 8 " + busybox, 125, "too few"},
		{"run --mem lots " + busybox, 125, "number of MiB"},
		{"run --machine toaster " + busybox, 125, "toaster"},
		{"run --accel hax " + busybox, 125, "hax"},
		{"run --timeout never " + busybox, 125, "give a time"},
		{"run --workdir here " + busybox, 125, "absolute path"},
		{"run --mount-file /etc/passwd " + busybox, 125, "HOST:GUEST"},
		{"run --mount-file /nonexistent:/x " + busybox, 125, "/nonexistent"},
		{"run --rootfs /nonexistent " + busybox, 125, "/nonexistent"},
		{"run --env =x " + busybox, 125, "NAME=VALUE"},
		{"run /nonexistent", 127, "does not exist"},
		{"run no-such-program", 127, "PATH"},
		{"run /etc", 126, "is a directory"},
		{"run /etc/passwd", 126, "chmod +x"},
		{"run " + text, 126, "neither an ELF program nor a script"},
		{"run " + short, 126, "is cut short"},
		{"run " + compile(t, "-mx32", "-nostdlib", "-Wl,--entry=main"), 126, "is an x32 program"},
		{"run " + compile(t, "-Wl,--dynamic-linker=/lib/ld-none.so"), 126, "/lib/ld-none.so"},
	} {
		got := command(t, strings.Fields(c.args)...)
		if got.code != c.code || !strings.Contains(got.errors, c.want) || got.out != "" {
			t.Errorf("slowpath %s\ngives %d, %q; want %d and %q", c.args, got.code, got.errors, c.code, c.want)
		}
		if c.args != "" && strings.Count(got.errors, "\n") != 1 {
			t.Errorf("slowpath %s prints more than one line:\n%s", c.args, got.errors)
		}
	}
}

func TestMissingKernelSaysHowToBuildIt(t *testing.T) {
	t.Setenv(kernelVariable, "/nonexistent/kernel.elf")
	if got := command(t, "run", "/bin/busybox"); got.code != 125 || !strings.Contains(got.errors, "make build") {
		t.Errorf("got %+v", got)
	}
}

func TestDryRunPrintsQEMUCommand(t *testing.T) {
	kernel := useKernel(t)
	got := command(t, strings.Fields("run -it --smp 2 --mem 1G --icount --append loglevel=7 --dry-run /bin/busybox ls -l")...)
	if got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	for _, want := range []string{"qemu-system-x86_64 ", "-smp 2", "-m 1024", "-icount shift=0,sleep=off", "loglevel=7", kernel} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is not in %s", want, got.out)
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	got := command(t, "help", "run")
	for _, name := range strings.Fields("-i -t -v --smp --mem --rootfs --mount-file --env --workdir --timeout --append --machine --cpu --accel --icount --gdb --dry-run --log") {
		if !strings.Contains(got.out, "\n  "+name) {
			t.Errorf("help does not name %s", name)
		}
	}
	masks := command(t, "help", "masks")
	for _, name := range []string{"--fix", "--json", "--html"} {
		if !strings.Contains(masks.out, "\n  "+name) {
			t.Errorf("help masks does not name %s", name)
		}
	}
	for _, c := range subcommands() {
		if !strings.Contains(command(t, "help").out, c.name) {
			t.Errorf("help does not name %s", c.name)
		}
		if own := command(t, "help", c.name); own.code != 0 || !strings.HasPrefix(own.out, "Usage: slowpath "+c.name) {
			t.Errorf("help %s gives %+v", c.name, own)
		}
	}
	if got := command(t, "help", "mask"); got.code != exitFailure || !strings.Contains(got.errors, `"mask"`) {
		t.Errorf("help for an unknown subcommand gives %+v", got)
	}
	for _, args := range []string{"run -h", "run --help", "run -it --help /bin/true", "masks --help"} {
		name := strings.Fields(args)[0]
		if got := command(t, strings.Fields(args)...); got.code != 0 || got.out != command(t, "help", name).out || got.errors != "" {
			t.Errorf("slowpath %s gives %+v, want the same as slowpath help %s", args, got, name)
		}
	}
	if got := command(t, "version"); got.code != 0 || !strings.HasPrefix(got.out, "slowpath "+release) {
		t.Errorf("version gives %+v", got)
	}
}

func TestDoctorSaysHowToInstallQEMU(t *testing.T) {
	useKernel(t)
	t.Setenv("PATH", t.TempDir())
	got := command(t, "doctor")
	if got.code != exitMissing || !strings.Contains(got.out, "apt-get install -y qemu-system-x86") {
		t.Errorf("got %+v", got)
	}
}

// TestShortFlagsCombine checks groups of short flags, and that neither a flag's
// value nor the program's arguments are taken for flags.
func TestShortFlagsCombine(t *testing.T) {
	for _, group := range []string{"-it", "-ti", "-i -t", "-tiv", "-i=true -t", "--interactive --tty"} {
		line := "--no-interactive " + group + " --env -it --smp 2 --icount prog -it -x"
		f, err := parseRunFlags(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if !f.interactive || !f.terminal || f.verbose != strings.HasSuffix(group, "v") || f.cpus != 2 || !f.icount {
			t.Errorf("%s: the flags are %+v", line, f)
		}
		if len(f.env) != 0 || f.program != "prog" || !slices.Equal(f.args, []string{"prog", "-it", "-x"}) {
			t.Errorf("%s: the environment is %q, the program's arguments are %q", line, f.env, f.args)
		}
	}
}

func TestBooleanFlagsCanBeNegated(t *testing.T) {
	for line, want := range map[string]runFlags{
		"prog":                                     {interactive: true},
		"--no-interactive prog":                    {},
		"-i=false prog":                            {},
		"--interactive=false prog":                 {},
		"--no-interactive=false prog":              {interactive: true},
		"-tv --icount --no-tty --no-icount prog":   {interactive: true, verbose: true},
		"--no-verbose --dry-run --no-dry-run prog": {interactive: true},
		"-- prog --no-interactive":                 {interactive: true},
		"prog --no-interactive":                    {interactive: true},
	} {
		f, err := parseRunFlags(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if f.interactive != want.interactive || f.terminal != want.terminal || f.verbose != want.verbose || f.icount || f.dryRun {
			t.Errorf("%s: the flags are %+v", line, f)
		}
	}
}

func TestValuesFollowSpaceOrEqualsSign(t *testing.T) {
	f, err := parseRunFlags(strings.Fields("--smp=4 --mem=1G --timeout=90 --env=A=b=c --mount-file=/x:/y --workdir=/tmp prog"))
	if err != nil {
		t.Fatal(err)
	}
	if f.cpus != 4 || f.memory != 1024 || time.Duration(f.timeout) != 90*time.Second || !slices.Equal(f.env, []string{"A=b=c"}) ||
		!slices.Equal(f.mounts, []fileMount{{"/x", "/y"}}) || f.workdir != "/tmp" {
		t.Errorf("the flags are %+v", f)
	}
}

func TestFlagValuesAreParsed(t *testing.T) {
	for text, want := range map[string]int{"64": 64, "64M": 64, "64mib": 64, "2G": 2048, "1GiB": 1024, "": 0, "-3": 0, "1T": 0} {
		var m memorySize
		if err := m.Set(text); int(m) != want || (err == nil) != (want != 0) {
			t.Errorf("memory %q is %d, %v; want %d", text, m, err, want)
		}
	}
	for text, want := range map[string]time.Duration{"2": 2 * time.Second, "0.5": time.Second / 2, "1m30s": 90 * time.Second, "0": 0, "-1s": 0} {
		var d duration
		if err := d.Set(text); time.Duration(d) != want || (err == nil) != (want != 0) {
			t.Errorf("time %q is %v, %v; want %v", text, d, err, want)
		}
	}
}

func TestLastValueOfVariableCounts(t *testing.T) {
	t.Setenv("FROM_HOST", "host")
	f := new(runFlags)
	for _, v := range []string{"HOME=/here", "A=1", "A=2", "FROM_HOST", "NOT_SET_ANYWHERE"} {
		if err := f.env.Set(v); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"PATH=" + searchPath, "HOME=/here", "A=2", "FROM_HOST=host"}
	if got := f.environment(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRunFileHasProgramAndTerminal(t *testing.T) {
	f, err := parseRunFlags(strings.Fields("-t --workdir /tmp sh -c ls"))
	if err != nil {
		t.Fatal(err)
	}
	spec := f.spec("/bin/sh")
	if spec.Path != "/bin/sh" || !slices.Equal(spec.Args, []string{"sh", "-c", "ls"}) || spec.Workdir != "/tmp" || spec.Stdio != runspec.Terminal || spec.Rows == 0 {
		t.Errorf("got %+v", spec)
	}
}

func TestSyscallsListsNamesAndArguments(t *testing.T) {
	got := command(t, "syscalls")
	if got.code != 0 || !strings.Contains(got.out, " 39  getpid()\n") || !strings.Contains(got.out, "execve(path, pointer, pointer)") {
		t.Errorf("got %d, %.500s", got.code, got.out)
	}
}
