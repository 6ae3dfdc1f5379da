package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"slowpath/strace"
	"slowpath/strace/decode"
)

// refused are the options of strace(1) that are not possible from outside of the guest.
var refused = []struct{ name, letter, reason string }{
	{"attach", "p", "a running process is not possible: each run starts a new machine with the program as its first process; give a program"},
	{"detach-on", "b", "nothing is attached to the program; to show only the calls before execve, use a list of calls in -e trace="},
	{"daemonize", "D", "the command is not a parent of the program, so it needs no other place in the process tree; leave it out"},
	{"debug", "d", "the command has no messages for debugging strace itself; use --log FILE for the kernel's log"},
	{"interruptible", "I", "the command is not a tracer, so signals always end the run; leave it out"},
	{"secontext", "", "the guest has no security module, so files and processes have no security context"},
	{"seccomp-bpf", "", "calls that are not shown are not recorded, so no filter is needed; leave it out"},
	{"kvm", "", "the guest has no /dev/kvm, so there are no exits of virtual CPUs to show"},
	{"user", "u", "the program is started as root; use a program such as su or setpriv in the guest"},
}

// refusal is the value of an option that is not possible.
type refusal struct{ reason string }

func (refusal) String() string          { return "" }
func (refusal) Type() string            { return "string" }
func (r refusal) Set(text string) error { return errors.New(r.reason) }

// level is an option that may be repeated, or has the value of its long form.
type level struct {
	count *int
	set   func(text string) error
}

func (level) String() string { return "" }
func (level) Type() string   { return "level" }

// noValue is the value of an option without one.
const noValue = "+1"

// Set implements pflag.Value.
func (l level) Set(text string) error {
	if text == noValue {
		*l.count++
		return nil
	}
	return l.set(text)
}

// repeated declares an option with an optional value in its long form.
func repeated(set *pflag.FlagSet, count *int, name, letter, usage string, parse func(text string) error) {
	set.VarPF(level{count, parse}, name, letter, usage).NoOptDefVal = noValue
}

// expression returns the function of an option that is short for -e NAME=VALUE.
func (s *straceFlags) expression(name string) func(text string) error {
	return func(text string) error {
		s.expressions = append(s.expressions, name+"="+text)
		return nil
	}
}

// shortcuts are the options that are short for -e NAME=VALUE.
var shortcuts = []string{"trace", "signal", "status", "abbrev", "raw", "read", "write", "fault", "inject"}

// value is an option that calls a function with its value.
type value func(text string) error

func (value) String() string          { return "" }
func (value) Type() string            { return "string" }
func (v value) Set(text string) error { return v(text) }

// digits are the precisions of times.
var digits = map[string]int{"s": 0, "ms": 3, "us": 6, "ns": 9}

// precision parses a precision.
func precision(text string, n *int) error {
	d, ok := digits[text]
	if !ok {
		return errors.New("give s, ms, us or ns")
	}
	*n = d
	return nil
}

// declareTimes declares the options that print times.
func (s *straceFlags) declareTimes(set *pflag.FlagSet) {
	s.clockDigits, s.relativeDigits, s.elapsedDigits = -1, 6, 6
	repeated(set, &s.clock, "absolute-timestamps", "t", "print the time of day in each line; twice: with microseconds; three times: in seconds since 1970. The long form may have format:unix, format:time, format:none and precision:s, ms, us or ns", s.clockFormat)
	repeated(set, &s.relative, "relative-timestamps", "r", "print the time since the last line. The long form may have a precision: s, ms, us or ns", func(text string) error {
		s.relative = 1
		return precision(text, &s.relativeDigits)
	})
	repeated(set, &s.elapsed, "syscall-times", "T", "print the time in each call. The long form may have a precision: s, ms, us or ns", func(text string) error {
		s.elapsed = 1
		return precision(text, &s.elapsedDigits)
	})
}

// clockFormat parses the value of --absolute-timestamps.
func (s *straceFlags) clockFormat(text string) error {
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimPrefix(strings.TrimPrefix(part, "format:"), "precision:")
		if d, ok := digits[part]; ok {
			s.clockDigits = d
			s.clock = max(s.clock, 1)
			continue
		}
		level, ok := map[string]int{"none": 0, "time": 1, "unix": 3}[part]
		if !ok {
			return errors.New("give format:time, format:unix, format:none or precision:s, ms, us or ns")
		}
		s.clock = level
		if level == 1 && s.clockDigits < 0 {
			s.clockDigits = 0
		}
	}
	return nil
}

// clockOptions returns the format of the time of day and its digits.
func (s *straceFlags) clockOptions() (strace.ClockFormat, int) {
	levels := []struct {
		format strace.ClockFormat
		digits int
	}{{strace.ClockNone, 0}, {strace.ClockTime, 0}, {strace.ClockTime, 6}, {strace.ClockUnix, 6}}
	l := levels[min(s.clock, len(levels)-1)]
	if s.clockDigits >= 0 {
		l.digits = s.clockDigits
	}
	return l.format, l.digits
}

