package tty

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// Requests of tty_ioctl(4) that golang.org/x/sys/unix lacks.
const (
	requestGetTermios2         = 0x802c542a // TCGETS2
	requestSetTermios2         = 0x402c542b // TCSETS2, then TCSETSW2, TCSETSF2
	requestSetTermios2Wait     = 0x402c542c
	requestSetTermios2Flush    = 0x402c542d
	requestGetDevice           = 0x80045432 // TIOCGDEV
	requestGetExclusive        = 0x80045440 // TIOCGEXCL
	suspendOutput, resumeOut   = 0, 1       // TCOOFF, TCOON
	transmitStop, transmitGo   = 2, 3       // TCIOFF, TCION
	flushIn, flushOut, flushIO = 0, 1, 2    // TCIFLUSH, TCOFLUSH, TCIOFLUSH
)

// ioctl is one request on a terminal t.
type ioctl func(t *Terminal, c fs.Caller, argument uint64) error

var ioctls = map[uint32]ioctl{
	unix.TCGETS:             getTermios(termiosSize),
	requestGetTermios2:      getTermios(termios2Size),
	unix.TCSETS:             setTermios(termiosSize, false),
	unix.TCSETSW:            setTermios(termiosSize, false),
	unix.TCSETSF:            setTermios(termiosSize, true),
	requestSetTermios2:      setTermios(termios2Size, false),
	requestSetTermios2Wait:  setTermios(termios2Size, false),
	requestSetTermios2Flush: setTermios(termios2Size, true),
	unix.TIOCGWINSZ:         getWindow,
	unix.TIOCSWINSZ:         setWindow,
	unix.TIOCGPGRP:          getForeground,
	unix.TIOCSPGRP:          setForeground,
	unix.TIOCGSID:           getSession,
	unix.TIOCSCTTY:          acquire,
	unix.TIOCNOTTY:          giveUp,
	unix.TIOCINQ:            getBuffered,
	unix.TIOCOUTQ:           constant(0),
	unix.TIOCGETD:           constant(0), // N_TTY
	unix.TIOCSETD:           setDiscipline,
	unix.TCFLSH:             flush,
	unix.TCXONC:             flowControl,
	unix.TCSBRK:             nothingToSend,
	unix.TCSBRKP:            nothingToSend,
	unix.TIOCSBRK:           nothingToSend,
	unix.TIOCCBRK:           nothingToSend,
	unix.TIOCSTI:            typeCharacter,
	unix.TIOCEXCL:           setExclusive(true),
	unix.TIOCNXCL:           setExclusive(false),
	requestGetExclusive:     getExclusive,
	requestGetDevice:        getDevice,
	unix.TIOCVHANGUP:        hangUp,
}

// Ioctl implements fs.FileOperations.
func (o *file) Ioctl(_ *fs.File, caller fs.Caller, request uint32, argument uint64) (uint64, error) {
	run, known := ioctls[request]
	if !known {
		return 0, unix.ENOTTY
	}
	return 0, run(o.terminal, caller, argument)
}

// mayChange is asked before a terminal is changed: a background process is
// stopped.
func mayChange(t *Terminal, c fs.Caller) error {
	if p, ok := c.(Process); ok {
		return p.CheckBackground(t, unix.SIGTTOU)
	}
	return nil
}

func getTermios(size int) ioctl {
	return func(t *Terminal, c fs.Caller, address uint64) error {
		t.mu.Lock()
		p := t.termios.encode(size)
		t.mu.Unlock()
		return c.CopyOut(address, p)
	}
}

// setTermios is TCSETS and its kin. Output is sent at once, so waiting for it
// is done already.
func setTermios(size int, flushInput bool) ioctl {
	return func(t *Terminal, c fs.Caller, address uint64) error {
		if err := mayChange(t, c); err != nil {
			return err
		}
		p := make([]byte, size)
		if err := c.CopyIn(address, p); err != nil {
			return err
		}
		t.mu.Lock()
		defer t.unlock()
		if flushInput {
			t.input.flush()
		}
		t.setTermios(p)
		return nil
	}
}

func (t *Terminal) setTermios(p []byte) {
	wasCanonical := t.termios.canonical()
	t.termios.decode(p)
	if now := t.termios.canonical(); now != wasCanonical {
		t.input.change(now)
	}
	if t.stopped && t.termios.Input&unix.IXON == 0 {
		t.restart()
	}
	t.wake |= wait.Readable // what is readable may have changed
}

func getWindow(t *Terminal, c fs.Caller, address uint64) error {
	w := t.Window()
	p := make([]byte, 0, 8)
	for _, v := range [4]uint16{w.Rows, w.Columns, w.XPixels, w.YPixels} {
		p = binary.LittleEndian.AppendUint16(p, v)
	}
	return c.CopyOut(address, p)
}

