package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"slowpath/arch/amd64"
	"slowpath/qemu"
)

// runFlags is the parsed command line of the subcommand run.
type runFlags struct {
	interactive bool
	terminal    bool
	verbose     bool
	log         string
	cpus        cpuCount
	memory      memorySize
	rootfs      string
	mounts      fileMounts
	env         environment
	workdir     string
	timeout     duration
	append      string
	exits       string
	live        bool
	core        string
	machine     string
	cpu         string
	accel       string
	icount      bool
	gdb         string
	dryRun      bool
	probes      probeFlags
	strace      straceFlags

	program string
	args    []string // argv; argv[0] is the program's name as typed
}

// newFlagSet returns an empty flag set for a subcommand. Flags end at the first
// argument that is not a flag: what follows belongs to the program. The set
// prints nothing itself, because errors are reported by fail.
func newFlagSet(name string) *pflag.FlagSet {
	set := pflag.NewFlagSet(name, pflag.ContinueOnError)
	set.SetInterspersed(false)
	set.SetOutput(io.Discard)
	set.SortFlags = false
	set.Usage = func() {}
	return set
}

// flagSet declares the flags of run, in the order in which the help lists them.
func (f *runFlags) flagSet() *pflag.FlagSet {
	set := newFlagSet("run")
	set.BoolVarP(&f.interactive, "interactive", "i", true, "pass standard input to the program; with --no-interactive the program's standard input is empty")
	set.BoolVarP(&f.terminal, "tty", "t", false, "give the program a terminal; -it combines with -i")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "print the kernel's log on standard error")
	set.StringVar(&f.log, "log", "", "write the kernel's log to `FILE`")
	f.cpus = 1
	set.Var(&f.cpus, "smp", "`NUMBER` of processors (default 1)")
	set.Var(&f.memory, "mem", "memory `SIZE` in MiB, or with a unit: 64, 512M, 2G; by default it depends on the size of the root file system")
	set.StringVar(&f.rootfs, "rootfs", "", "copy the directory `DIR` as the root file system; by default the root has the program and the files that it needs to start")
	set.Var(&f.mounts, "mount-file", "copy a file of this machine into the root file system, as `HOST:GUEST`; may be repeated")
	set.Var(&f.env, "env", "set an environment variable with `NAME=VALUE`, or pass on the caller's with NAME; may be repeated")
	set.StringVar(&f.workdir, "workdir", "/", "start the program in the directory `DIR`")
	set.Var(&f.timeout, "timeout", "end the run after `TIME`, in seconds or as 1m30s, with exit code 124")
	set.StringVar(&f.exits, "exits", "", "record system calls, other visits to the kernel, switches, wake-ups, signals and page faults in `FILE`, for Perfetto, or as a table if the name ends in .txt")
	set.BoolVar(&f.live, "live", false, "show calls, faults and signals per second by task while the program runs; q ends the run")
	set.StringVar(&f.core, "core", "", "write the core file of the last process that crashed to `FILE`, for gdb PROGRAM FILE")
	f.probes.declare(set)
	set.StringVar(&f.append, "append", "", "append `TEXT` to the kernel's command line")
	set.StringVar(&f.machine, "machine", qemu.DefaultMachine, "QEMU `MACHINE`: pc, q35 or microvm")
	set.StringVar(&f.cpu, "cpu", qemu.DefaultCPU, "QEMU CPU `MODEL`")
	set.StringVar(&f.accel, "accel", string(qemu.TCG), "QEMU `ACCELERATOR`: tcg, kvm, or auto, which uses kvm where it works")
	set.BoolVar(&f.icount, "icount", false, "derive the guest's time from the instruction count, so that two runs are identical")
	set.StringVar(&f.gdb, "gdb", "", "wait for gdb at `ADDRESS`, such as tcp::1234, before the first instruction")
	set.BoolVar(&f.dryRun, "dry-run", false, "print QEMU's command line and do not start QEMU")
	addNegations(set)
	return set
}

// negation is the flag --no-NAME: it sets the boolean flag NAME to false.
type negation struct{ pflag.Value }

// Set takes true for --no-NAME and --no-NAME=true.
func (n negation) Set(text string) error {
	no, err := strconv.ParseBool(text)
	if err != nil {
		return err
	}
	return n.Value.Set(strconv.FormatBool(!no))
}

