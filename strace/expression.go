package strace

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"slowpath/strace/decode"
	"slowpath/tracespec"
)

// Filter is what the option -e selects. The zero value selects everything.
type Filter struct {
	// Calls are the numbers of the calls that are shown; nil shows all.
	Calls map[int]bool
	// Signals are the signals that are shown; nil shows all.
	Signals map[int]bool
	// Statuses are the kinds of calls that are shown by their end: successful, failed,
	// unfinished; nil shows all.
	Statuses map[string]bool
	// Injections are the rules of inject= and fault=.
	Injections []tracespec.Injection
	// Abbreviate, Dereference and Raw are as in decode.Options.
	Abbreviate, Dereference, Raw map[int]bool
	// Reads and Writes are the descriptors whose data is dumped.
	Reads, Writes decode.DescriptorSet
	// Files is what is printed of files after descriptors.
	Files decode.FileInfo
	// Names prints the names of threads after their ids.
	Names bool
	// Quiet are the messages that are not printed: attach, exit, path-resolution, personality,
	// thread-execve.
	Quiet map[string]bool
}

// ShowsSignal reports whether a signal is shown.
func (f *Filter) ShowsSignal(number int) bool { return f.Signals == nil || f.Signals[number] }

// ShowsEnd reports whether a call is shown, by its end. An unfinished call is nil.
func (f *Filter) ShowsEnd(c *decode.Call) bool {
	switch {
	case c == nil:
		return f.Statuses["unfinished"]
	case c.Failed():
		return f.Statuses["failed"]
	}
	return f.Statuses["successful"]
}

// Add adds an expression: QUALIFIER=VALUE, or a set of calls. The error is a sentence for the user.
func (f *Filter) Add(t *decode.Table, expression string) error {
	qualifier, value, found := strings.Cut(expression, "=")
	if !found {
		qualifier, value = "trace", expression
	}
	add := qualifiers[qualifier]
	if add == nil {
		return fmt.Errorf("-e %s: there is no qualifier %q; use trace, abbrev, verbose, raw, signal, status, quiet, read, write, decode-fds, decode-pids, inject or fault", expression, qualifier)
	}
	if err := add(f, t, value); err != nil {
		return fmt.Errorf("-e %s: %w", expression, err)
	}
	return nil
}

// qualifiers has the function for each qualifier. Those with one letter are abbreviations.
var qualifiers = map[string]func(f *Filter, t *decode.Table, value string) error{
	"trace": addTrace, "t": addTrace,
	"signal": addSignals, "signals": addSignals, "s": addSignals,
	"status": addStatuses,
	"abbrev": addCalls(func(f *Filter) *map[int]bool { return &f.Abbreviate }), "a": addCalls(func(f *Filter) *map[int]bool { return &f.Abbreviate }),
	"verbose": addCalls(func(f *Filter) *map[int]bool { return &f.Dereference }), "v": addCalls(func(f *Filter) *map[int]bool { return &f.Dereference }),
	"raw": addCalls(func(f *Filter) *map[int]bool { return &f.Raw }), "x": addCalls(func(f *Filter) *map[int]bool { return &f.Raw }),
	"read": addReads, "reads": addReads, "r": addReads,
	"write": addWrites, "writes": addWrites, "w": addWrites,
	"quiet": addQuiet, "silent": addQuiet, "silence": addQuiet, "q": addQuiet,
	"decode-fds": addFiles, "decode-fd": addFiles,
	"decode-pids": addNames, "decode-pid": addNames,
	"kvm":       refuse("the guest has no /dev/kvm, so there are no exits of virtual CPUs to show"),
	"secontext": refuse("the guest has no security module, so files and processes have no security context"),
	"inject":    addInjection,
	"fault": func(f *Filter, t *decode.Table, value string) error {
		if !strings.Contains(value, ":error=") {
			value += ":error=ENOSYS"
		}
		return addInjection(f, t, value)
	},
}

// set parses a set of names. find returns the members that a name means, or an error.
func set[K comparable](text string, all []K, find func(name string) ([]K, error)) (map[K]bool, error) {
	inverted := strings.HasPrefix(text, "!")
	text = strings.TrimPrefix(text, "!")
	members := map[K]bool{}
	for _, name := range strings.Split(text, ",") {
		switch name {
		case "all":
			for _, k := range all {
				members[k] = true
			}
			continue
		case "none":
			continue
		case "":
			return nil, fmt.Errorf("a name in the list is empty; write a list such as open,read")
		}
		found, err := find(name)
		if err != nil {
			return nil, err
		}
		for _, k := range found {
			members[k] = true
		}
	}
	if !inverted {
		return members, nil
	}
	rest := map[K]bool{}
	for _, k := range all {
		if !members[k] {
			rest[k] = true
		}
	}
	return rest, nil
}

// refuse returns the function of a qualifier that is not possible.
func refuse(reason string) func(*Filter, *decode.Table, string) error {
	return func(*Filter, *decode.Table, string) error { return errors.New(reason) }
}

