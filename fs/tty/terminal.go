// Package tty has terminals: the line discipline of termios(3), job control,
// the terminal that the host's user sits at, and pseudo terminals (pty(7)).
//
// A Terminal has two sides. Programs read, write and control it through open
// files. The other side, the hardware, feeds it by Input and takes what comes
// out through an Output: the link to the host, or the master of a pseudo
// terminal.
package tty

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// Output takes what a terminal sends to its user. It is called with the
// terminal's lock held, and must not call back.
type Output interface {
	// Room is how many bytes Send takes now.
	Room() int
	// Send takes bytes, at most Room of them unless they are an echo, which
	// may be dropped.
	Send(p []byte)
}

// JobControl is the part of job control that is not done for a calling task:
// keys and hang-ups. Package task implements it.
type JobControl interface {
	// SignalTerminal sends a signal to the foreground process group.
	SignalTerminal(t fs.Terminal, s unix.Signal)
	// HangUpTerminal ends the session's hold on the terminal, with SIGHUP.
	HangUpTerminal(t fs.Terminal)
}

// Process is a task that calls, as job control sees it. Package task
// implements it; the methods are described there.
type Process interface {
	fs.Caller
	ControllingTerminal() fs.Terminal
	OpenTerminal(t fs.Terminal)
	AcquireTerminal(t fs.Terminal, steal bool) error
	ReleaseTerminal(t fs.Terminal) error
	TerminalForeground(t fs.Terminal) (int, error)
	SetTerminalForeground(t fs.Terminal, group int) error
	TerminalSession(t fs.Terminal) (int, error)
	CheckBackground(t fs.Terminal, s unix.Signal) error
}

// Window is the size of the terminal's window: struct winsize.
type Window struct{ Rows, Columns, XPixels, YPixels uint16 }

// Terminal is a terminal: settings, the line discipline's buffers, and who is
// at its other side. It is safe for concurrent use.
type Terminal struct {
	number  uint64 // device number
	output  Output
	control JobControl
	queue   wait.Queue

	mu         sync.Mutex // guards what follows
	termios    termios
	window     Window
	input      input
	column     int  // of the cursor
	lineColumn int  // of the cursor when the line that is typed began
	stopped    bool // by VSTOP, or by TCOOFF
	hungUp     bool
	exclusive  bool // TIOCEXCL
	readTimer  *time.Timer
	timedOut   bool // VTIME has passed

	// signals and wake are sent after mu is unlocked.
	signals []unix.Signal
	wake    wait.Events
}

// New returns a terminal with the usual settings. number is its device number.
func New(number uint64, output Output, control JobControl) *Terminal {
	return &Terminal{number: number, output: output, control: control, termios: usual()}
}

// DeviceNumber implements fs.Terminal.
func (t *Terminal) DeviceNumber() uint64 { return t.number }

// unlock ends a critical section and does what had to wait for its end.
func (t *Terminal) unlock() {
	signals, wake := t.signals, t.wake
	t.signals, t.wake = nil, 0
	t.mu.Unlock()
	for _, s := range signals {
		t.control.SignalTerminal(t, s)
	}
	if wake != 0 {
		t.queue.Wake(wake)
	}
}

// Window returns the window size.
func (t *Terminal) Window() Window {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.window
}

// SetWindow sets the window size, and sends SIGWINCH if it has changed.
func (t *Terminal) SetWindow(w Window) {
	t.mu.Lock()
	if t.window != w {
		t.window = w
		t.signals = append(t.signals, unix.SIGWINCH)
	}
	t.unlock()
}

// HangUp is the loss of the other side: the session gets SIGHUP, readers see
// the end of the file, and writers EIO.
func (t *Terminal) HangUp() {
	t.mu.Lock()
	t.hungUp = true
	t.mu.Unlock()
	t.control.HangUpTerminal(t)
	t.queue.Wake(wait.All)
}

// Readiness returns the poll(2) conditions of the terminal's open files.
func (t *Terminal) Readiness() wait.Events {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hungUp {
		return wait.Hup | wait.Readable | wait.Writable
	}
	var ready wait.Events
	if t.input.readable(&t.termios) {
		ready |= wait.Readable
	}
	if !t.stopped && t.output.Room() > 0 {
		ready |= wait.Writable
	}
	return ready
}
