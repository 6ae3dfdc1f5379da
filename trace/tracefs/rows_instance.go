package tracefs

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/trace"
)

// traceRow is the file trace of an instance or a CPU, pipeRow the file trace_pipe, and
// sizeRow the file buffer_size_kb.
var (
	traceRow = Row{Name: "trace", Mode: writeMode, open: openTrace,
		truncate: func(s *subject, _ fs.Caller) error { s.instance.Reset(s.cpu); return nil }}
	// snapshotRow is the file snapshot.
	snapshotRow = Row{Name: "snapshot", Mode: writeMode, open: openSnapshot}
	pipeRow     = Row{Name: "trace_pipe", Mode: readMode, open: openPipe}
	sizeRow     = Row{Name: "buffer_size_kb", Mode: writeMode, read: readSize,
		write: decimalCommand(func(s *subject, n uint64) error { return s.instance.SetSize(s.cpu, n) })}
)

// cpuRows are the files of per_cpu/cpuN.
var cpuRows = []Row{
	sizeRow,
	snapshotRow,
	{Name: "stats", Mode: readMode, read: func(s *subject) (string, error) { return s.instance.Counts(s.cpu), nil }},
	traceRow,
	pipeRow,
	{Name: "trace_pipe_raw", Mode: readMode, open: openRaw},
}

// instanceRows are the files of an instance.
var instanceRows = []Row{
	{Name: "available_tracers", Mode: readMode, read: constant("nop\n")},
	{Name: "buffer_percent", Mode: writeMode,
		read:  func(s *subject) (string, error) { return strconv.Itoa(s.instance.Percent()) + "\n", nil },
		write: decimalCommand(func(s *subject, n uint64) error { return s.instance.SetPercent(n) })},
	sizeRow,
	{Name: "buffer_total_size_kb", Mode: readMode, read: readTotalSize},
	{Name: "current_tracer", Mode: writeMode, read: constant("nop\n"), write: command(setTracer)},
	{Name: "error_log", Mode: writeMode,
		read:     func(s *subject) (string, error) { return s.instance.Errors(), nil },
		write:    func(_ *subject, w *writing) (int, error) { return len(w.text), nil },
		truncate: func(s *subject, _ fs.Caller) error { s.instance.ClearErrors(); return nil }},
	{Name: "free_buffer", Mode: 0o200, open: openFree},
	{Name: "set_event", Mode: writeMode, read: readSetEvent, write: words(maxEventWord, setEvent),
		truncate: func(s *subject, _ fs.Caller) error { return s.instance.SetEnabled("", "", false) }},
	pidRow("set_event_notrace_pid", trace.NotPIDs),
	pidRow("set_event_pid", trace.OnlyPIDs),
	snapshotRow,
	{Name: "timestamp_mode", Mode: readMode, read: constant("[delta] absolute\n")},
	traceRow,
	{Name: "trace_clock", Mode: writeMode, read: readClock,
		write: command(func(s *subject, text string) error { return s.instance.SetClock(strings.TrimSpace(text)) })},
	{Name: "trace_marker", Mode: 0o220, open: openMarker(false)},
	{Name: "trace_marker_raw", Mode: 0o220, open: openMarker(true)},
	{Name: "trace_options", Mode: writeMode, read: readOptions,
		write: command(func(s *subject, text string) error { return s.instance.SetOptionText(text) })},
	pipeRow,
	{Name: "tracing_cpumask", Mode: writeMode, read: readMask, write: command(setMask)},
	{Name: "tracing_on", Mode: writeMode,
		read:  func(s *subject) (string, error) { return digit(s.instance.On()) + "\n", nil },
		write: decimalCommand(func(s *subject, n uint64) error { s.instance.SetOn(n != 0); return nil })},
}

// optionRow is a file of options. The name is that of the option.
var optionRow = Row{Mode: writeMode,
	read: func(s *subject) (string, error) {
		for _, o := range s.instance.Options() {
			if o.Name == s.option {
				return digit(o.Set) + "\n", nil
			}
		}
		return "", unix.ENODEV
	},
	write: boolean(func(s *subject, on bool) error { return s.instance.SetOption(s.option, on) })}

func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// readSize returns the size of a ring, X if the rings differ, and the size that they will
// get before the first event is enabled.
func readSize(s *subject) (string, error) {
	size, same := s.instance.Size(s.cpu)
	switch {
	case !same:
		return "X\n", nil
	case s.cpu == trace.AllCPUs && !s.instance.Expanded():
		return fmt.Sprintf("%d (expanded: %d)\n", size, trace.DefaultKilobytes), nil
	}
	return strconv.Itoa(size) + "\n", nil
}