// addCalls returns the function of a qualifier that sets a set of calls.
func addCalls(field func(f *Filter) *map[int]bool) func(*Filter, *decode.Table, string) error {
	return func(f *Filter, t *decode.Table, value string) (err error) {
		*field(f), err = callSet(t, value)
		return err
	}
}

func addReads(f *Filter, _ *decode.Table, value string) error { return addDescriptors(&f.Reads, value) }

func addWrites(f *Filter, _ *decode.Table, value string) error {
	return addDescriptors(&f.Writes, value)
}

// maxDescriptors is the maximum number of descriptors of read= and write=.
const maxDescriptors = 200

// addDescriptors parses a set of descriptors.
func addDescriptors(d *decode.DescriptorSet, value string) error {
	inverted := strings.HasPrefix(value, "!")
	value = strings.TrimPrefix(value, "!")
	*d = decode.DescriptorSet{Except: inverted}
	switch value {
	case "all":
		d.Except = !inverted
		return nil
	case "none":
		return nil
	}
	for _, text := range strings.Split(value, ",") {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return fmt.Errorf("%q is no descriptor; give a list of numbers such as 0,1", text)
		}
		d.List = append(d.List, n)
	}
	if len(d.List) > maxDescriptors {
		return fmt.Errorf("there are %d descriptors; give at most %d", len(d.List), maxDescriptors)
	}
	return nil
}

// addQuiet adds messages that are not printed.
func addQuiet(f *Filter, _ *decode.Table, value string) error {
	aliases := map[string]string{"exits": "exit", "superseded": "thread-execve"}
	all := []string{"attach", "exit", "path-resolution", "personality", "thread-execve"}
	quiet, err := set(value, all, func(name string) ([]string, error) {
		if full := aliases[name]; full != "" {
			name = full
		}
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no kind of message %q; use %s", name, strings.Join(all, ", "))
		}
		return []string{name}, nil
	})
	f.Quiet = quiet
	return err
}

// fileInfos are the names of what may be printed of files.
var fileInfos = map[string]decode.FileInfo{"path": decode.Names, "socket": decode.Sockets, "dev": decode.Devices, "pidfd": decode.PIDFDs}

// addFiles sets what is printed of files after descriptors.
func addFiles(f *Filter, _ *decode.Table, value string) error {
	all := []decode.FileInfo{decode.Names, decode.Sockets, decode.Devices, decode.PIDFDs}
	infos, err := set(value, all, func(name string) ([]decode.FileInfo, error) {
		info, ok := fileInfos[name]
		if !ok {
			return nil, fmt.Errorf("there is no detail %q; use path, socket, dev or pidfd", name)
		}
		return []decode.FileInfo{info}, nil
	})
	f.Files = 0
	for info := range infos {
		f.Files |= info
	}
	return err
}

// addNames sets what is printed after the ids of threads.
func addNames(f *Filter, _ *decode.Table, value string) error {
	switch value {
	case "comm":
		f.Names = true
	case "none":
		f.Names = false
	default:
		return errors.New("only comm is possible: ids are those that the program sees, because there is no PID namespace of strace in the guest")
	}
	return nil
}

func addTrace(f *Filter, t *decode.Table, value string) error {
	calls, err := callSet(t, value)
	f.Calls = calls
	return err
}

func callSet(t *decode.Table, value string) (map[int]bool, error) {
	var all []int
	for _, c := range t.All() {
		all = append(all, c.Number)
	}
	return set(value, all, func(name string) ([]int, error) { return findCalls(t, name) })
}

// oldClasses are the classes that may be written without a percent sign.
var oldClasses = []string{"file", "process", "network", "signal", "ipc", "desc", "memory"}

// findCalls returns the calls that a name means: a call, a number, %class or /expression.
// A question mark before it allows that there is none.
func findCalls(t *decode.Table, name string) (list []int, err error) {
	name, optional := strings.CutPrefix(name, "?")
	matches := func(c *decode.Syscall) bool { return c.Name == name }
	if pattern, ok := strings.CutPrefix(name, "/"); ok {
		expression, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("%q is no regular expression: %w", pattern, err)
		}
		matches = func(c *decode.Syscall) bool { return expression.MatchString(c.Name) }
	} else if class, ok := strings.CutPrefix(name, "%"); ok || slices.Contains(oldClasses, name) {
		matches = func(c *decode.Syscall) bool { return c.InClass(class) || c.InClass("%"+class) }
	} else if number, err := strconv.Atoi(name); err == nil {
		matches = func(c *decode.Syscall) bool { return c.Number%tracespec.FirstI386 == number }
	}
	for _, c := range t.All() {
		if matches(c) {
			list = append(list, c.Number)
		}
	}
	if len(list) == 0 && !optional {
		return nil, fmt.Errorf("there is no system call %q", name)
	}
	return list, nil
}

// maxSignal is the greatest number of a signal.
const maxSignal = 64

func addSignals(f *Filter, _ *decode.Table, value string) error {
	var all []int
	for n := 1; n <= maxSignal; n++ {
		all = append(all, n)
	}
	signals, err := set(value, all, func(name string) ([]int, error) {
		n := signalNumber(name)
		if n == 0 {
			return nil, fmt.Errorf("there is no signal %q", name)
		}
		return []int{n}, nil
	})
	f.Signals = signals
	return err
}

