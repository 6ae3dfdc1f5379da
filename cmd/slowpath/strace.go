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

	follow, clock, paths, quiet, hex int
	output                           string
	limit, column                    int
	countOnly, countToo              bool
	expressions                      []string
	relative, elapsed, verbose       bool
	address, stack                   bool
	json                             bool
	perfetto                         string
	successful, failed               bool

	table  *decode.Table
	filter strace.Filter
	engine *strace.Engine
	stacks *callStacks
	files  outputFiles
	// threads are the files of -ff.
	threads threadFiles
}

// declare declares the flags. They have the letters of strace(1).
func (s *straceFlags) declare(set *pflag.FlagSet) {
	set.CountVarP(&s.follow, "follow-forks", "f", "show the processes and threads that the program makes; twice, with -o: write each thread to the file FILE.TID")
	set.StringVarP(&s.output, "output", "o", "", "write to `FILE` instead of standard error")
	set.StringArrayVarP(&s.expressions, "expr", "e", nil, "show only what `EXPR` selects: trace=open,%file, signal=SIGCHLD, status=failed; or change calls: inject=open:error=ENOENT; may be repeated")
	set.BoolVarP(&s.countOnly, "summary-only", "c", false, "only count calls, errors and times, and print a table at the end")
	set.BoolVarP(&s.countToo, "summary", "C", false, "print the calls, and the table of -c at the end")
	set.IntVarP(&s.limit, "string-limit", "s", 32, "print at most `SIZE` characters of a string")
	set.BoolVarP(&s.verbose, "no-abbrev", "v", false, "print structures and arrays completely")
	set.CountVarP(&s.paths, "decode-fds", "y", "print the names of open files")
	set.CountVarP(&s.clock, "absolute-timestamps", "t", "print the time of day in each line; twice: with microseconds; three times: in seconds since 1970")
	set.BoolVarP(&s.relative, "relative-timestamps", "r", false, "print the time since the last line")
	set.BoolVarP(&s.elapsed, "syscall-times", "T", false, "print the time in each call")
	set.BoolVarP(&s.address, "instruction-pointer", "i", false, "print the address of each call")
	set.BoolVarP(&s.stack, "stack-trace", "k", false, "print the callers of each call")
	set.CountVarP(&s.hex, "strings-in-hex", "x", "print strings with non-ASCII characters in hexadecimal; twice: all strings")
	set.IntVarP(&s.column, "columns", "a", 40, "print results from `COLUMN` on")
	set.CountVarP(&s.quiet, "quiet", "q", "print no lines for new threads; twice: nor for the ends of threads")
	set.BoolVarP(&s.successful, "successful-only", "z", false, "print only calls that succeed")
	set.BoolVarP(&s.failed, "failed-only", "Z", false, "print only calls that fail")
	set.BoolVar(&s.json, "json", false, "write JSON, one object in each line")
	set.StringVar(&s.perfetto, "perfetto", "", "write the calls as slices to `FILE`, for ui.perfetto.dev")
}

// maxStringLimit is the maximum of -s: a string fits into a record.
const maxStringLimit = tracespec.MaxBytes - 1

// check refuses values that are not possible, and parses the expressions.
func (s *straceFlags) check() error {
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
	s.table = decode.New(decode.Options{Strings: s.limit, Verbose: s.verbose, Paths: s.paths > 0, Hex: s.hex})
	if s.successful {
		s.expressions = append(s.expressions, "status=successful")
	}
	if s.failed {
		s.expressions = append(s.expressions, "status=failed")
	}
	for _, e := range s.expressions {
		if err := s.filter.Add(s.table, e); err != nil {
			return err
		}
	}
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
		Path: program, Arguments: f.args, Variables: len(f.environment()), Hidden: plan.Calls[unix.SYS_EXECVE] == nil,
	}, sinks...)
	return nil
}

// sinks opens the outputs.
func (s *straceFlags) sinks(errors io.Writer) (sinks []strace.Sink, err error) {
	out := errors
	if s.output != "" && s.follow < 2 {
		if out, err = s.files.create(s.output, "-o"); err != nil {
			return nil, err
		}
	}
	if s.perfetto != "" {
		file, err := s.files.create(s.perfetto, "--perfetto")
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
		sinks = append(sinks, strace.NewCount(out))
	}
	return sinks, nil
}

// text returns the sink that prints as strace does.
func (s *straceFlags) text(out io.Writer) strace.Sink {
	o := strace.TextOptions{
		Output:   func(uint32) (io.Writer, error) { return out, nil },
		Separate: s.follow > 1, AlwaysPID: s.follow == 1 && s.output != "",
		// strace prints no messages if it writes to a file.
		Messages: s.quiet == 0 && s.output == "", Exits: s.quiet < 2,
		Clock: s.clock, Relative: s.relative, Elapsed: s.elapsed, Address: s.address, Column: s.column,
		Signal: s.filter.ShowsSignal,
	}
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
	err := cmp.Or(s.engine.Close(), s.files.close(), s.threads.close())
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
-e inject=SET:error=ERRNO makes calls fail without executing them; retval=N,
signal=SIG, delay_enter=TIME, delay_exit=TIME and when=FIRST[..LAST][+[STEP]]
are as in strace.

Times of -c are elapsed times. With --smp, lines of several CPUs are in the
order in which the kernel has recorded them.

Flags:
`)
	writeFlags(w, straceFlagSet(new(runFlags)))
}
