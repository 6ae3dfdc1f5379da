package tty

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/guard"
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

// ioctl handles one request on a terminal.
type ioctl func(t *Terminal, c fs.Caller, argument uint64) error

var ioctls = map[uint32]ioctl{
	unix.TCGETS:             getTermios,
	requestGetTermios2:      getTermios2,
	unix.TCSETS:             setTermios(keepInput),
	unix.TCSETSW:            setTermios(keepInput),
	unix.TCSETSF:            setTermios(flushInput),
	requestSetTermios2:      setTermios2(keepInput),
	requestSetTermios2Wait:  setTermios2(keepInput),
	requestSetTermios2Flush: setTermios2(flushInput),
	unix.TIOCGWINSZ:         getWindow,
	unix.TIOCSWINSZ:         setWindow,
	unix.TIOCGPGRP:          getForeground,
	unix.TIOCSPGRP:          setForeground,
	unix.TIOCGSID:           getSession,
	unix.TIOCSCTTY:          acquire,
	unix.TIOCNOTTY:          release,
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
	unix.TIOCSTI:            insertInput,
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

// mayChange checks whether the caller may change the terminal. A process in the
// background gets SIGTTOU.
func mayChange(t *Terminal, c fs.Caller) error {
	if p, ok := c.(Process); ok {
		return p.CheckBackground(t, unix.SIGTTOU)
	}
	return nil
}

func getTermios(t *Terminal, c fs.Caller, address uint64) error {
	locked := guard.Lock(&t.mu)
	defer locked.Release()
	short := t.termios.short()
	locked.Release()
	return abi.CopyOut(c, address, short)
}

func getTermios2(t *Terminal, c fs.Caller, address uint64) error {
	t.mu.Lock()
	long := t.termios.Termios
	t.mu.Unlock()
	return abi.CopyOut(c, address, long)
}

// inputPolicy is the effect of TCSETS and its variants on unread input.
type inputPolicy bool

const (
	keepInput  inputPolicy = false
	flushInput inputPolicy = true // TCSETSF
)

// setTermios implements TCSETS and its variants. Output is sent immediately, so
// TCSETSW does not have to wait.
func setTermios(policy inputPolicy) ioctl {
	return changeTermios(policy, func(t *termios, short *abi.Termios) { t.setShort(short) })
}

// setTermios2 implements TCSETS2 and its variants.
func setTermios2(policy inputPolicy) ioctl {
	return changeTermios(policy, func(t *termios, long *unix.Termios) { t.Termios = *long })
}

// changeTermios returns an ioctl that reads a T from user memory and passes it
// to set.
func changeTermios[T any](policy inputPolicy, set func(t *termios, v *T)) ioctl {
	return func(t *Terminal, c fs.Caller, address uint64) error {
		if err := mayChange(t, c); err != nil {
			return err
		}
		v, err := abi.CopyIn[T](c, address)
		if err != nil {
			return err
		}
		t.mu.Lock()
		defer t.unlock()
		if policy == flushInput {
			t.input.flush()
		}
		next := t.termios
		set(&next, &v)
		t.setTermios(next)
		return nil
	}
}

// setTermios changes the modes. t.mu is held.
func (t *Terminal) setTermios(next termios) {
	wasCanonical := t.termios.canonical()
	t.termios = next
	if now := next.canonical(); now != wasCanonical {
		t.input.change(now)
	}
	if t.stopped && next.Iflag&unix.IXON == 0 {
		t.restart()
	}
	t.wake |= wait.Readable // the mode may make the input readable
}

func getWindow(t *Terminal, c fs.Caller, address uint64) error {
	w := t.Window()
	return abi.CopyOut(c, address, unix.Winsize{Row: w.Rows, Col: w.Columns, Xpixel: w.XPixels, Ypixel: w.YPixels})
}

func setWindow(t *Terminal, c fs.Caller, address uint64) error {
	w, err := abi.CopyIn[unix.Winsize](c, address)
	if err != nil {
		return err
	}
	t.SetWindow(Window{Rows: w.Row, Columns: w.Col, XPixels: w.Xpixel, YPixels: w.Ypixel})
	return nil
}

// asProcess runs operation for a caller that is a process. It fails with ENOTTY
// for others.
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
		return abi.CopyOut(c, address, int32(group))
	})
}

func setForeground(t *Terminal, c fs.Caller, address uint64) error {
	return asProcess(c, func(p Process) error {
		group, err := abi.CopyIn[int32](c, address)
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
		return abi.CopyOut(c, address, int32(session))
	})
}

func acquire(t *Terminal, c fs.Caller, steal uint64) error {
	return asProcess(c, func(p Process) error {
		if steal == 1 {
			return p.StealTerminal(t)
		}
		return p.AcquireTerminal(t)
	})
}

func release(t *Terminal, c fs.Caller, _ uint64) error {
	return asProcess(c, func(p Process) error { return p.ReleaseTerminal(t) })
}

func getBuffered(t *Terminal, c fs.Caller, address uint64) error {
	locked := guard.Lock(&t.mu)
	defer locked.Release()
	n := t.input.buffered(&t.termios)
	locked.Release()
	return abi.CopyOut(c, address, int32(n))
}

func constant(value int32) ioctl {
	return func(_ *Terminal, c fs.Caller, address uint64) error { return abi.CopyOut(c, address, value) }
}

// setDiscipline implements TIOCSETD. N_TTY is the only line discipline.
func setDiscipline(_ *Terminal, c fs.Caller, address uint64) error {
	discipline, err := abi.CopyIn[int32](c, address)
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
		t.flushInput()
	case flushOut:
	default:
		return unix.EINVAL
	}
	return nil
}

// flushInput drops the input that was not read.
func (t *Terminal) flushInput() {
	t.mu.Lock()
	defer t.unlock()
	t.input.flush()
	t.wake |= wait.Writable // a master may wait for room
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
		t.output.Send(t.termios.Cc[unix.VSTOP : unix.VSTOP+1])
	case transmitGo:
		t.output.Send(t.termios.Cc[unix.VSTART : unix.VSTART+1])
	default:
		return unix.EINVAL
	}
	return nil
}

// nothingToSend implements tcdrain(3) and tcsendbreak(3). Output is sent
// immediately, and there is no serial line for a break.
func nothingToSend(t *Terminal, c fs.Caller, _ uint64) error { return mayChange(t, c) }

// insertInput implements TIOCSTI. It fails with EPERM unless the terminal is the
// caller's controlling terminal or the caller is root.
func insertInput(t *Terminal, c fs.Caller, address uint64) error {
	p, ok := c.(Process)
	if c.Credentials().EUID != 0 && (!ok || p.ControllingTerminal() != fs.Terminal(t)) {
		return unix.EPERM
	}
	typed, err := abi.CopyIn[byte](c, address)
	if err != nil {
		return err
	}
	t.Input([]byte{typed})
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
	return abi.CopyOut(c, address, value)
}

func getDevice(t *Terminal, c fs.Caller, address uint64) error {
	return abi.CopyOut(c, address, int32(t.number))
}

func hangUp(t *Terminal, c fs.Caller, _ uint64) error {
	if c.Credentials().EUID != 0 {
		return unix.EPERM
	}
	t.HangUp()
	return nil
}
