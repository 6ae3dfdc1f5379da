package tty

import (
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/guard"
	"slowpath/wait"
)

// file implements the operations of an open terminal.
type file struct {
	fs.FileBase
	terminal *Terminal
	released func() // called by Release for a pty slave, otherwise nil
}

// Open opens the terminal. It becomes the controlling terminal of a session
// leader that has none, unless O_NOCTTY is set (tty(4), credentials(7)). It
// fails with EBUSY after TIOCEXCL, and with EIO after a hang-up.
func (t *Terminal) Open(r fs.OpenRequest) (fs.FileOperations, error) {
	t.mu.Lock()
	exclusive, hungUp := t.exclusive, t.hungUp
	t.mu.Unlock()
	if hungUp {
		return nil, unix.EIO
	}
	if exclusive && r.Caller.Credentials().EUID != 0 {
		return nil, unix.EBUSY
	}
	if p, ok := r.Caller.(Process); ok && r.Flags&unix.O_NOCTTY == 0 && r.Reads() {
		p.OpenTerminal(t)
	}
	return &file{terminal: t}, nil
}

// Of returns the terminal of an open file, or nil if the file is not a terminal.
func Of(f *fs.File) *Terminal {
	if o, ok := f.Operations().(*file); ok {
		return o.terminal
	}
	return nil
}

// BeforeRead implements fs.JobControlled.
func (o *file) BeforeRead(caller fs.Caller) error {
	if p, ok := caller.(Process); ok {
		return p.CheckBackground(o.terminal, unix.SIGTTIN)
	}
	return nil
}

// BeforeWrite implements fs.JobControlled.
func (o *file) BeforeWrite(caller fs.Caller) error {
	t := o.terminal
	locked := guard.Lock(&t.mu)
	defer locked.Release()
	stop := t.termios.local(unix.TOSTOP)
	locked.Release()
	if p, ok := caller.(Process); ok && stop {
		return p.CheckBackground(t, unix.SIGTTOU)
	}
	return nil
}

// FillsWrites implements fs.Stream.
func (o *file) FillsWrites() {}

// Read implements fs.FileOperations. In canonical mode it reads a line. In raw
// mode VMIN and VTIME define when it returns (termios(3)).
func (o *file) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	p, err := o.terminal.read(dst.Remaining())
	if err != nil || len(p) == 0 {
		return 0, err
	}
	if reader, ok := fs.CallerOf(dst).(Process); ok {
		canonical, echo := o.terminal.modes()
		reader.HasReadTerminal(fs.TerminalRead{Terminal: o.terminal, Canonical: canonical, Echo: echo, Data: p})
	}
	return fs.PutAll(dst, p)
}

// modes returns the flags ICANON and ECHO.
func (t *Terminal) modes() (canonical, echo bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.termios.canonical(), t.termios.local(unix.ECHO)
}

// read removes up to limit bytes from the input. It fails with EAGAIN if there
// is not enough input yet.
func (t *Terminal) read(limit int) ([]byte, error) {
	t.mu.Lock()
	defer t.unlock()
	t.wake |= wait.Writable // a master may wait for room
	if t.hungUp {
		return nil, nil
	}
	if t.termios.canonical() {
		if len(t.input.ends) == 0 {
			return nil, unix.EAGAIN
		}
		return t.input.takeLine(limit), nil
	}
	least := min(int(t.termios.Cc[unix.VMIN]), limit)
	have := len(t.input.ready)
	timed := t.termios.Cc[unix.VTIME] > 0
	switch {
	case have > 0 && have >= least, timed && t.timedOut && (have > 0 || least == 0), !timed && least == 0:
		t.timedOut = false
		return t.input.take(min(have, limit)), nil
	}
	if timed && least == 0 {
		t.armReadTimer()
	}
	return nil, unix.EAGAIN
}

// startReadTimer restarts the timer between two characters, if both VMIN and
// VTIME are set (termios(3)). t.mu is held.
func (t *Terminal) startReadTimer() {
	s := &t.termios
	if !s.canonical() && s.Cc[unix.VTIME] > 0 && s.Cc[unix.VMIN] > 0 && len(t.input.ready) > 0 {
		if t.readTimer != nil {
			t.readTimer.Stop()
			t.readTimer = nil
		}
		t.armReadTimer()
	}
}

// armReadTimer starts the VTIME timer, unless it already runs. VTIME is in
// tenths of a second. t.mu is held.
func (t *Terminal) armReadTimer() {
	if t.readTimer != nil {
		return
	}
	t.timedOut = false
	var timer *time.Timer
	timer = guard.AfterFunc(time.Duration(t.termios.Cc[unix.VTIME])*100*time.Millisecond, func() {
		t.mu.Lock()
		if t.readTimer == timer {
			t.readTimer, t.timedOut = nil, true
			t.wake |= wait.Readable
		}
		t.unlock()
	})
	t.readTimer = timer
}

// writePiece is the number of bytes of a write that are read from user memory and
// converted at a time (drivers/tty/tty_io.c, do_tty_write).
const writePiece = 2048

// Write implements fs.FileOperations.
func (o *file) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	total := 0
	for src.Remaining() > 0 {
		p, err := fs.GetAll(src, writePiece)
		if err == nil {
			var n int
			n, err = o.terminal.write(p)
			fs.Unget(src, len(p)-n)
			total += n
		}
		if err != nil {
			n, err := fs.Moved(total, err)
			return n, 0, err
		}
	}
	return total, 0, nil
}

// write sends as many bytes of p as the output has room for. It fails with EAGAIN
// if it did not send all of them or if the user stopped the output, and with EIO
// after a hang-up.
func (t *Terminal) write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.unlock()
	if t.hungUp {
		return 0, unix.EIO
	}
	n := min(len(p), (t.output.Room()+expansion-1)/expansion)
	if t.stopped || n <= 0 {
		return 0, unix.EAGAIN
	}
	t.print(p[:n])
	if n < len(p) {
		return n, unix.EAGAIN
	}
	return n, nil
}

// Readiness implements fs.FileOperations.
func (o *file) Readiness() wait.Events { return o.terminal.Readiness() }

// Queue implements fs.FileOperations.
func (o *file) Queue() *wait.Queue { return &o.terminal.queue }

// Release implements fs.FileOperations.
func (o *file) Release() {
	if o.released != nil {
		o.released()
	}
}
