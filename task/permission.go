package task

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/signal"
)

// maySignal reports whether t may send s to a task with the credentials of
// target (kill(2)). SIGCONT may go to every process of the session.
func (t *Task) maySignal(target *Task, s signal.Signal) bool {
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

// checkSignal is the part of kill(2) that every sender has: a number of a
// signal, or 0 to ask only.
func checkSignal(s signal.Signal) error {
	if s != 0 && !signal.Valid(s) {
		return unix.EINVAL
	}
	return nil
}

// userInfo describes a signal that t sends by kill(2) or tgkill(2).
func (t *Task) userInfo(s signal.Signal, code int32) signal.Info {
	return signal.UserInfo(s, code, t.PID(), t.Credentials().UID)
}

// sendGroup checks the permission and sends info to a process. The kernel's
// lock is held for reading.
func (t *Task) sendGroup(g *ThreadGroup, info *signal.Info) error {
	if !t.maySignal(g.leader(), info.Signo) {
		return unix.EPERM
	}
	if info.Signo == 0 || g.exited {
		return nil
	}
	return g.Signal(*info)
}

// leader returns the leader with the kernel's lock held.
func (g *ThreadGroup) leader() *Task { return g.threads[0] }

// Kill is kill(2): it sends s to the process with id number, to the caller's
// process group (0), to every process that it may send to (-1), or to the
// process group -number. Errors: those of kill(2).
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
		return unix.ESRCH // its negative is no id
	}
	p := k.processGroupByID(-number)
	if p == nil {
		return unix.ESRCH
	}
	return t.sendProcessGroup(p, &info)
}

// groupOfTask returns the process that has a thread with the given id: kill(2)
// takes every thread's id for its process.
func (k *Kernel) groupOfTask(tid int) *ThreadGroup {
	id := k.pids.byNumber[tid]
	if id == nil || id.task == nil {
		return nil
	}
	return id.task.group
}

// sendProcessGroup succeeds if one member got the signal.
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

// sendAll sends to everybody but init and the caller.
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

// sendThread sends info to one thread: ESRCH if it is not in the given group.
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

// checkForged refuses an info that only the kernel may send, unless it goes to
// the sender itself (rt_sigqueueinfo(2)).
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

// signalProcessGroup sends a signal of the kernel to every member of p, init
// included. The kernel's lock is held.
func (k *Kernel) signalProcessGroup(p *ProcessGroup, info signal.Info) {
	for _, g := range p.members {
		if !g.exited {
			g.send(nil, info, forced)
		}
	}
}

// SignalGroup is pidfd_send_signal(2). A nil info stands for that of kill(2).
// Errors: EINVAL, EPERM, ESRCH for a process that is reaped.
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

// MayInspect reports whether t may read the state of target (ptrace(2),
// PTRACE_MODE_READ_FSCREDS): the threads of its own process always, others if
// the credentials allow it and the target is dumpable. CAP_SYS_PTRACE overrides
// both.
func (t *Task) MayInspect(target *Task) bool {
	if t.group == target.group {
		return true
	}
	own := t.Credentials()
	return own.MayInspect(target.Credentials()) && (target.Dumpable() || own.Has(cred.SysPTrace))
}