// addNegations declares --no-NAME for each boolean flag of the set. The help
// describes them in one sentence instead of a row each.
func addNegations(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() != "bool" {
			return
		}
		no := set.VarPF(negation{f.Value}, "no-"+f.Name, "", "negate --"+f.Name)
		no.NoOptDefVal = "true"
		no.Hidden = true
	})
}

// parseRunFlags parses the command line of run. It returns pflag.ErrHelp for -h
// and --help. Other errors are sentences for the user.
func parseRunFlags(args []string) (*runFlags, error) {
	f := new(runFlags)
	if err := f.parse("run", f.flagSet(), args); err != nil {
		return nil, err
	}
	return f, f.check()
}

// parse parses the flags of a subcommand and the program after them. It returns
// pflag.ErrHelp for -h and --help. Other errors are sentences for the user.
func (f *runFlags) parse(subcommand string, set *pflag.FlagSet, args []string) error {
	if err := set.Parse(args); err != nil {
		return explainFlagError(set, err)
	}
	f.args = set.Args()
	if len(f.args) == 0 {
		return fmt.Errorf("no program is given; use slowpath %s [FLAG...] PROGRAM [ARGUMENT...]", subcommand)
	}
	f.program = f.args[0]
	return nil
}

// explainFlagError turns an error of pflag into a sentence that says what to
// do. It returns pflag.ErrHelp unchanged.
func explainFlagError(set *pflag.FlagSet, err error) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var badValue *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return unknownFlagError(set, unknown)
	case errors.As(err, &noValue):
		value, _ := pflag.UnquoteUsage(noValue.GetFlag())
		return fmt.Errorf("--%s needs a value; write --%[1]s=%s", noValue.GetFlag().Name, value)
	case errors.As(err, &badValue):
		if r, ok := badValue.GetFlag().Value.(refusal); ok {
			return fmt.Errorf("--%s is not possible: %s", badValue.GetFlag().Name, r.reason)
		}
		advice := badValue.Unwrap().Error()
		if badValue.GetFlag().Value.Type() == "bool" {
			advice = "give true or false, or no value at all"
		}
		return fmt.Errorf("--%s is %q; %s", badValue.GetFlag().Name, badValue.GetValue(), advice)
	}
	return err
}

// unknownFlagError names the unknown flag. In a group of short flags such as
// -smp, it names the long flag that was probably meant.
func unknownFlagError(set *pflag.FlagSet, unknown *pflag.NotExistError) error {
	group := unknown.GetSpecifiedShortnames()
	if group == "" {
		return fmt.Errorf("there is no flag --%s", unknown.GetSpecifiedName())
	}
	if name, _, _ := strings.Cut(group, "="); set.Lookup(name) != nil {
		return fmt.Errorf("there is no flag -%s; write --%s with two dashes", unknown.GetSpecifiedName(), name)
	}
	return fmt.Errorf("there is no flag -%s", unknown.GetSpecifiedName())
}

// check validates what the flags' types alone do not guarantee.
func (f *runFlags) check() error {
	if f.cpus < 1 || f.cpus > amd64.MaxCPUs {
		return fmt.Errorf("--smp is %d; give the number of processors, 1 to %d, which is the kernel's limit", f.cpus, amd64.MaxCPUs)
	}
	if !path.IsAbs(f.workdir) {
		return fmt.Errorf("--workdir is %q; give an absolute path in the guest", f.workdir)
	}
	if err := f.probes.check(); err != nil {
		return err
	}
	if err := f.checkLive(); err != nil {
		return err
	}
	_, err := qemu.ParseAccel(f.accel)
	return err
}

// checkLive refuses other users of the terminal beside the view of --live.
func (f *runFlags) checkLive() error {
	switch {
	case !f.live:
		return nil
	case f.terminal:
		return errors.New("--live and --tty both need the terminal; run without one of them")
	case f.verbose:
		return errors.New("--live and --verbose both need the terminal; write the kernel's log to a file with --log FILE")
	case len(f.probes.specs) > 0 && f.probes.output == "":
		return errors.New("--live and the hits of probes both need the terminal; write the hits to a file with -o FILE")
	}
	return nil
}

