package tty

import (
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"slowpath/wait"
)

// Input processes characters that the user has typed. It does not wait for room.
// Characters that do not fit are lost, and ring the bell if IMAXBEL is set.
func (t *Terminal) Input(p []byte) {
	t.mu.Lock()
	defer t.unlock()
	for _, c := range p {
		t.process(c)
	}
	t.startReadTimer()
}

// room returns the number of characters that Input accepts without loss.
func (t *Terminal) room() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.termios.canonical() && len(t.input.ends) == 0 {
		return inputSize // an unfinished line cannot be read, so waiting would not make room
	}
	return t.input.room()
}

// process processes one character: flow control, signals, conversion, and then
// line editing. t.mu is held.
func (t *Terminal) process(c byte) {
	if t.input.literal {
		t.input.literal = false
		t.store(c)
		return
	}
	if t.termios.Iflag&unix.ISTRIP != 0 {
		c &= 0x7f
	}
	if t.flow(c) || t.signal(c) {
		return
	}
	c, drop := t.convert(c)
	switch {
	case drop:
	case t.termios.canonical():
		t.processInLine(c)
	default:
		t.store(c)
	}
}

// flow handles VSTART and VSTOP. It reports whether c was one of them.
func (t *Terminal) flow(c byte) bool {
	s := &t.termios
	if s.Iflag&unix.IXON == 0 {
		return false
	}
	switch {
	case s.is(unix.VSTOP, c):
		t.stopped = true
		return true
	case s.is(unix.VSTART, c):
		t.restart()
		return true
	}
	if t.stopped && s.Iflag&unix.IXANY != 0 {
		t.restart()
	}
	return false
}

func (t *Terminal) restart() {
	t.stopped = false
	t.wake |= wait.Writable
}

// signal handles VINTR, VQUIT and VSUSP. It reports whether c was one of them.
func (t *Terminal) signal(c byte) bool {
	s := &t.termios
	if !s.local(unix.ISIG) {
		return false
	}
	var number unix.Signal
	switch {
	case s.is(unix.VINTR, c):
		number = unix.SIGINT
	case s.is(unix.VQUIT, c):
		number = unix.SIGQUIT
	case s.is(unix.VSUSP, c):
		number = unix.SIGTSTP
	default:
		return false
	}
	if !s.local(unix.NOFLSH) {
		t.input.flush()
	}
	if t.stopped {
		t.restart()
	}
	if s.local(unix.ECHO) {
		t.echo(c)
	}
	t.signals = append(t.signals, number)
	return true
}

// convert applies ICRNL, INLCR, IGNCR and IUCLC. If drop is true, c is ignored.
func (t *Terminal) convert(c byte) (converted byte, drop bool) {
	modes := t.termios.Iflag
	switch {
	case c == '\r' && modes&unix.IGNCR != 0:
		return c, true
	case c == '\r' && modes&unix.ICRNL != 0:
		return '\n', false
	case c == '\n' && modes&unix.INLCR != 0:
		return '\r', false
	case modes&unix.IUCLC != 0 && t.termios.local(unix.IEXTEN) && c >= 'A' && c <= 'Z':
		return c + 'a' - 'A', false
	}
	return c, false
}

// processInLine processes one character in canonical mode.
func (t *Terminal) processInLine(c byte) {
	s := &t.termios
	extended := s.local(unix.IEXTEN)
	switch {
	case s.is(unix.VERASE, c):
		t.erase()
	case s.is(unix.VKILL, c):
		t.kill()
	case extended && s.is(unix.VWERASE, c):
		t.eraseWord()
	case extended && s.is(unix.VLNEXT, c):
		t.input.literal = true
		if s.local(unix.ECHO) && s.local(unix.ECHOCTL) {
			t.print([]byte("^\b"))
		}
	case extended && s.is(unix.VREPRINT, c) && s.local(unix.ECHO):
		t.reprint(c)
	case s.is(unix.VEOF, c):
		if len(t.input.ends) >= inputSize-1 {
			return
		}
		t.input.finish()
		t.wake |= wait.Readable
	case c == '\n':
		t.endLine(c, s.local(unix.ECHO|unix.ECHONL))
	case s.is(unix.VEOL, c), extended && s.is(unix.VEOL2, c):
		t.endLine(c, s.local(unix.ECHO))
	default:
		t.store(c)
	}
}

