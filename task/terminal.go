package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/signal"
)

// Terminal is the controlling terminal of a session.
type Terminal = fs.Terminal

// The methods below are the job control of tty_ioctl(4) and termios(3). A terminal
// calls them with itself as argument. It must not hold a lock of its own.

// ControllingTerminal returns the controlling terminal of the task's session, or
// nil.
func (t *Task) ControllingTerminal() Terminal {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	return t.group.pgrp.session.terminal
}

// ControllingTerminal returns the controlling terminal of the process's session
// and the id of the foreground process group, or nil and -1 (/proc/pid/stat).
func (g *ThreadGroup) ControllingTerminal() (terminal Terminal, foreground int) {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	if g.pgrp == nil || g.pgrp.session.terminal == nil {
		return nil, -1
	}
	return g.pgrp.session.terminal, g.pgrp.session.foregroundID()
}

// foregroundID returns the id of the foreground process group, or -1.
func (s *Session) foregroundID() int {
	if s.foreground == nil {
		return -1
	}
	return s.foreground.id.number
}

// sessionOf returns the session that terminal controls, or nil.
func (k *Kernel) sessionOf(terminal Terminal) *Session {
	for _, id := range k.pids.byNumber {
		if id.session != nil && id.session.terminal == terminal {
			return id.session
		}
	}
	return nil
}

// AcquireTerminal is TIOCSCTTY with the argument 0: it makes terminal the
// controlling terminal of the task's session. EPERM if the task is not a session
// leader, if its session has another terminal, or if another session has this
// terminal.
func (t *Task) AcquireTerminal(terminal Terminal) error {
	return t.acquireTerminal(terminal, func() error { return unix.EPERM })
}

// StealTerminal is TIOCSCTTY with the argument 1: like AcquireTerminal, but if
// another session has the terminal, a task with CAP_SYS_ADMIN takes it from that
// session.
func (t *Task) StealTerminal(terminal Terminal) error {
	return t.acquireTerminal(terminal, func() error {
		if !t.Credentials().Has(cred.SysAdmin) {
			return unix.EPERM
		}
		return nil
	})
}

// acquireTerminal makes terminal the controlling terminal of the task's session.
// If another session has it, permitSteal decides whether that session loses it.
func (t *Task) acquireTerminal(terminal Terminal, permitSteal func() error) error {
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
		if err := permitSteal(); err != nil {
			return err
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
	t.AcquireTerminal(terminal)
}

// ReleaseTerminal is TIOCNOTTY: a session leader releases the terminal for the
// whole session. ENOTTY if the terminal is not the task's.
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

// disassociateTerminal removes the terminal from the session, and sends SIGHUP and
// SIGCONT to the foreground process group. The kernel's lock is held.
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

// sessionLeaderExited removes terminal and leader from the session, if g is its
// leader. The kernel's lock is held.
func (k *Kernel) sessionLeaderExited(g *ThreadGroup) {
	s := g.pgrp.session
	if s.leader != g {
		return
	}
	k.disassociateTerminal(s)
	s.leader = nil
}

// HangUpTerminal is the hang-up of a terminal: it sends SIGHUP and SIGCONT to the
// session leader and to the foreground process group, and removes the terminal
// from the session.
func (k *Kernel) HangUpTerminal(terminal Terminal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessionOf(terminal)
	if s == nil {
		return
	}
	if s.leader != nil {
		s.leader.sendFromKernel(nil, unix.SIGHUP, forced)
		s.leader.sendFromKernel(nil, unix.SIGCONT, forced)
	}
	k.disassociateTerminal(s)
}

// TerminalForeground is TIOCGPGRP: it returns the id of the foreground process
// group. ENOTTY if the terminal is not the task's controlling terminal.
func (t *Task) TerminalForeground(terminal Terminal) (int, error) {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	s := t.group.pgrp.session
	if s.terminal != terminal {
		return 0, unix.ENOTTY
	}
	return max(s.foregroundID(), 0), nil
}

// SetTerminalForeground is TIOCSPGRP. Errors: ENOTTY, EINVAL for a negative id,
// ESRCH, EPERM for a process group of another session, and those of
// CheckBackground for a background caller.
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

// TerminalSession is TIOCGSID: it returns the id of the session that the terminal
// controls. ENOTTY if that is not the task's session.
func (t *Task) TerminalSession(terminal Terminal) (int, error) {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	s := t.group.pgrp.session
	if s.terminal != terminal {
		return 0, unix.ENOTTY
	}
	return s.id.number, nil
}

// SignalTerminal sends a signal to the foreground process group, for a key such as
// Ctrl-C or for a new window size.
func (k *Kernel) SignalTerminal(terminal Terminal, s signal.Signal) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	session := k.sessionOf(terminal)
	if session != nil && session.foreground != nil {
		k.signalProcessGroup(session.foreground, signal.KernelInfo(s))
	}
}

// HasReadTerminal is called when the task has read from a terminal. It may sleep.
func (t *Task) HasReadTerminal(r fs.TerminalRead) {
	if p := &t.kernel.Tracepoints.TerminalRead; p.Active() {
		p.Call(TerminalRead{t, r})
	}
}

// CheckBackground must be called before a task reads from a terminal (s is
// SIGTTIN), and before it writes with TOSTOP or changes the terminal (s is
// SIGTTOU). It returns nil if the terminal is not the task's controlling terminal,
// or if the task is in the foreground. For a task in the background (termios(3)):
//
//   - SIGTTIN ignored or blocked: EIO.
//   - SIGTTOU ignored or blocked: nil.
//   - in an orphaned process group: EIO.
//   - otherwise its process group gets s, and the result is ERESTARTSYS.
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

// ignoresOrBlocks reports whether s would not be delivered to the task.
func (t *Task) ignoresOrBlocks(s signal.Signal) bool {
	return t.Blocked().Has(s) || t.group.Actions().Handler(s) == signal.SIG_IGN
}