// signalNumber returns the number of a signal by its name, with or without SIG, or by a
// number. 0: there is none.
func signalNumber(name string) int {
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n <= maxSignal {
		return n
	}
	name = strings.ToUpper(name)
	for n := 1; n <= maxSignal; n++ {
		if full := decode.SignalName(n); full == name || full == "SIG"+name {
			return n
		}
	}
	return 0
}

func addStatuses(f *Filter, _ *decode.Table, value string) error {
	all := []string{"successful", "failed", "unfinished", "unavailable", "detached"}
	statuses, err := set(value, all, func(name string) ([]string, error) {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no status %q; use successful, failed or unfinished", name)
		}
		return []string{name}, nil
	})
	f.Statuses = statuses
	return err
}

func addInjection(f *Filter, t *decode.Table, value string) error {
	parts := strings.Split(value, ":")
	calls, err := callSet(t, parts[0])
	if err != nil {
		return err
	}
	i := tracespec.Injection{First: 1, Step: 1}
	for number := range calls {
		i.Numbers = append(i.Numbers, number)
	}
	slices.Sort(i.Numbers)
	if len(parts) == 1 {
		return fmt.Errorf("it changes nothing; add :error=ERRNO, :retval=VALUE, :signal=SIGNAL or :delay_enter=TIME")
	}
	for _, part := range parts[1:] {
		name, text, _ := strings.Cut(part, "=")
		parse := injectionParts[name]
		if parse == nil {
			return fmt.Errorf("%q is unknown; use error, retval, signal, delay_enter, delay_exit or when", name)
		}
		if err := parse(&i, text); err != nil {
			return err
		}
	}
	f.Injections = append(f.Injections, i)
	return nil
}

// injectionParts has the function for each part of inject=.
var injectionParts = map[string]func(i *tracespec.Injection, text string) error{
	"error": func(i *tracespec.Injection, text string) error {
		n := errnoNumber(text)
		if n == 0 {
			return fmt.Errorf("there is no errno %q", text)
		}
		i.Replace, i.Result = true, -int64(n)
		return nil
	},
	"retval": func(i *tracespec.Injection, text string) error {
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			return fmt.Errorf("retval is %q; give a number", text)
		}
		i.Replace, i.Result = true, n
		return nil
	},
	"signal": func(i *tracespec.Injection, text string) error {
		i.Signal = signalNumber(text)
		if i.Signal == 0 {
			return fmt.Errorf("there is no signal %q", text)
		}
		return nil
	},
	"delay_enter": func(i *tracespec.Injection, text string) (err error) {
		i.DelayEnter, err = ParseTime(text)
		return err
	},
	"delay_exit": func(i *tracespec.Injection, text string) (err error) {
		i.DelayExit, err = ParseTime(text)
		return err
	},
	"when": parseWhen,
}

// ParseTime parses a time: a number of microseconds, or a number with a unit. The error is a
// sentence for the user.
func ParseTime(text string) (nanoseconds uint64, err error) {
	if n, err := strconv.ParseUint(text, 10, 40); err == nil {
		return n * 1000, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("the time is %q; give microseconds, or a time such as 5ms", text)
	}
	return uint64(d), nil
}

// parseWhen parses FIRST[..LAST][+[STEP]].
func parseWhen(i *tracespec.Injection, text string) error {
	bad := fmt.Errorf("when is %q; give FIRST, FIRST+, FIRST+STEP or FIRST..LAST", text)
	head, step, stepped := strings.Cut(text, "+")
	first, last, ranged := strings.Cut(head, "..")
	var err error
	if i.First, err = strconv.ParseUint(first, 10, 32); err != nil || i.First == 0 {
		return bad
	}
	i.Step, i.Last = 1, 0
	switch {
	case ranged:
		if i.Last, err = strconv.ParseUint(last, 10, 32); err != nil || i.Last < i.First {
			return bad
		}
	case !stepped:
		i.Last = i.First
	}
	if stepped && step != "" {
		if i.Step, err = strconv.ParseUint(step, 10, 32); err != nil || i.Step == 0 {
			return bad
		}
	}
	return nil
}

// errnoNumber returns an errno by its name or number, 0 if there is none.
func errnoNumber(text string) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n < 4096 {
		return n
	}
	for n := 1; n < 134; n++ {
		if decode.ErrnoName(n) == strings.ToUpper(text) {
			return n
		}
	}
	return 0
}

// Plan returns the plan for the kernel.
func (f *Filter) Plan(t *decode.Table) *tracespec.Plan {
	p := &tracespec.Plan{Calls: map[int]*tracespec.Call{}, Injections: f.Injections, Names: f.Names}
	for _, c := range t.All() {
		if f.Calls == nil || f.Calls[c.Number] {
			p.Calls[c.Number] = &c.Plan
		}
	}
	if f.Calls == nil {
		for number := range tracespec.MaxCalls {
			if p.Calls[number] == nil {
				p.Calls[number] = new(tracespec.Call)
			}
		}
	}
	return p
}
