package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"slowpath/arch/amd64"
	"slowpath/qemu"
)

// runFlags is the command line of run.
type runFlags struct {
	interactive bool
	terminal    bool
	verbose     bool
	log         string
	cpus        int
	memory      memorySize
	rootfs      string
	mounts      fileMounts
	env         environment
	workdir     string
	timeout     duration
	append      string
	exits       string
	machine     string
	cpu         string
	accel       string
	icount      bool
	gdb         string
	dryRun      bool

	program string
	args    []string // argv, the program's name as typed first
}

// flagSet declares the flags of run.
func (f *runFlags) flagSet() *flag.FlagSet {
	set := flag.NewFlagSet("run", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.BoolVar(&f.interactive, "i", true, "pass the standard input on; with -i=false the program's is empty")
	set.BoolVar(&f.terminal, "t", false, "give the program a terminal; -it works too")
	set.BoolVar(&f.verbose, "v", false, "show the kernel's log on standard error")
	set.StringVar(&f.log, "log", "", "keep the kernel's log in `FILE`")
	set.IntVar(&f.cpus, "smp", 1, "`number` of processors")
	set.Var(&f.memory, "mem", "memory in MiB, or with a unit: 64, 512M, 2G; chosen by the size of the root if not given (`SIZE`)")
	set.StringVar(&f.rootfs, "rootfs", "", "pack the directory `DIR` as the root; without it, the root has the program and what it needs to start")
	set.Var(&f.mounts, "mount-file", "put a copy of a host's file into the root, as `HOST:GUEST`; may be repeated")
	set.Var(&f.env, "env", "set an environment variable, as `NAME=VALUE`, or NAME to pass it on; may be repeated")
	set.StringVar(&f.workdir, "workdir", "/", "working directory of the program (`DIR`)")
	set.Var(&f.timeout, "timeout", "end the run after this `TIME`, in seconds or as 1m30s, with exit code 124")
	set.StringVar(&f.exits, "exits", "", "write every return to user mode to `FILE`, for Perfetto, or as a table if it ends in .txt")
	set.StringVar(&f.append, "append", "", "add `TEXT` to the kernel's command line")
	set.StringVar(&f.machine, "machine", qemu.DefaultMachine, "QEMU's `machine`: pc, q35 or microvm")
	set.StringVar(&f.cpu, "cpu", qemu.DefaultCPU, "QEMU's CPU `model`")
	set.StringVar(&f.accel, "accel", string(qemu.TCG), "QEMU's `accelerator`: tcg, kvm, or auto for kvm where it works")
	set.BoolVar(&f.icount, "icount", false, "count instructions instead of time: two runs are identical")
	set.StringVar(&f.gdb, "gdb", "", "wait for gdb at `ADDRESS`, such as tcp::1234, before the first instruction")
	set.BoolVar(&f.dryRun, "dry-run", false, "print QEMU's command line and do not start it")
	return set
}

// parseRunFlags reads the command line of run.
func parseRunFlags(args []string) (*runFlags, error) {
	f := new(runFlags)
	set := f.flagSet()
	if err := set.Parse(splitShortFlags(args)); err != nil {
		return nil, err
	}
	f.args = set.Args()
	if len(f.args) == 0 {
		return nil, fmt.Errorf("no program is given; use slowpath run [FLAG...] PROGRAM [ARGUMENT...]")
	}
	f.program = f.args[0]
	return f, f.check()
}

// check looks at what the flags' types alone do not guarantee.
func (f *runFlags) check() error {
	if f.cpus < 1 || f.cpus > amd64.MaxCPUs {
		return fmt.Errorf("--smp is %d; give the number of processors, 1 to %d, which is as many as the kernel can use", f.cpus, amd64.MaxCPUs)
	}
	if !path.IsAbs(f.workdir) {
		return fmt.Errorf("--workdir is %q; give an absolute path in the guest", f.workdir)
	}
	_, err := qemu.ParseAccel(f.accel)
	return err
}

// splitShortFlags writes -it as -i -t, which the flag package does not know.
func splitShortFlags(args []string) []string {
	var out []string
	for i, arg := range args {
		if arg == "--" || !strings.HasPrefix(arg, "-") {
			return append(out, args[i:]...)
		}
		if arg == "-it" || arg == "-ti" {
			out = append(out, "-i", "-t")
			continue
		}
		out = append(out, arg)
		// The value of a flag must not be taken for the program's name.
		if takesValue(arg) && i+1 < len(args) {
			return append(append(out, args[i+1]), splitShortFlags(args[i+2:])...)
		}
	}
	return out
}

// takesValue reports whether the flag's value is the next argument.
func takesValue(arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	f := new(runFlags).flagSet().Lookup(name)
	if f == nil {
		return false
	}
	boolean, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !boolean.IsBoolFlag()
}

// memorySize is a flag: an amount of memory in MiB.
type memorySize int

func (m *memorySize) String() string { return strconv.Itoa(int(*m)) }

// Set reads 64, 64M, 64MiB, 2G or 2GiB.
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

// duration is a flag: a time in seconds or in Go's notation.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

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

// fileMount is one --mount-file.
type fileMount struct{ host, guest string }

// fileMounts is a flag that may be repeated.
type fileMounts []fileMount

func (m *fileMounts) String() string { return fmt.Sprint([]fileMount(*m)) }

func (m *fileMounts) Set(text string) error {
	host, guest, ok := strings.Cut(text, ":")
	if !ok || host == "" || !path.IsAbs(guest) {
		return fmt.Errorf("give HOST:GUEST, where GUEST is an absolute path")
	}
	*m = append(*m, fileMount{host, guest})
	return nil
}

// environment is a flag that may be repeated.
type environment []string

func (e *environment) String() string { return strings.Join(*e, " ") }

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

// runHelp explains run.
func runHelp(w io.Writer) {
	fmt.Fprint(w, `Usage: slowpath run [FLAG...] PROGRAM [ARGUMENT...]

Runs PROGRAM on the kernel. PROGRAM is looked up on this machine like a shell
does, and is at the same path in the guest. The guest's root has the program,
its #! interpreter, its dynamic loader and libraries as they are found here,
and a few usual directories; if PROGRAM is busybox, its applets are in /bin too.
With --rootfs, the root is a copy of that directory, and PROGRAM is looked up in
it. Nothing the program writes comes back except through its standard output
and standard error.

The exit code is the program's; 128+N when signal N ended it; 124 when the time
was up; 125 when the kernel, QEMU or the command line is at fault; 126 when
PROGRAM cannot be executed; 127 when it is not found.

Flags:
`)
	writeFlags(w, new(runFlags).flagSet())
}

// writeFlags lists the flags of a subcommand for its help.
func writeFlags(w io.Writer, set *flag.FlagSet) {
	set.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if len(f.Name) == 1 {
			name = name[1:]
		}
		fmt.Fprintf(w, "  %s\n", strings.TrimSpace(name+" "+value))
		fmt.Fprintf(w, "        %s\n", text)
	})
}
