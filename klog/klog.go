// Package klog is the kernel's log: a ring of the last messages, for
// /dev/kmsg and syslog(2), and the console on which those that matter appear.
package klog

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"slowpath/clock"
)

// Level says how much a message matters; less is more (syslog(2)).
type Level int

// The levels that the kernel uses.
const (
	Error   Level = 3
	Warning Level = 4
	Info    Level = 6
	Debug   Level = 7
)

// ringSize is how many bytes of messages are kept: CONFIG_LOG_BUF_SHIFT 16.
const ringSize = 64 << 10

// Log is a kernel log. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	console io.Writer
	shown   Level
	ring    []byte
}

// New returns a log whose messages of the given level and below appear on the
// console.
func New(console io.Writer, shown Level) *Log {
	return &Log{console: console, shown: shown}
}

// Printf adds one message, with the time since boot before it. It may sleep if
// the console does.
func (l *Log) Printf(level Level, format string, arguments ...any) {
	now := clock.Monotonic()
	text := strings.TrimRight(fmt.Sprintf(format, arguments...), "\n")
	line := fmt.Sprintf("[%5d.%06d] %s\n", now/clock.Second, now%clock.Second/clock.Microsecond, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(line)
	// Below its own level a message appears, as in Linux: loglevel=4 shows
	// errors, not warnings.
	if level < l.shown {
		io.WriteString(l.console, line) // a console that fails cannot be told of it
	}
}

// keep adds a line to the ring, dropping whole lines from its beginning.
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

// Errorf adds a message of level Error.
func (l *Log) Errorf(format string, arguments ...any) { l.Printf(Error, format, arguments...) }

// Infof adds a message of level Info.
func (l *Log) Infof(format string, arguments ...any) { l.Printf(Info, format, arguments...) }

// Text returns the messages that are kept, oldest first.
func (l *Log) Text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]byte(nil), l.ring...)
}
