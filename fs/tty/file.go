package tty

import (
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// file is the operations of an open terminal.
type file struct {
	fs.FileBase
	terminal *Terminal
	released func() // of a pseudo terminal's slave
}

// Open opens the terminal for a caller: a session leader without a controlling
// terminal gets it, unless O_NOCTTY is set. Errors: EBUSY after TIOCEXCL, EIO
// after a hang-up.
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

// Of returns the terminal that an open file is, or nil.
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
	t.mu.Lock()
	stop := t.termios.local(unix.TOSTOP)
	t.mu.Unlock()
	if p, ok := caller.(Process); ok && stop {
		return p.CheckBackground(t, unix.SIGTTOU)
	}
	return nil
}

// FillsWrites implements fs.Stream.
func (o *file) FillsWrites() {}

// Read implements fs.FileOperations: a line, or what VMIN and VTIME ask for.
func (o *file) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	p, err := o.terminal.read(dst.Remaining())
	if err != nil || len(p) == 0 {
		return 0, err
	}
	return fs.PutAll(dst, p)
}

// read takes up to limit bytes of input.
func (t *Terminal) read(limit int) ([]byte, error) {
	t.mu.Lock()
	defer t.unlock()
	t.wake |= wait.Writable // a master may have waited for room
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

// startReadTimer begins the time between two characters (VTIME with VMIN).
// t.mu is held.
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

// armReadTimer starts VTIME, in tenths of a second, unless it runs already.
func (t *Terminal) armReadTimer() {
	if t.readTimer != nil {
		return
	}
	t.timedOut = false
	var timer *time.Timer
	timer = time.AfterFunc(time.Duration(t.termios.Cc[unix.VTIME])*100*time.Millisecond, func() {
		t.mu.Lock()
		if t.readTimer == timer {
			t.readTimer, t.timedOut = nil, true
			t.wake |= wait.Readable
		}
		t.unlock()
	})
	t.readTimer = timer
}

// writePiece is how much of a write is converted at a time.
const writePiece = 1024

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

// write sends as much of p as there is room for: EAGAIN if that is nothing,
// or if the user has stopped the output, EIO after a hang-up.
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
