package trace

import (
	"strings"
	"sync"

	"slowpath/clock"
)

// errorLog has the last errors of definitions and filters (the file error_log).
type errorLog struct {
	mu      sync.Mutex
	entries []string
}

// keptErrors is how many errors the log has (Linux: TRACING_LOG_ERRS_MAX).
const keptErrors = 8

// Log adds an error to the log of the instance: the part of the kernel that has found it,
// the command, the error's text, and the index in the command to which a caret points.
func (i *Instance) Log(location, command, text string, position int) {
	const prefix = "  Command: "
	line := "[" + seconds(uint64(clock.Monotonic())) + "] " + location + ": error: " + text + "\n" +
		prefix + command + "\n" + spaces(len(prefix)+position) + "^\n"
	l := &i.errors
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == keptErrors {
		l.entries = append(l.entries[:0], l.entries[1:]...)
	}
	l.entries = append(l.entries, line)
}

// Errors returns the contents of the file error_log.
func (i *Instance) Errors() string {
	i.errors.mu.Lock()
	defer i.errors.mu.Unlock()
	return strings.Join(i.errors.entries, "")
}

// ClearErrors empties the log.
func (i *Instance) ClearErrors() {
	i.errors.mu.Lock()
	defer i.errors.mu.Unlock()
	i.errors.entries = nil
}
