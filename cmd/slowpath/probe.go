package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"slowpath/probe/plan"
	"slowpath/probe/report"
	"slowpath/probe/spec"
	"slowpath/probespec"
	"slowpath/qemu/initramfs"
)

// probeFlags are the flags of run and probe that are about probes, and what follows from
// them.
type probeFlags struct {
	specs    []string
	output   string
	json     bool
	perfetto string
	stack    uint
	latency  bool
	count    bool

	plan     *plan.Plan
	reporter *report.Reporter
	files    outputFiles
}

// declare declares the flags.
func (p *probeFlags) declare(set *pflag.FlagSet) {
	set.StringArrayVar(&p.specs, "probe", nil, "show each execution of the place that `SPEC` names, such as main, libc:malloc or hello.c:12(i); may be repeated; slowpath help probe explains it")
	set.StringVarP(&p.output, "output", "o", "", "write the hits of probes to `FILE` instead of standard error")
	set.BoolVar(&p.json, "json", false, "write the hits as JSON, one object in each line")
	set.StringVar(&p.perfetto, "perfetto", "", "write the calls as slices to `FILE`, for ui.perfetto.dev")
	set.UintVar(&p.stack, "stack", 0, "show the callers at each hit, as far as `BYTES` of the stack have them, at most 16384 (8192 without a number: --stack)")
	set.Lookup("stack").NoOptDefVal = "8192"
	set.BoolVar(&p.latency, "latency", false, "show at the end how long the calls took, with a histogram for each function")
	set.BoolVar(&p.count, "count", false, "show at the end how often each probe was hit")
}

// check refuses flags without a probe.
func (p *probeFlags) check() error {
	if len(p.specs) == 0 && (p.output != "" || p.json || p.perfetto != "" || p.stack != 0 || p.latency || p.count) {
		return errors.New("-o, --json, --perfetto, --stack, --latency and --count show the hits of probes; add --probe SPEC")
	}
	if p.stack > probespec.MaxStack {
		return fmt.Errorf("--stack is %d; give at most %d bytes", p.stack, probespec.MaxStack)
	}
	return nil
}

// probe is the subcommand probe: run with the first argument as a probe.
func probe(std standard, args []string) int {
	return runParsed(std, args, parseProbeFlags, probeHelp, "slowpath help probe shows examples")
}

// parseProbeFlags parses the command line of probe.
func parseProbeFlags(args []string) (*runFlags, error) {
	f := new(runFlags)
	set := f.flagSet()
	if err := set.Parse(args); err != nil {
		return nil, explainFlagError(set, err)
	}
	first := set.Args()
	if len(first) > 0 {
		// Flags may also stand between SPEC and PROGRAM.
		if err := set.Parse(first[1:]); err != nil {
			return nil, explainFlagError(set, err)
		}
	}
	f.args = set.Args()
	if len(first) == 0 || len(f.args) == 0 {
		return nil, errors.New("no probe or no program is given; use slowpath probe [FLAG...] SPEC PROGRAM [ARGUMENT...]")
	}
	f.probes.specs = append([]string{first[0]}, f.probes.specs...)
	f.program = f.args[0]
	return f, f.check()
}

// guestFiles opens the files of the guest on the host. It implements symbols.Files.
type guestFiles struct{ flags *runFlags }

// Open opens the file that is at a path in the guest.
func (g guestFiles) Open(name string) (*os.File, error) {
	for _, m := range g.flags.mounts {
		if m.guest == name {
			return os.Open(m.host)
		}
	}
	f, err := (initramfs.Host{Root: g.flags.rootfs}).Open(name)
	if err != nil && g.flags.rootfs != "" {
		// A program that is not in the root comes from the host.
		if f, hostErr := os.Open(name); hostErr == nil {
			return f, nil
		}
	}
	return f, err
}

// required returns the files that the program needs to start, the program first.
func (f *runFlags) required(program string) ([]string, error) {
	req, err := (initramfs.Host{Root: f.rootfs}).Require(program)
	if err != nil && f.rootfs != "" {
		req, err = initramfs.Host{}.Require(program)
	}
	if err != nil {
		return nil, err
	}
	return req.Files, nil
}