// cpuCount is a flag value: a number of processors.
type cpuCount int

func (c *cpuCount) String() string { return strconv.Itoa(int(*c)) }

func (c *cpuCount) Type() string { return "number" }

// Set accepts any whole number; check limits it.
func (c *cpuCount) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("give a number of processors, such as 4")
	}
	*c = cpuCount(n)
	return nil
}

// memorySize is a flag value: an amount of memory in MiB.
type memorySize int

func (m *memorySize) String() string { return strconv.Itoa(int(*m)) }

func (m *memorySize) Type() string { return "size" }

// Set accepts 64, 64M, 64MiB, 2G or 2GiB.
func (m *memorySize) Set(text string) error {
	digits := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "IB"), "B")
	factor := 1
	if rest, ok := strings.CutSuffix(digits, "G"); ok {
		digits, factor = rest, 1024
	} else {
		digits = strings.TrimSuffix(digits, "M")
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > 1<<20 {
		return fmt.Errorf("give a number of MiB, such as 64, 512M or 2G")
	}
	*m = memorySize(n * factor)
	return nil
}

// duration is a flag value: a time in seconds or in Go's notation.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

func (d *duration) Type() string { return "time" }

// Set accepts 30, 0.5, 30s or 1m30s.
func (d *duration) Set(text string) error {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e9 {
		*d = duration(seconds * float64(time.Second))
		return nil
	}
	t, err := time.ParseDuration(text)
	if err != nil || t <= 0 {
		return fmt.Errorf("give a time such as 30, 30s or 1m30s")
	}
	*d = duration(t)
	return nil
}

// fileMount is the value of one --mount-file.
type fileMount struct{ host, guest string }

// fileMounts is the value of --mount-file, which may be repeated.
type fileMounts []fileMount

func (m *fileMounts) String() string { return fmt.Sprint([]fileMount(*m)) }

func (m *fileMounts) Type() string { return "files" }

// Set appends one HOST:GUEST pair.
func (m *fileMounts) Set(text string) error {
	host, guest, ok := strings.Cut(text, ":")
	if !ok || host == "" || !path.IsAbs(guest) {
		return fmt.Errorf("give HOST:GUEST, where GUEST is an absolute path")
	}
	*m = append(*m, fileMount{host, guest})
	return nil
}

// environment is the value of --env, which may be repeated.
type environment []string

func (e *environment) String() string { return strings.Join(*e, " ") }

func (e *environment) Type() string { return "variable" }

// Set appends NAME=VALUE. For a NAME alone it appends the caller's variable, or
// nothing if the caller has none of that name.
func (e *environment) Set(text string) error {
	name, _, given := strings.Cut(text, "=")
	if name == "" {
		return fmt.Errorf("give NAME=VALUE or NAME")
	}
	if given {
		*e = append(*e, text)
	} else if value, ok := os.LookupEnv(name); ok {
		*e = append(*e, name+"="+value)
	}
	return nil
}

// runHelp prints the help of the subcommand run.
func runHelp(w io.Writer) {
	fmt.Fprint(w, `Usage: slowpath run [FLAG...] PROGRAM [ARGUMENT...]

Runs PROGRAM on the kernel. PROGRAM is looked up on this machine as a shell
does, and has the same path in the guest. The guest's root file system has the
program, its #! interpreter, its dynamic loader and its libraries, copied from
this machine, and the usual directories. If PROGRAM is busybox, /bin has its
applets too. With --rootfs, the root file system is a copy of that directory,
and PROGRAM is looked up in it. Files that the program writes are lost at the
end; only its standard output and standard error are kept.

The exit code is the program's; 128+N if signal N ended it; 124 after a timeout;
125 if the kernel, QEMU or the command line is at fault; 126 if PROGRAM cannot
be executed; 127 if it is not found.

Flags end at PROGRAM. Short flags combine (-it), values follow a space or an
equals sign (--smp 2, --smp=2), and --no-NAME negates a flag without a value.

Flags:
`)
	writeFlags(w, new(runFlags).flagSet())
}

// writeFlags lists the flags of a subcommand for its help.
func writeFlags(w io.Writer, set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(w, "  %s\n", strings.TrimSpace(name+" "+value))
		fmt.Fprintf(w, "        %s\n", text)
	})
}
