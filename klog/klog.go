// Package klog is the kernel's log: a ring buffer of the last messages, for
// /dev/kmsg and syslog(2), and a console for the important ones.
package klog

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"slowpath/clock"
)

// Level is the level of a message; a lower one is more important (syslog(2)).
type Level int

// The levels that the kernel uses.
const (
	Error   Level = 3
	Warning Level = 4
	Info    Level = 6
	Debug   Level = 7
)

// ringSize is the size of the ring buffer in bytes: CONFIG_LOG_BUF_SHIFT 16.
const ringSize = 64 << 10

// Log is a kernel log. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	console io.Writer
	shown   Level
	ring    []byte
}

// New returns a log that prints messages with a level below shown on the console
// (Linux: console_loglevel).
func New(console io.Writer, shown Level) *Log {
	return &Log{console: console, shown: shown}
}

// Shown returns the level below which messages are printed on the console.
func (l *Log) Shown() Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown
}

// SetShown sets the level of Shown (/proc/sys/kernel/printk).
func (l *Log) SetShown(level Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = level
}

// Printf logs a message, preceded by the time since boot. It may sleep if the
// console does.
func (l *Log) Printf(level Level, format string, arguments ...any) {
	now := clock.Monotonic()
	text := strings.TrimRight(fmt.Sprintf(format, arguments...), "\n")
	line := fmt.Sprintf("[%5d.%06d] %s\n", now/clock.Second, now%clock.Second/clock.Microsecond, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(line)
	if level < l.shown { // loglevel=4 shows errors, not warnings
		io.WriteString(l.console, line) // there is nowhere to report an error
	}
}

// keep appends a line to the ring, and drops whole lines from its start.
func (l *Log) keep(line string) {
	l.ring = append(l.ring, line...)
	if len(l.ring) <= ringSize {
		return
	}
	cut := len(l.ring) - ringSize
	for cut < len(l.ring) && l.ring[cut-1] != '\n' {
		cut++
	}
	l.ring = append(l.ring[:0], l.ring[cut:]...)
}

// Errorf logs a message of level Error. It may sleep if the console does.
func (l *Log) Errorf(format string, arguments ...any) { l.Printf(Error, format, arguments...) }

// Infof logs a message of level Info. It may sleep if the console does.
func (l *Log) Infof(format string, arguments ...any) { l.Printf(Info, format, arguments...) }

// Text returns a copy of the kept messages, oldest first.
func (l *Log) Text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]byte(nil), l.ring...)
}