// addProbes resolves the probes, and packs the probe file.
func (f *runFlags) addProbes(std standard, tree *initramfs.Tree, program string) error {
	p := &f.probes
	if len(p.specs) == 0 {
		return nil
	}
	request := plan.Request{Files: guestFiles{f}, Returns: p.latency || p.perfetto != "", Stack: int(p.stack)}
	for _, text := range p.specs {
		s, err := spec.Parse(text)
		if err != nil {
			return err
		}
		request.Specs = append(request.Specs, s)
	}
	var err error
	if request.Program, err = f.required(program); err != nil {
		return err
	}
	if p.plan, err = plan.New(request); err != nil {
		return err
	}
	for _, note := range p.plan.Notes {
		fmt.Fprintf(std.err, "slowpath: note: %s\n", note)
	}
	text, err := p.plan.File.Marshal()
	if err != nil {
		return err
	}
	tree.File(probespec.Path, 0o600, text)
	if err := f.addProbedFiles(tree); err != nil {
		return err
	}
	return p.open(std.err)
}

// addProbedFiles packs files that are probed but that the program does not need to start,
// such as a library that it loads later. A root directory has its own files.
func (f *runFlags) addProbedFiles(tree *initramfs.Tree) error {
	for _, name := range f.probes.plan.File.Files {
		if f.rootfs != "" || tree.Has(name) {
			continue
		}
		if err := tree.HostFile(name, name); err != nil {
			return err
		}
	}
	return nil
}

// open opens the output and makes the reporter.
func (p *probeFlags) open(errors io.Writer) error {
	out := errors
	if p.output != "" {
		file, err := p.files.create(p.output, "-o")
		if err != nil {
			return err
		}
		out = file
	}
	var sinks []report.Sink
	if p.perfetto != "" {
		file, err := p.files.create(p.perfetto, "--perfetto")
		if err != nil {
			return err
		}
		sinks = append(sinks, report.NewPerfetto(file))
	}
	if p.latency {
		sinks = append(sinks, report.NewLatency(out))
	}
	if p.count {
		sinks = append(sinks, report.NewCount(out))
	}
	switch {
	case p.json:
		sinks = append(sinks, report.NewJSON(out))
	case len(sinks) == 0:
		sinks = append(sinks, report.NewText(out))
	}
	p.reporter = report.New(p.plan, sinks...)
	return nil
}

// outputFiles are the files that a subcommand writes.
type outputFiles []*os.File

// create creates the file of a flag.
func (o *outputFiles) create(name, flag string) (*os.File, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("cannot write the file of %s: %w", flag, err)
	}
	*o = append(*o, file)
	return file, nil
}

// extend opens the file of a flag at its end.
func (o *outputFiles) extend(name, flag string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("cannot write the file of %s: %w", flag, err)
	}
	*o = append(*o, file)
	return file, nil
}

// close closes the files. Error: the first one.
func (o outputFiles) close() (err error) {
	for _, f := range o {
		err = cmp.Or(err, f.Close())
	}
	return err
}

// memory returns about how much memory the probes need in the guest, in bytes.
func (p *probeFlags) memory() int {
	const perProbe = 4 << 10
	if p.plan == nil {
		return 0
	}
	return len(p.plan.Probes) * perProbe
}

// close ends the output, and reports probes that could not be set and hits that were lost.
func (p *probeFlags) close(std standard) error {
	if p.reporter == nil {
		return nil
	}
	summary, err := p.reporter.Close()
	err = cmp.Or(err, p.files.close())
	p.reportFailures(std)
	if summary.Lost > 0 {
		fmt.Fprintf(std.err, "slowpath: %d hits were lost: they were not read for ten seconds, or their task was killed\n", summary.Lost)
	}
	p.plan.Objects.Close()
	return err
}

// fatal reports whether the program does not start because of a failure: the probe is
// required, or its file is missing.
func (p *probeFlags) fatal(f probespec.Failure) bool {
	return unix.Errno(f.Errno) == unix.ENOENT || !p.plan.File.Probes[f.ID].Optional
}

// failures returns the failures of probes that exist.
func (p *probeFlags) failures() []probespec.Failure {
	if p.reporter == nil {
		return nil
	}
	return slices.DeleteFunc(p.reporter.Failures(), func(f probespec.Failure) bool { return int(f.ID) >= len(p.plan.Probes) })
}

// name returns the name of a probe, by the number that the kernel knows.
func (p *probeFlags) name(id uint32) string {
	if p.plan == nil || int(id) >= len(p.plan.Probes) {
		return fmt.Sprintf("probe %d", id)
	}
	return report.Name(&p.plan.Probes[id])
}

