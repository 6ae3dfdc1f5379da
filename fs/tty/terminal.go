// Package tty implements terminals: the line discipline of termios(3), job
// control, the console, and pseudo terminals (pty(7)).
//
// A Terminal has two sides. Programs read, write and control it through open
// files. The driver on the other side passes the user's input to Input and
// implements Output. The driver is the link to the host for the console, or the
// master of a pseudo terminal.
package tty

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// Output receives the output of a terminal. Its methods are called with the
// terminal's lock held, and must not call methods of the terminal.
type Output interface {
	// Room returns the number of bytes that Send accepts now.
	Room() int
	// Send sends bytes. Output of programs is at most Room bytes. Echoes may
	// exceed Room, and may be dropped.
	Send(p []byte)
}

// JobControl is the part of job control that has no calling task: the effects of
// signal characters and hang-ups. Package task implements it.
type JobControl interface {
	// SignalTerminal sends a signal to the foreground process group.
	SignalTerminal(t fs.Terminal, s unix.Signal)
	// HangUpTerminal detaches the session from the terminal and sends SIGHUP and
	// SIGCONT to the session leader.
	HangUpTerminal(t fs.Terminal)
}

// Process is the part of job control that acts on the calling task. Package task
// implements it and documents its methods.
type Process interface {
	fs.Caller
	ControllingTerminal() fs.Terminal
	OpenTerminal(t fs.Terminal)
	AcquireTerminal(t fs.Terminal) error
	StealTerminal(t fs.Terminal) error
	ReleaseTerminal(t fs.Terminal) error
	TerminalForeground(t fs.Terminal) (int, error)
	SetTerminalForeground(t fs.Terminal, group int) error
	TerminalSession(t fs.Terminal) (int, error)
	CheckBackground(t fs.Terminal, s unix.Signal) error
	HasReadTerminal(r fs.TerminalRead)
}

// Window is the size of the terminal's window (struct winsize, ioctl_tty(2)).
type Window struct{ Rows, Columns, XPixels, YPixels uint16 }

// Terminal is a terminal: its settings, the line discipline's buffers, and its
// output. It is safe for concurrent use.
type Terminal struct {
	number  uint64 // device number
	output  Output
	control JobControl
	queue   wait.Queue

	mu         sync.Mutex // guards the fields below
	termios    termios
	window     Window
	input      input
	column     int  // the cursor's column
	lineColumn int  // the cursor's column at the start of the typed line
	stopped    bool // output was stopped by VSTOP or TCOOFF
	hungUp     bool
	exclusive  bool // TIOCEXCL
	readTimer  *time.Timer
	timedOut   bool // VTIME has passed

	// signals and wake are sent after mu is unlocked.
	signals []unix.Signal
	wake    wait.Events
}

// New returns a terminal with the default settings. number is its device number.
func New(number uint64, output Output, control JobControl) *Terminal {
	return &Terminal{number: number, output: output, control: control, termios: defaultTermios()}
}

// DeviceNumber implements fs.Terminal.
func (t *Terminal) DeviceNumber() uint64 { return t.number }

// unlock unlocks mu. Then it sends the signals and wake-ups of the critical
// section, because their receivers may lock mu.
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

// SetWindow sets the window size. It sends SIGWINCH to the foreground process
// group if the size has changed.
func (t *Terminal) SetWindow(w Window) {
	t.mu.Lock()
	if t.window != w {
		t.window = w
		t.signals = append(t.signals, unix.SIGWINCH)
	}
	t.unlock()
}

// HangUp hangs up the terminal: the session leader gets SIGHUP, reads return the
// end of the file, and writes fail with EIO.
func (t *Terminal) HangUp() {
	t.mu.Lock()
	t.hungUp = true
	t.mu.Unlock()
	t.control.HangUpTerminal(t)
	t.queue.Wake(wait.All)
}

// OutputHasRoom wakes the writers that wait for room in the output. The output's
// driver calls it without locks.
func (t *Terminal) OutputHasRoom() { t.queue.Wake(wait.Writable) }

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
