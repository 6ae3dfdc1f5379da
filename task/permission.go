package task

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/signal"
)

// maySignal reports whether t may send s to target (kill(2)). SIGCONT may be sent
// to every process of the session.
func (t *Task) maySignal(target *Task, s signal.Signal) bool {
	if p := &t.kernel.Tracepoints.SignalSent; p.Active() {
		p.Call(SignalSent{Sender: t, Target: target, Signal: s})
	}
	if t.group == target.group {
		return true
	}
	own, other := t.Credentials(), target.Credentials()
	if own.EUID == other.SUID || own.EUID == other.UID || own.UID == other.SUID || own.UID == other.UID {
		return true
	}
	if own.Has(cred.Kill) {
		return true
	}
	return s == unix.SIGCONT && t.group.pgrp.session == target.group.pgrp.session
}

// checkSignal returns EINVAL unless s is a signal number or 0. Signal 0 only
// checks the permission.
func checkSignal(s signal.Signal) error {
	if s != 0 && !signal.Valid(s) {
		return unix.EINVAL
	}
	return nil
}

// userInfo returns the siginfo of a signal that t sends by kill(2) or tgkill(2).
func (t *Task) userInfo(s signal.Signal, code int32) signal.Info {
	return signal.UserInfo(s, code, t.PID(), t.Credentials().UID)
}

// sendGroup checks the permission and sends info to a process: EPERM, EAGAIN. The
// kernel's lock is held for reading.
func (t *Task) sendGroup(g *ThreadGroup, info *signal.Info) error {
	if !t.maySignal(g.leader(), info.Signo) {
		return unix.EPERM
	}
	if info.Signo == 0 || g.exited {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sendLocked(nil, info, notForced)
}

// leader is Leader for a caller that holds the kernel's lock.
func (g *ThreadGroup) leader() *Task { return g.threads[0] }

// Kill is kill(2). A positive number is a process id, 0 stands for the caller's
// process group, -1 for every process that the caller may signal, and another
// negative number for the process group -number. Errors: those of kill(2).
func (t *Task) Kill(number int, s signal.Signal) error {
	if err := checkSignal(s); err != nil && number != -1<<31 {
		return err
	}
	info := t.userInfo(s, signal.SI_USER)
	k := t.kernel
	k.mu.RLock()
	defer k.mu.RUnlock()
	switch {
	case number > 0:
		g := k.groupOfTask(number)
		if g == nil {
			return unix.ESRCH
		}
		return t.sendGroup(g, &info)
	case number == 0:
		return t.sendProcessGroup(t.group.pgrp, &info)
	case number == -1:
		return t.sendAll(&info)
	case number == -1<<31:
		return unix.ESRCH // -number overflows
	}
	p := k.processGroupByID(-number)
	if p == nil {
		return unix.ESRCH
	}
	return t.sendProcessGroup(p, &info)
}

// groupOfTask returns the process that has a thread with the given id, or nil:
// kill(2) accepts the id of any thread. The kernel's lock is held.
func (k *Kernel) groupOfTask(tid int) *ThreadGroup {
	id := k.pids.byNumber[tid]
	if id == nil || id.task == nil {
		return nil
	}
	return id.task.group
}

// sendProcessGroup sends info to every member of p. It succeeds if one member got
// the signal. The kernel's lock is held for reading.
func (t *Task) sendProcessGroup(p *ProcessGroup, info *signal.Info) error {
	result, sent := error(unix.ESRCH), false
	for _, g := range p.members {
		err := t.sendGroup(g, info)
		sent = sent || err == nil
		result = err
	}
	if sent {
		return nil
	}
	return result
}

// sendAll sends info to every process but init and the caller's. The kernel's lock
// is held for reading.
func (t *Task) sendAll(info *signal.Info) error {
	result := error(unix.ESRCH)
	for _, id := range t.kernel.pids.byNumber {
		g := id.group
		if g == nil || g == t.group || id.number == 1 {
			continue
		}
		if err := t.sendGroup(g, info); err != unix.EPERM {
			result = err
		} else if result == unix.ESRCH {
			result = unix.EPERM
		}
	}
	return result
}

// KillThread is tgkill(2) and, with a group of 0, tkill(2). Errors: those of
// tgkill(2).
func (t *Task) KillThread(group, tid int, s signal.Signal) error {
	if tid <= 0 || group < 0 {
		return unix.EINVAL
	}
	return t.sendThread(group, tid, t.userInfo(s, signal.SI_TKILL))
}

// sendThread sends info to one thread: ESRCH if the thread is not in the given
// group, where 0 stands for any group.
func (t *Task) sendThread(group, tid int, info signal.Info) error {
	if err := checkSignal(info.Signo); err != nil {
		return err
	}
	k := t.kernel
	k.mu.RLock()
	defer k.mu.RUnlock()
	id := k.pids.byNumber[tid]
	if id == nil || id.task == nil || group != 0 && id.task.group.id.number != group {
		return unix.ESRCH
	}
	target := id.task
	if !t.maySignal(target, info.Signo) {
		return unix.EPERM
	}
	if info.Signo == 0 || exitState(target.exitState.Load()) != alive {
		return nil
	}
	return target.Signal(info)
}

// checkForged returns EPERM for a si_code that only the kernel may use, unless the
// target is the caller's own process (rt_sigqueueinfo(2)).
func (t *Task) checkForged(info *signal.Info, target int) error {
	if (info.Code >= 0 || info.Code == signal.SI_TKILL) && target != t.PID() {
		return unix.EPERM
	}
	return nil
}

// QueueInfo is rt_sigqueueinfo(2). Errors: those of rt_sigqueueinfo(2).
func (t *Task) QueueInfo(number int, info signal.Info) error {
	if err := t.checkForged(&info, number); err != nil {
		return err
	}
	if err := checkSignal(info.Signo); err != nil {
		return err
	}
	k := t.kernel
	k.mu.RLock()
	defer k.mu.RUnlock()
	g := k.groupOfTask(number)
	if g == nil {
		return unix.ESRCH
	}
	return t.sendGroup(g, &info)
}

// QueueThreadInfo is rt_tgsigqueueinfo(2). Errors: those of rt_sigqueueinfo(2).
func (t *Task) QueueThreadInfo(group, tid int, info signal.Info) error {
	if group <= 0 || tid <= 0 {
		return unix.EINVAL
	}
	if err := t.checkForged(&info, tid); err != nil {
		return err
	}
	return t.sendThread(group, tid, info)
}

// signalProcessGroup sends a signal of the kernel to every member of p, including
// init. The kernel's lock is held.
func (k *Kernel) signalProcessGroup(p *ProcessGroup, info signal.Info) {
	for _, g := range p.members {
		if !g.exited {
			g.send(nil, &info, forced)
		}
	}
}

// SignalGroup is pidfd_send_signal(2). A nil info stands for the siginfo of
// kill(2). Errors: EINVAL, EPERM, ESRCH for a reaped process.
func (t *Task) SignalGroup(g *ThreadGroup, s signal.Signal, info *signal.Info) error {
	if err := checkSignal(s); err != nil {
		return err
	}
	if info == nil {
		own := t.userInfo(s, signal.SI_USER)
		info = &own
	} else if err := t.checkForged(info, g.id.number); err != nil {
		return err
	}
	k := t.kernel
	k.mu.RLock()
	defer k.mu.RUnlock()
	if g.pgrp == nil {
		return unix.ESRCH
	}
	return t.sendGroup(g, info)
}
