package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/signal"
)

// Terminal is a terminal as the session sees whose controlling terminal it is.
type Terminal = fs.Terminal

// The methods below are the job control of tty_ioctl(4) and termios(3). A
// terminal calls them with itself and the task that wants something of it; it
// holds none of its own locks meanwhile.

// ControllingTerminal returns the terminal of the task's session, or nil.
func (t *Task) ControllingTerminal() Terminal {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	return t.group.pgrp.session.terminal
}

// ControllingTerminal returns the terminal of the process's session and the
// foreground process group's id (-1 for none), for /proc/pid/stat.
func (g *ThreadGroup) ControllingTerminal() (terminal Terminal, foreground int) {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	if g.pgrp == nil || g.pgrp.session.terminal == nil {
		return nil, -1
	}
	return g.pgrp.session.terminal, g.pgrp.session.foregroundID()
}

func (s *Session) foregroundID() int {
	if s.foreground == nil {
		return -1
	}
	return s.foreground.id.number
}

// sessionOf returns the session whose controlling terminal it is, or nil.
func (k *Kernel) sessionOf(terminal Terminal) *Session {
	for _, id := range k.pids.byNumber {
		if id.session != nil && id.session.terminal == terminal {
			return id.session
		}
	}
	return nil
}

// AcquireTerminal is TIOCSCTTY: it makes the terminal the controlling terminal
// of the task's session. With steal (an argument of 1) a privileged caller
// takes it from another session. EPERM if the task is not a session leader, has
// one already, or the terminal is another session's.
func (t *Task) AcquireTerminal(terminal Terminal, steal bool) error {
	k := t.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	s := t.group.pgrp.session
	if s.leader == t.group && s.terminal == terminal {
		return nil
	}
	if s.leader != t.group || s.terminal != nil {
		return unix.EPERM
	}
	if other := k.sessionOf(terminal); other != nil {
		if !steal || !t.Credentials().Has(cred.SysAdmin) {
			return unix.EPERM
		}
		other.terminal, other.foreground = nil, nil
	}
	s.terminal, s.foreground = terminal, t.group.pgrp
	return nil
}

// OpenTerminal is what open(2) of a terminal without O_NOCTTY does: the
// terminal becomes the controlling terminal of a session leader that has none,
// unless it is another session's.
func (t *Task) OpenTerminal(terminal Terminal) {
	const steal = false
	t.AcquireTerminal(terminal, steal)
}

// ReleaseTerminal is TIOCNOTTY: ENOTTY if the terminal is not the task's. A
// session leader gives it up for the whole session.
func (t *Task) ReleaseTerminal(terminal Terminal) error {
	k := t.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	s := t.group.pgrp.session
	if s.terminal != terminal {
		return unix.ENOTTY
	}
	if s.leader == t.group {
		k.disassociateTerminal(s)
	}
	return nil
}

// disassociateTerminal takes the terminal from the session: the foreground group is hung
// up and continued. The kernel's lock is held.
func (k *Kernel) disassociateTerminal(s *Session) {
	if s.terminal == nil {
		return
	}
	if p := s.foreground; p != nil {
		k.signalProcessGroup(p, signal.KernelInfo(unix.SIGHUP))
		k.signalProcessGroup(p, signal.KernelInfo(unix.SIGCONT))
	}
	s.terminal, s.foreground = nil, nil
}

// sessionLeaderExited is the exit of a session leader: the session loses its terminal
// and has no leader any more. The kernel's lock is held.
func (k *Kernel) sessionLeaderExited(g *ThreadGroup) {
	s := g.pgrp.session
	if s.leader != g {
		return
	}
	k.disassociateTerminal(s)
	s.leader = nil
}

// HangUpTerminal is a terminal's hang-up: the session leader gets SIGHUP and
// SIGCONT, the foreground group too, and the terminal is nobody's any more.
func (k *Kernel) HangUpTerminal(terminal Terminal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessionOf(terminal)
	if s == nil {
		return
	}
	if s.leader != nil {
		s.leader.send(nil, signal.KernelInfo(unix.SIGHUP), forced)
		s.leader.send(nil, signal.KernelInfo(unix.SIGCONT), forced)
	}
	k.disassociateTerminal(s)
}

// TerminalForeground is TIOCGPGRP: the foreground process group's id. ENOTTY
// if the terminal is not the task's controlling terminal.
func (t *Task) TerminalForeground(terminal Terminal) (int, error) {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	s := t.group.pgrp.session
	if s.terminal != terminal {
		return 0, unix.ENOTTY
	}
	return max(s.foregroundID(), 0), nil
}

// SetTerminalForeground is TIOCSPGRP. Errors: ENOTTY, EINVAL for a negative
// id, ESRCH, EPERM for a group of another session; and for a background caller
// those of CheckBackground.
func (t *Task) SetTerminalForeground(terminal Terminal, number int) error {
	if err := t.CheckBackground(terminal, unix.SIGTTOU); err != nil {
		return err
	}
	k := t.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	s := t.group.pgrp.session
	if s.terminal != terminal {
		return unix.ENOTTY
	}
	if number < 0 {
		return unix.EINVAL
	}
	p := k.processGroupByID(number)
	if p == nil {
		return unix.ESRCH
	}
	if p.session != s {
		return unix.EPERM
	}
	s.foreground = p
	return nil
}

// TerminalSession is TIOCGSID: the id of the session that the terminal
// controls, ENOTTY if it is not the task's.
func (t *Task) TerminalSession(terminal Terminal) (int, error) {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	s := t.group.pgrp.session
	if s.terminal != terminal {
		return 0, unix.ENOTTY
	}
	return s.id.number, nil
}

// SignalTerminal sends a signal to the foreground process group: a key was
// pressed, or the window has changed its size.
func (k *Kernel) SignalTerminal(terminal Terminal, s signal.Signal) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	session := k.sessionOf(terminal)
	if session != nil && session.foreground != nil {
		k.signalProcessGroup(session.foreground, signal.KernelInfo(s))
	}
}

// CheckBackground is asked before a task reads (s is SIGTTIN) from its
// controlling terminal, or changes it or writes to it with TOSTOP (SIGTTOU).
// The foreground may; so may everybody on a terminal that is not his. A
// background process gets the signal, and ERESTARTSYS: unless it ignores or
// blocks SIGTTOU, which lets it write, or SIGTTIN, or is orphaned, which is
// EIO (termios(3)).
func (t *Task) CheckBackground(terminal Terminal, s signal.Signal) error {
	k := t.kernel
	k.mu.RLock()
	defer k.mu.RUnlock()
	p := t.group.pgrp
	session := p.session
	if session.terminal != terminal || session.foreground == nil || session.foreground == p {
		return nil
	}
	if t.ignoresOrBlocks(s) {
		if s == unix.SIGTTIN {
			return unix.EIO
		}
		return nil
	}
	if p.orphaned(nil) {
		return unix.EIO
	}
	k.signalProcessGroup(p, signal.KernelInfo(s))
	return abi.ERESTARTSYS
}

func (t *Task) ignoresOrBlocks(s signal.Signal) bool {
	return t.Blocked().Has(s) || t.group.Actions.Get(s).Handler == signal.SIG_IGN
}
