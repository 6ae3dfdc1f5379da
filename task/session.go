package task

import "golang.org/x/sys/unix"

// Session is a set of process groups with at most one controlling terminal
// (setsid(2), credentials(7)). The kernel's lock guards it.
type Session struct {
	id         *pid
	leader     *ThreadGroup // nil after the leader's exit
	terminal   Terminal     // the controlling terminal, or nil
	foreground *ProcessGroup
	groups     int // process groups in the session
}

// ID returns the session's id: that of its first process.
func (s *Session) ID() int { return s.id.number }

// ProcessGroup is a job: the processes that a terminal sends a signal to at once
// (setpgid(2)). The kernel's lock guards it.
type ProcessGroup struct {
	id      *pid
	session *Session
	members []*ThreadGroup
}

// ID returns the process group's id.
func (p *ProcessGroup) ID() int { return p.id.number }

// newSession makes g the leader of a new session and of its first process group.
func (k *Kernel) newSession(g *ThreadGroup) {
	s := &Session{id: g.id, leader: g}
	g.id.session = s
	k.joinNewGroup(g, s)
}

// joinNewGroup makes g the leader of a new process group in session s.
func (k *Kernel) joinNewGroup(g *ThreadGroup, s *Session) {
	p := &ProcessGroup{id: g.id, session: s}
	g.id.pgrp = p
	s.groups++
	k.join(g, p)
}

// join moves g into process group p.
func (k *Kernel) join(g *ThreadGroup, p *ProcessGroup) {
	if g.pgrp != nil {
		k.leave(g)
	}
	g.pgrp = p
	p.members = append(p.members, g)
}

// leave removes g from its process group. An empty process group is released, and
// with its last process group a session.
func (k *Kernel) leave(g *ThreadGroup) {
	p := g.pgrp
	g.pgrp = nil
	for i, member := range p.members {
		if member == g {
			p.members = append(p.members[:i], p.members[i+1:]...)
			break
		}
	}
	if len(p.members) > 0 {
		return
	}
	p.id.pgrp = nil
	k.pids.release(p.id)
	s := p.session
	if s.foreground == p {
		s.foreground = nil
	}
	if s.groups--; s.groups == 0 {
		s.id.session = nil
		k.pids.release(s.id)
	}
}

// SetSession is setsid(2): EPERM for a process group leader. It returns the
// new session's id.
func (t *Task) SetSession() (int, error) {
	k, g := t.kernel, t.group
	k.mu.Lock()
	defer k.mu.Unlock()
	if g.id.pgrp != nil || g.pgrp.session.leader == g {
		return 0, unix.EPERM
	}
	k.leave(g)
	k.newSession(g)
	return g.id.number, nil
}

// SetProcessGroup is setpgid(2): it moves the process with id number, where 0 is
// the caller, into the process group with id to, where 0 is that process's own id.
// Errors: those of setpgid(2).
func (t *Task) SetProcessGroup(number, to int) error {
	k := t.kernel
	if to < 0 {
		return unix.EINVAL
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	g, err := t.processGroupTarget(number)
	if err != nil {
		return err
	}
	if to == 0 || to == g.id.number {
		if g.id.pgrp == nil {
			k.joinNewGroup(g, g.pgrp.session)
		} else if g.id.pgrp != g.pgrp {
			k.join(g, g.id.pgrp)
		}
		return nil
	}
	p := k.processGroupByID(to)
	if p == nil || p.session != t.group.pgrp.session {
		return unix.EPERM
	}
	if p != g.pgrp {
		k.join(g, p)
	}
	return nil
}

// processGroupTarget returns the process that setpgid(2) moves: the caller, or a
// child of the same session that has not called execve(2) yet.
func (t *Task) processGroupTarget(number int) (*ThreadGroup, error) {
	g := t.group
	if number != 0 && number != g.id.number {
		if g = t.kernel.groupByID(number); g == nil {
			return nil, unix.ESRCH
		}
	}
	switch {
	case g != t.group && g.parent != t.group:
		return nil, unix.ESRCH
	case g != t.group && g.pgrp.session != t.group.pgrp.session:
		return nil, unix.EPERM
	case g != t.group && g.executed.Load():
		return nil, unix.EACCES
	case g.pgrp.session.leader == g:
		return nil, unix.EPERM
	}
	return g, nil
}

// ProcessGroupOf is getpgid(2): the process group of the process with the
// given id, 0 for the caller's own. ESRCH if there is no such process.
func (t *Task) ProcessGroupOf(number int) (int, error) {
	return t.familyOf(number, func(g *ThreadGroup) int { return g.pgrp.id.number })
}

// SessionOf is getsid(2), with the arguments and errors of ProcessGroupOf.
func (t *Task) SessionOf(number int) (int, error) {
	return t.familyOf(number, func(g *ThreadGroup) int { return g.pgrp.session.id.number })
}

// familyOf returns pick of the process that has a thread with the given id, where
// 0 is the caller: ESRCH.
func (t *Task) familyOf(number int, pick func(*ThreadGroup) int) (int, error) {
	k, g := t.kernel, t.group
	k.mu.RLock()
	defer k.mu.RUnlock()
	if number != 0 {
		id := k.pids.byNumber[number]
		if id == nil || id.task == nil {
			return 0, unix.ESRCH
		}
		g = id.task.group
	}
	return pick(g), nil
}

// ProcessGroupID returns the id of the process group, 0 after the process was
// reaped.
func (g *ThreadGroup) ProcessGroupID() int {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	if g.pgrp == nil {
		return 0
	}
	return g.pgrp.id.number
}

// SessionID returns the id of the session, 0 after the process was reaped.
func (g *ThreadGroup) SessionID() int {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	if g.pgrp == nil {
		return 0
	}
	return g.pgrp.session.id.number
}

// orphaned reports whether no member of p has a parent in another process group
// of the same session, so that no shell can continue the job. ignore is a member
// that is about to exit, or nil.
func (p *ProcessGroup) orphaned(ignore *ThreadGroup) bool {
	for _, g := range p.members {
		if g == ignore || g.exited || g.parent == nil || g.parent == g.kernel.init {
			continue
		}
		parent := g.parent.pgrp
		if parent != nil && parent != p && parent.session == p.session {
			return false
		}
	}
	return true
}

// hasStopped reports whether a member of p is stopped by job control.
func (p *ProcessGroup) hasStopped() bool {
	for _, g := range p.members {
		if g.Stopped() {
			return true
		}
	}
	return false
}