// declareFiles declares the options that print what numbers mean.
func (s *straceFlags) declareFiles(set *pflag.FlagSet) {
	repeated(set, &s.paths, "decode-fds", "y", "print the names of open files; twice: also addresses of sockets, numbers of devices and processes of pidfds. The long form may have a list of path, socket, dev and pidfd", s.expression("decode-fds"))
	repeated(set, &s.names, "decode-pids", "Y", "print the names of threads after their ids", s.expression("decode-pids"))
	repeated(set, &s.hex, "strings-in-hex", "x", "print strings with non-ASCII characters in hexadecimal; twice: all strings. The long form may have none, non-ascii, all or non-ascii-chars", func(text string) error {
		i := slices.Index([]string{"none", "non-ascii", "all", "non-ascii-chars"}, text)
		if i < 0 {
			return errors.New("give none, non-ascii, all or non-ascii-chars")
		}
		s.hex = i
		return nil
	})
	set.VarP(value(func(text string) error {
		i := slices.Index([]string{"abbrev", "raw", "verbose"}, text)
		if i < 0 {
			return errors.New("give raw, abbrev or verbose")
		}
		s.style = decode.Style(i)
		return nil
	}), "const-print-style", "X", "print constants as `STYLE`: abbrev, raw numbers, or verbose, which is both")
	set.BoolVarP(&s.numbers, "syscall-number", "n", false, "print the number of each call")
	set.StringArrayVarP(&s.files, "trace-path", "P", nil, "show only calls that access `PATH`, which is the name that the program uses or the full name of an open file; may be repeated")
}

// declareCount declares the options of -c.
func (s *straceFlags) declareCount(set *pflag.FlagSet) {
	set.BoolVarP(&s.countOnly, "summary-only", "c", false, "only count calls, errors and times, and print a table at the end")
	set.BoolVarP(&s.countToo, "summary", "C", false, "print the calls, and the table of -c at the end")
	set.BoolP("summary-wall-clock", "w", true, "count elapsed times; that is always so, because the times of the CPU are not recorded")
	set.VarP(value(func(text string) (err error) {
		s.count.Sort, err = strace.ParseSort(text)
		return err
	}), "summary-sort-by", "S", "sort the table of -c by `COLUMN`: time, calls, errors, name, min-time, max-time, avg-time or none")
	set.VarP(value(func(text string) (err error) {
		s.count.Columns, err = strace.ParseColumns(text)
		return err
	}), "summary-columns", "U", "print `COLUMNS` in the table of -c: time-percent, total-time, min-time, max-time, avg-time, calls, errors, name")
	set.VarP(value(func(text string) (err error) {
		s.count.Overhead, err = strace.ParseTime(text)
		return err
	}), "summary-syscall-overhead", "O", "subtract `TIME` from the time of each call in the table of -c: microseconds, or a time such as 3us")
}

// decodeOptions returns the options of the decoders.
func (s *straceFlags) decodeOptions() decode.Options {
	f := &s.filter
	infos := f.Files
	switch {
	case s.paths > 1:
		infos = decode.Names | decode.Sockets | decode.Devices | decode.PIDFDs
	case s.paths == 1:
		infos |= decode.Names
	}
	o := decode.Options{
		Strings: s.limit, Verbose: s.verbose, Files: infos, Match: len(s.files) > 0, Hex: decode.HexStrings(s.hex), Style: s.style, Numbers: s.numbers,
		Abbreviate: f.Abbreviate, Dereference: f.Dereference, Raw: f.Raw, Reads: f.Reads, Writes: f.Writes,
	}
	if f.Names {
		o.Comm = func(thread uint32) string { return s.engine.Name(thread) }
	}
	return o
}

// quiets reports whether a kind of message is not printed.
func (s *straceFlags) quiets(kind string, level int) bool {
	return s.quiet >= level || s.filter.Quiet[kind]
}

// fileSet returns the files of -P, or nil.
func (s *straceFlags) fileSet() map[string]bool {
	if len(s.files) == 0 {
		return nil
	}
	files := map[string]bool{}
	for _, name := range s.files {
		files[name] = true
	}
	return files
}

// declareRefused declares the options that are not possible.
func declareRefused(set *pflag.FlagSet) {
	for _, r := range refused {
		f := set.VarPF(refusal{r.reason}, r.name, r.letter, r.reason)
		f.Hidden = true
		if !slices.Contains([]string{"attach", "detach-on", "user", "interruptible", "kvm"}, r.name) {
			f.NoOptDefVal = noValue
		}
	}
}
