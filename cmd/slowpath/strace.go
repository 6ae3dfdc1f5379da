package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"slowpath/qemu"
	"slowpath/qemu/initramfs"
	"slowpath/strace"
	"slowpath/strace/decode"
	"slowpath/tracespec"
)

// straceFlags are the flags of the subcommand strace.
type straceFlags struct {
	active bool

	follow, clock, paths, names, quiet, hex    int
	clockDigits, relativeDigits, elapsedDigits int
	relative, elapsed                          int
	output                                     string
	appendOutput, separate                     bool
	limit, column                              int
	countOnly, countToo                        bool
	count                                      strace.CountOptions
	expressions, files                         []string
	verbose, numbers                           bool
	style                                      decode.Style
	address, stack                             bool
	json                                       bool
	perfetto                                   string
	successful, failed                         bool

	table   *decode.Table
	filter  strace.Filter
	engine  *strace.Engine
	stacks  *callStacks
	outputs outputFiles
	// threads are the files of -ff.
	threads threadFiles
}

// declare declares the flags. They have the letters of strace(1).
func (s *straceFlags) declare(set *pflag.FlagSet) {
	set.CountVarP(&s.follow, "follow-forks", "f", "show the processes and threads that the program makes; twice, with -o: write each thread to the file FILE.TID")
	set.BoolVar(&s.separate, "output-separately", false, "write each thread to the file FILE.TID of -o")
	set.StringVarP(&s.output, "output", "o", "", "write to `FILE` instead of standard error")
	set.BoolVarP(&s.appendOutput, "output-append-mode", "A", false, "append to the file of -o")
	set.StringArrayVarP(&s.expressions, "expr", "e", nil, "show only what `EXPR` selects: trace=open,%file, signal=SIGCHLD, status=failed; or change calls: inject=open:error=ENOENT; may be repeated")
	for _, name := range shortcuts {
		set.VarPF(value(s.expression(name)), name, "", "the same as -e "+name+"=`SET`").Hidden = true
	}
	set.IntVarP(&s.limit, "string-limit", "s", 32, "print at most `SIZE` characters of a string")
	set.BoolVarP(&s.verbose, "no-abbrev", "v", false, "print structures and arrays completely")
	s.declareFiles(set)
	s.declareTimes(set)
	s.declareCount(set)
	set.BoolVarP(&s.address, "instruction-pointer", "i", false, "print the address of each call")
	set.BoolVarP(&s.stack, "stack-trace", "k", false, "print the callers of each call")
	set.IntVarP(&s.column, "columns", "a", 40, "print results from `COLUMN` on")
	repeated(set, &s.quiet, "quiet", "q", "print no lines for new threads; twice: nor for the ends of threads. The long form may have a list of attach, exit and thread-execve", s.expression("quiet"))
	set.BoolVarP(&s.successful, "successful-only", "z", false, "print only calls that succeed")
	set.BoolVarP(&s.failed, "failed-only", "Z", false, "print only calls that fail")
	set.BoolVar(&s.json, "json", false, "write JSON, one object in each line")
	set.StringVar(&s.perfetto, "perfetto", "", "write the calls as slices to `FILE`, for ui.perfetto.dev")
	declareRefused(set)
}

// maxStringLimit is the maximum of -s: a string fits into a record.
const maxStringLimit = tracespec.MaxBytes - 1

// check refuses values that are not possible, and parses the expressions.
func (s *straceFlags) check() error {
	if s.separate && s.follow > 0 {
		s.follow = max(s.follow, 2)
	}
	switch {
	case s.limit < 0 || s.limit > maxStringLimit:
		return fmt.Errorf("-s is %d; give a number of characters, at most %d", s.limit, maxStringLimit)
	case s.column < 0 || s.column > 1000:
		return fmt.Errorf("-a is %d; give a column, at most 1000", s.column)
	case s.follow > 1 && s.output == "":
		return errors.New("-ff writes files; add -o FILE")
	case s.countOnly && s.countToo:
		return errors.New("-c and -C exclude each other")
	case s.follow > 1 && s.json:
		return errors.New("--json writes one file; use -f instead of -ff")
	}
	if s.successful {
		s.expressions = append(s.expressions, "status=successful")
	}
	if s.failed {
		s.expressions = append(s.expressions, "status=failed")
	}
	if s.names > 0 {
		s.expressions = append(s.expressions, "decode-pids=comm")
	}
	calls := decode.New(decode.Options{})
	for _, e := range s.expressions {
		if err := s.filter.Add(calls, e); err != nil {
			return err
		}
	}
	if s.appendOutput && s.output == "" {
		return errors.New("-A appends to a file; add -o FILE")
	}
	s.threads.append = s.appendOutput
	s.table = decode.New(s.decodeOptions())
	return nil
}

// straceCommand is the subcommand strace.
func straceCommand(std standard, args []string) int {
	return runParsed(std, args, parseStraceFlags, straceHelp, "slowpath help strace explains the flags")
}

// straceFlagSet returns the flags of strace, and those of run that have other names. The
// latter have no letters, because strace's letters have another meaning.
func straceFlagSet(f *runFlags) *pflag.FlagSet {
	set := newFlagSet("strace")
	f.strace.declare(set)
	f.flagSet().VisitAll(func(flag *pflag.Flag) {
		if set.Lookup(flag.Name) != nil || probeOnly[flag.Name] {
			return
		}
		long := *flag
		long.Shorthand = ""
		if flag.Name == "env" {
			long.Shorthand = "E" // as in strace
		}
		set.AddFlag(&long)
	})
	return set
}

// probeOnly are the flags of run that only concern probes.
var probeOnly = map[string]bool{"probe": true, "stack": true, "latency": true, "no-latency": true, "count": true, "no-count": true, "no-json": true}

