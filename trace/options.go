package trace

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Options of an instance (Documentation/trace/ftrace.rst of Linux, "trace_options").
const (
	optionVerbose = 1 << iota
	optionRaw
	optionHex
	optionBinary
	optionBlock
	optionPrintk
	optionAnnotate
	optionMessageOnly
	optionContext
	optionLatency
	optionRecordComm
	optionRecordTGID
	optionOverwrite
	optionStopOnFree
	optionInterrupts
	optionMarkers
	optionFork
	optionPause
	optionHashPointers
	optionStack
)

// defaultOptions are the options of a new instance.
const defaultOptions = optionPrintk | optionAnnotate | optionContext | optionRecordComm | optionOverwrite | optionInterrupts |
	optionMarkers | optionHashPointers

// option is an option by name.
type option struct {
	name string
	bit  uint32
}

// optionRows are the options in the order of the file trace_options. Those of Linux that
// need function tracing or kernel symbols are missing, and setting them is an
// error.
var optionRows = []option{
	{"verbose", optionVerbose},
	{"raw", optionRaw},
	{"hex", optionHex},
	{"bin", optionBinary},
	{"block", optionBlock},
	{"trace_printk", optionPrintk},
	{"annotate", optionAnnotate},
	{"printk-msg-only", optionMessageOnly},
	{"context-info", optionContext},
	{"latency-format", optionLatency},
	{"record-cmd", optionRecordComm},
	{"record-tgid", optionRecordTGID},
	{"overwrite", optionOverwrite},
	{"disable_on_free", optionStopOnFree},
	{"irq-info", optionInterrupts},
	{"markers", optionMarkers},
	{"event-fork", optionFork},
	{"pause-on-trace", optionPause},
	{"hash-ptr", optionHashPointers},
	{"stacktrace", optionStack},
}

// Option is an option of an instance and whether it is set.
type Option struct {
	Name string
	Set  bool
}

// Options returns the options in Linux's order.
func (i *Instance) Options() []Option {
	set := i.options.Load()
	options := make([]Option, len(optionRows))
	for n, row := range optionRows {
		options[n] = Option{row.name, set&row.bit != 0}
	}
	return options
}

// SetOption sets an option by name. Error: EINVAL for an unknown name.
func (i *Instance) SetOption(name string, on bool) error {
	at := slices.IndexFunc(optionRows, func(o option) bool { return o.name == name })
	if at < 0 {
		return unix.EINVAL
	}
	bit := optionRows[at].bit
	i.storeOption(bit, on)
	switch bit {
	case optionOverwrite:
		for _, r := range append(i.rings[:len(i.rings):len(i.rings)], i.snapshotRings(AllCPUs)...) {
			r.setOverwrite(on)
		}
	case optionFork:
		i.registry.mu.Lock()
		defer i.registry.mu.Unlock()
		i.registry.followForks()
	}
	return nil
}

// storeOption stores an option.
func (i *Instance) storeOption(bit uint32, on bool) {
	i.modes.Lock()
	defer i.modes.Unlock()
	if on {
		i.options.Or(bit)
	} else {
		i.options.And(^bit)
	}
	i.setObstacle(obstacleStack, i.has(optionStack))
	i.setObstacle(obstacleThreads, i.options.Load()&threadOptions != defaultOptions&threadOptions)
}

// SetOptionText sets an option by name, or clears it if "no" precedes the name (the file
// trace_options). Error: EINVAL.
func (i *Instance) SetOptionText(text string) error {
	text = trimSpaces(text)
	name, off := strings.CutPrefix(text, "no")
	return i.SetOption(name, !off)
}

// has reports whether an option is set.
func (i *Instance) has(bit uint32) bool { return i.options.Load()&bit != 0 }

// StopsOnFree reports whether the release of free_buffer stops the storing of records.
func (i *Instance) StopsOnFree() bool { return i.has(optionStopOnFree) }

// PausesOnTrace reports whether no records are stored while the file trace is open.
func (i *Instance) PausesOnTrace() bool { return i.has(optionPause) }