func setWindow(t *Terminal, c fs.Caller, address uint64) error {
	var p [8]byte
	if err := c.CopyIn(address, p[:]); err != nil {
		return err
	}
	word := func(i int) uint16 { return binary.LittleEndian.Uint16(p[2*i:]) }
	t.SetWindow(Window{word(0), word(1), word(2), word(3)})
	return nil
}

// asProcess runs operation for a caller that takes part in job control.
func asProcess(c fs.Caller, operation func(p Process) error) error {
	p, ok := c.(Process)
	if !ok {
		return unix.ENOTTY
	}
	return operation(p)
}

func getForeground(t *Terminal, c fs.Caller, address uint64) error {
	return asProcess(c, func(p Process) error {
		group, err := p.TerminalForeground(t)
		if err != nil {
			return err
		}
		return fs.CopyOutInt32(c, address, int32(group))
	})
}

func setForeground(t *Terminal, c fs.Caller, address uint64) error {
	return asProcess(c, func(p Process) error {
		group, err := fs.CopyInInt32(c, address)
		if err != nil {
			return err
		}
		return p.SetTerminalForeground(t, int(group))
	})
}

func getSession(t *Terminal, c fs.Caller, address uint64) error {
	return asProcess(c, func(p Process) error {
		session, err := p.TerminalSession(t)
		if err != nil {
			return err
		}
		return fs.CopyOutInt32(c, address, int32(session))
	})
}

func acquire(t *Terminal, c fs.Caller, steal uint64) error {
	return asProcess(c, func(p Process) error { return p.AcquireTerminal(t, steal == 1) })
}

func giveUp(t *Terminal, c fs.Caller, _ uint64) error {
	return asProcess(c, func(p Process) error { return p.ReleaseTerminal(t) })
}

func getBuffered(t *Terminal, c fs.Caller, address uint64) error {
	t.mu.Lock()
	n := t.input.buffered(&t.termios)
	t.mu.Unlock()
	return fs.CopyOutInt32(c, address, int32(n))
}

func constant(value int32) ioctl {
	return func(_ *Terminal, c fs.Caller, address uint64) error { return fs.CopyOutInt32(c, address, value) }
}

// setDiscipline is TIOCSETD: N_TTY is the one line discipline that there is.
func setDiscipline(_ *Terminal, c fs.Caller, address uint64) error {
	discipline, err := fs.CopyInInt32(c, address)
	if err == nil && discipline != 0 {
		return unix.EINVAL
	}
	return err
}

func flush(t *Terminal, c fs.Caller, which uint64) error {
	if err := mayChange(t, c); err != nil {
		return err
	}
	switch which {
	case flushIn, flushIO:
		t.mu.Lock()
		t.input.flush()
		t.wake |= wait.Writable // for a master that waits for room
		t.unlock()
	case flushOut:
	default:
		return unix.EINVAL
	}
	return nil
}

func flowControl(t *Terminal, c fs.Caller, what uint64) error {
	if err := mayChange(t, c); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.unlock()
	switch what {
	case suspendOutput:
		t.stopped = true
	case resumeOut:
		t.restart()
	case transmitStop:
		t.output.Send(t.termios.Characters[unix.VSTOP : unix.VSTOP+1])
	case transmitGo:
		t.output.Send(t.termios.Characters[unix.VSTART : unix.VSTART+1])
	default:
		return unix.EINVAL
	}
	return nil
}

// nothingToSend is tcdrain(3) and tcsendbreak(3): output is sent at once, and
// there is no line that a break could be put on.
func nothingToSend(t *Terminal, c fs.Caller, _ uint64) error { return mayChange(t, c) }

// typeCharacter is TIOCSTI: for the controlling terminal of the caller, or with
// CAP_SYS_ADMIN.
func typeCharacter(t *Terminal, c fs.Caller, address uint64) error {
	p, ok := c.(Process)
	if c.Credentials().EUID != 0 && (!ok || p.ControllingTerminal() != fs.Terminal(t)) {
		return unix.EPERM
	}
	var typed [1]byte
	if err := c.CopyIn(address, typed[:]); err != nil {
		return err
	}
	t.Input(typed[:])
	return nil
}

func setExclusive(on bool) ioctl {
	return func(t *Terminal, _ fs.Caller, _ uint64) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.exclusive = on
		return nil
	}
}

func getExclusive(t *Terminal, c fs.Caller, address uint64) error {
	t.mu.Lock()
	value := int32(0)
	if t.exclusive {
		value = 1
	}
	t.mu.Unlock()
	return fs.CopyOutInt32(c, address, value)
}

func getDevice(t *Terminal, c fs.Caller, address uint64) error {
	return fs.CopyOutInt32(c, address, int32(t.number))
}

func hangUp(t *Terminal, c fs.Caller, _ uint64) error {
	if c.Credentials().EUID != 0 {
		return unix.EPERM
	}
	t.HangUp()
	return nil
}