func parseStraceFlags(args []string) (*runFlags, error) {
	f := new(runFlags)
	if err := f.parse("strace", straceFlagSet(f), args); err != nil {
		return nil, err
	}
	f.strace.active = true
	if err := f.strace.check(); err != nil {
		return nil, err
	}
	return f, f.check()
}

// addCallPlan packs the plan of strace, and makes the engine.
func (f *runFlags) addCallPlan(std standard, tree *initramfs.Tree, program string) error {
	s := &f.strace
	if !s.active {
		return nil
	}
	plan := s.filter.Plan(s.table)
	plan.Follow = s.follow > 0
	if s.stack {
		plan.Stack = tracespec.MaxStack
		s.stacks = newCallStacks(guestFiles{f})
	}
	text, err := plan.Marshal()
	if err != nil {
		return err
	}
	tree.File(tracespec.Path, 0o600, text)
	sinks, err := s.sinks(std.err)
	if err != nil {
		return err
	}
	s.engine = strace.New(s.table, strace.Start{
		Path: program, Arguments: f.args, Variables: len(f.environment()), Hidden: plan.Calls[unix.SYS_EXECVE] == nil, Files: s.fileSet(),
	}, sinks...)
	return nil
}

// sinks opens the outputs.
func (s *straceFlags) sinks(errors io.Writer) (sinks []strace.Sink, err error) {
	out := errors
	if s.output != "" && s.follow < 2 {
		create := s.outputs.create
		if s.appendOutput {
			create = s.outputs.extend
		}
		if out, err = create(s.output, "-o"); err != nil {
			return nil, err
		}
	}
	if s.perfetto != "" {
		file, err := s.outputs.create(s.perfetto, "--perfetto")
		if err != nil {
			return nil, err
		}
		sinks = append(sinks, strace.NewPerfetto(s.table, file))
	}
	switch {
	case s.json:
		sinks = append(sinks, strace.NewJSON(s.table, out))
	case s.countOnly:
	default:
		sinks = append(sinks, s.text(out))
	}
	if s.countOnly || s.countToo {
		sinks = append(sinks, strace.NewCount(out, s.count))
	}
	return sinks, nil
}

// text returns the sink that prints as strace does.
func (s *straceFlags) text(out io.Writer) strace.Sink {
	o := strace.TextOptions{
		Output:   func(uint32) (io.Writer, error) { return out, nil },
		Separate: s.follow > 1, AlwaysPID: s.follow == 1 && s.output != "",
		// strace prints no messages if it writes to a file.
		Messages: !s.quiets("attach", 1) && s.output == "", Modes: !s.quiets("personality", 1), Exits: !s.quiets("exit", 2), Superseded: !s.quiets("thread-execve", 3),
		Relative: s.relative > 0, RelativeDigits: s.relativeDigits, Elapsed: s.elapsed > 0, ElapsedDigits: s.elapsedDigits,
		Address: s.address, Names: s.filter.Names, Column: s.column, Signal: s.filter.ShowsSignal,
	}
	o.Clock, o.ClockDigits = s.clockOptions()
	if s.follow > 1 {
		o.Output = func(thread uint32) (io.Writer, error) {
			return s.threads.create(fmt.Sprintf("%s.%d", s.output, thread))
		}
	}
	if s.filter.Statuses != nil {
		o.Shown = s.filter.ShowsEnd
	}
	if s.stacks == nil {
		return strace.NewText(s.table, o, nil)
	}
	o.Stack = s.stacks.lines
	return strace.NewText(s.table, o, s.stacks.unwinder.Map)
}

// connect connects the engine to the kernel's records.
func (s *straceFlags) connect(streams *qemu.Streams) {
	if s.engine != nil {
		streams.Calls = s.engine.Write
	}
}

// close ends the output, and reports records that were lost.
func (s *straceFlags) close(std standard) error {
	if s.engine == nil {
		return nil
	}
	err := cmp.Or(s.engine.Close(), s.outputs.close(), s.threads.close())
	if n := s.engine.Lost(); n > 0 {
		fmt.Fprintf(std.err, "slowpath: %d records of system calls and signals were lost: they were not read for ten seconds, or their task was killed\n", n)
	}
	return err
}

// straceHelp prints the help of the subcommand strace.
func straceHelp(w io.Writer) {
	io.WriteString(w, `Usage: slowpath strace [FLAG...] PROGRAM [ARGUMENT...]

Runs PROGRAM as slowpath run does, and prints its system calls and signals in
the format of strace 6.1. The program is not traced: the kernel copies what the
calls' arguments point to, and this command decodes it, so the program cannot
notice it and can itself be a debugger. Lines are written to standard error, or
to the file of -o. The exit code is that of slowpath run.

-e SET, or -e trace=SET, selects calls: a list of names, /regular expressions,
%file, %process, %network, %signal, %ipc, %desc, %memory, %creds, %clock,
%stat, %%stat and so on; ! before the list inverts it. -e signal=SET selects
signals, -e status=SET calls that are successful, failed or unfinished.
-P PATH shows only calls that access a file. -e abbrev=SET, verbose=SET and
raw=SET choose how the arguments of calls are printed, -e read=FDS and
write=FDS dump the data of descriptors. -e quiet=, decode-fds= and decode-pids=
are the same as the long forms of -q, -y and -Y.
-e inject=SET:error=ERRNO makes calls fail without executing them; retval=N,
signal=SIG, delay_enter=TIME, delay_exit=TIME and when=FIRST[..LAST][+[STEP]]
are as in strace.

Times of -c are elapsed times. With --smp, lines of several CPUs are in the
order in which the kernel has recorded them.

Flags:
`)
	writeFlags(w, straceFlagSet(new(runFlags)))
}