func readTotalSize(s *subject) (string, error) {
	total := s.instance.TotalSize()
	if !s.instance.Expanded() {
		return fmt.Sprintf("%d (expanded: %d)\n", total, trace.DefaultKilobytes*s.registry().CPUs()), nil
	}
	return strconv.Itoa(total) + "\n", nil
}

// setTracer accepts the only tracer. Like Linux, it gives the rings their default size.
func setTracer(s *subject, text string) error {
	if strings.TrimSpace(text) != "nop" {
		return unix.EINVAL
	}
	return s.instance.Expand()
}

func readClock(s *subject) (string, error) {
	names, current := s.instance.Clocks()
	names[current] = "[" + names[current] + "]"
	return strings.Join(names, " ") + "\n", nil
}

func readOptions(s *subject) (string, error) {
	var b strings.Builder
	for _, o := range s.instance.Options() {
		if !o.Set {
			b.WriteString("no")
		}
		b.WriteString(o.Name + "\n")
	}
	return b.String(), nil
}

// readMask returns the CPUs as hexadecimal digits, in groups of 32 bits.
func readMask(s *subject) (string, error) {
	digits := (s.registry().CPUs() + 3) / 4
	text := fmt.Sprintf("%0*x", digits, s.instance.CPUMask())
	if len(text) > 8 {
		text = text[:len(text)-8] + "," + text[len(text)-8:]
	}
	return text + "\n", nil
}

// setMask parses hexadecimal digits in groups of up to 8. Errors: EINVAL, EOVERFLOW for a
// CPU that does not exist.
func setMask(s *subject, text string) error {
	text = strings.TrimSpace(text)
	for _, group := range strings.Split(text, ",") {
		if len(group) > 8 {
			return unix.EOVERFLOW
		}
	}
	mask, err := strconv.ParseUint(strings.ReplaceAll(text, ",", ""), 16, 64)
	switch {
	case err != nil:
		return unix.EINVAL
	case bits.Len64(mask) > s.registry().CPUs():
		return unix.EOVERFLOW
	}
	s.instance.SetCPUMask(mask)
	return nil
}

// maxEventWord is the greatest length of a word in set_event (Linux: EVENT_BUF_SIZE).
const maxEventWord = 127

// setEvent enables the events that a word of set_event names, or disables them after an
// exclamation mark (Linux: ftrace_set_clr_event).
func setEvent(s *subject, word string) error {
	word, off := strings.CutPrefix(word, "!")
	system, event, both := strings.Cut(word, ":")
	if !both {
		return s.instance.SetEnabledMatching(word, !off)
	}
	return s.instance.SetEnabled(unlessAny(system), unlessAny(event), !off)
}

// unlessAny returns "" for the word that stands for any name.
func unlessAny(name string) string {
	if name == "*" {
		return ""
	}
	return name
}

func readSetEvent(s *subject) (string, error) {
	var b strings.Builder
	for _, e := range s.instance.EnabledEvents() {
		b.WriteString(e.System + ":" + e.Name + "\n")
	}
	return b.String(), nil
}

// pidRow returns the file of a list of threads.
func pidRow(name string, which trace.PIDList) Row {
	return Row{Name: name, Mode: writeMode,
		read: func(s *subject) (string, error) {
			var b strings.Builder
			for _, pid := range s.instance.PIDs(which) {
				b.WriteString(strconv.Itoa(int(pid)) + "\n")
			}
			return b.String(), nil
		},
		write: func(s *subject, w *writing) (int, error) {
			pids, err := parsePIDs(w.text)
			if err == nil {
				err = s.instance.AddPIDs(which, pids)
			}
			if err != nil {
				return 0, err
			}
			return len(w.text), nil
		},
		truncate: func(s *subject, _ fs.Caller) error { s.instance.ClearPIDs(which); return nil },
	}
}

// maxPID is the greatest thread id in a list (Linux: PID_MAX_LIMIT).
const maxPID = 1 << 22

func parsePIDs(text string) (pids []int32, err error) {
	for _, word := range strings.Fields(text) {
		n, err := strconv.ParseUint(word, 0, 32)
		if err != nil || n >= maxPID {
			return nil, unix.EINVAL
		}
		pids = append(pids, int32(n))
	}
	return pids, nil
}