func (t *Terminal) endLine(c byte, echo bool) {
	if len(t.input.ready)+len(t.input.edit) >= inputSize {
		t.bell()
		return
	}
	if echo {
		t.echo(c)
	}
	t.input.edit = append(t.input.edit, c)
	t.input.finish()
	t.wake |= wait.Readable
}

// store adds a character without special meaning to the input.
func (t *Terminal) store(c byte) {
	if t.input.full() {
		t.bell()
		return
	}
	if len(t.input.edit) == 0 {
		t.lineColumn = t.column
	}
	if t.termios.local(unix.ECHO) {
		t.echo(c)
	}
	if t.termios.canonical() {
		t.input.edit = append(t.input.edit, c)
		return
	}
	t.input.ready = append(t.input.ready, c)
	t.timedOut = false
	t.wake |= wait.Readable
}

func (t *Terminal) bell() {
	if t.termios.Iflag&unix.IMAXBEL != 0 {
		t.output.Send([]byte{'\a'})
	}
}

// lastCharacter returns the length of the line's last character, in bytes.
func (t *Terminal) lastCharacter() int {
	line := t.input.edit
	if len(line) == 0 {
		return 0
	}
	if t.termios.Iflag&unix.IUTF8 == 0 {
		return 1
	}
	_, size := utf8.DecodeLastRune(line)
	return size
}

// erase implements VERASE: it erases the last character of the line.
func (t *Terminal) erase() {
	n := t.lastCharacter()
	if n == 0 {
		return
	}
	last := append([]byte(nil), t.input.edit[len(t.input.edit)-n:]...)
	t.input.edit = t.input.edit[:len(t.input.edit)-n]
	if !t.termios.local(unix.ECHO) {
		return
	}
	if !t.termios.local(unix.ECHOE) {
		t.echo(t.termios.Cc[unix.VERASE])
		return
	}
	t.rubOut(last)
}

// eraseWord implements VWERASE: it erases the characters after the last word,
// and then the word. A word consists of letters, digits and underscores.
func (t *Terminal) eraseWord() {
	last := func() byte { return t.input.edit[len(t.input.edit)-1] }
	for len(t.input.edit) > 0 && !inWord(last()) {
		t.erase()
	}
	for len(t.input.edit) > 0 && inWord(last()) {
		t.erase()
	}
}

func inWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

// kill implements VKILL: it erases the whole line.
func (t *Terminal) kill() {
	s := &t.termios
	if s.local(unix.ECHO) && s.local(unix.ECHOK) && s.local(unix.ECHOKE) && s.local(unix.ECHOE) {
		for len(t.input.edit) > 0 {
			t.erase()
		}
		return
	}
	t.input.edit = t.input.edit[:0]
	if s.local(unix.ECHO) {
		t.echo(s.Cc[unix.VKILL])
		if s.local(unix.ECHOK) {
			t.print([]byte{'\n'})
		}
	}
}

// reprint implements VREPRINT: it prints the line again.
func (t *Terminal) reprint(c byte) {
	t.echo(c)
	t.print([]byte{'\n'})
	for _, b := range t.input.edit {
		t.echo(b)
	}
}

// Type is Input for a driver with flow control. It sleeps while the buffer is
// full, so a long paste is not cut. Later characters wait too, even VINTR: Linux
// does not process a character while 4 KiB of finished lines are unread, but a
// single unfinished line never blocks input (drivers/tty/n_tty.c,
// n_tty_receive_buf_common). It must run on a goroutine that may sleep.
func (t *Terminal) Type(p []byte) {
	var s wait.Sleeper
	w := s.Waiter(wait.Writable | wait.Hup)
	t.queue.Add(w)
	defer t.queue.Remove(w)
	for len(p) > 0 {
		n := min(len(p), t.room())
		if n == 0 {
			s.Sleep(0)
			continue
		}
		t.Input(p[:n])
		p = p[n:]
	}
}