// refused reports whether the program did not start because of a probe.
func (p *probeFlags) refused() bool { return slices.ContainsFunc(p.failures(), p.fatal) }

// failureReasons say why the kernel has refused a probe.
var failureReasons = map[unix.Errno]string{
	errNotSupported: "the instruction there cannot be probed: it is privileged, or a breakpoint or interrupt itself",
	unix.EOPNOTSUPP: "the exits of this Go function are not known, and its return address must not be replaced because its stack may move",
	unix.ENOEXEC:    "there is no valid instruction; an address must be that of the first byte of one",
	unix.ENOENT:     "the file is not in the guest; copy it there with --mount-file FILE:FILE",
	unix.ENOMEM:     "the memory is too short; give the machine more with --mem",
	unix.EINVAL:     "the place is not in a regular file, or beyond its end",
	unix.EIO:        "the file cannot be mapped",
}

// errNotSupported is the kernel's ENOTSUPP, which has no name in user space.
const errNotSupported = unix.Errno(524)

// reason returns why a probe could not be set.
func reason(f probespec.Failure) string {
	if text := failureReasons[unix.Errno(f.Errno)]; text != "" {
		return text
	}
	return unix.Errno(f.Errno).Error()
}

// reportFailures reports the probes that could not be set: the first of each text that is
// the reason why the program did not start, and the number of the others with an example.
func (p *probeFlags) reportFailures(std standard) {
	optional, example := 0, ""
	reported := map[string]bool{}
	for _, f := range p.failures() {
		probe := &p.plan.Probes[f.ID]
		switch {
		case !p.fatal(f):
			optional++
			example = probe.Site.Name + ": " + reason(f)
		case !reported[probe.Spec.Text]:
			reported[probe.Spec.Text] = true
			fail(std, "the probe %q cannot be set at %s in %s: %s", probe.Spec.Text, probe.Site.Name, probe.Site.Object.Path, reason(f))
		}
	}
	if optional > 0 {
		fmt.Fprintf(std.err, "slowpath: note: %d of %d probes could not be set, for example %s\n", optional, len(p.plan.Probes), example)
	}
}

// probeHelp prints the help of the subcommand probe.
func probeHelp(w io.Writer) {
	fmt.Fprint(w, `Usage: slowpath probe [FLAG...] SPEC [FLAG...] PROGRAM [ARGUMENT...]

Runs PROGRAM as slowpath run does, and shows each execution of the places that
SPEC names, with arguments. The program's output and exit code are unchanged.
Hits are written to standard error, or to the file of -o.

SPEC is one of these; add more probes with --probe SPEC:

  FUNC               the entry of a function of the program
  FUNC(ARG,...)      the same, with values; FUNC(*) shows all parameters
  FUNC%return        the return of a function, with its result
  FUNC:LINE(ARG,...) a line of a function; its first line has the number 0
  FILE:LINE(ARG,...) a line of a source file
  FUNC+OFFSET        an instruction of a function, by its offset in bytes
  FUNC+*             each instruction of a function
  0xADDRESS          an instruction, by its address as objdump -d prints it
  LIBRARY:SPEC       a place in a library: libc:malloc, /lib/x.so:f

FUNC is a name of C, C++, Rust or Go: main, ns::Class::method, main.(*T).Method.
* and ? stand for any characters and for one: 'main.*'. FUNC@FILE is the function
that FILE defines. A name without wildcards also means the inlined copies of the
function. ARG is x, p->next, s.field, *p or a[3], with a label as in n=s.len, or
a register: %rdi, %rdi:string. $arg1 is an argument by C's calling convention; the
types are u8 to u64, s8 to s64, x8 to x64, char, bool and string. Without debug
information (gcc -g) only registers and $arg1 have values.

A function may end with a jump to another one (a tail call). Then its return has no
result, and its time ends at the jump; the other function has the result.

A probe on a Go function is behind the check of its stack, so a call that first
grows the stack is counted once.

Examples:

  slowpath probe main.main ./goprogram
  slowpath probe 'libc:malloc($arg1:u64)' --probe libc:malloc%return ./program
  slowpath probe --latency 'main.*' ./goprogram
  slowpath probe --stack libc:write /bin/ls
  slowpath probe --perfetto calls.json '*' ./program
  slowpath probe --json -o hits.json 'hello.c:12(i,name)' ./hello

The flags are those of slowpath run.
`)
}
