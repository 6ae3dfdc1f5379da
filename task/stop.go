package task

import (
	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/guard"
	"slowpath/signal"
)

// stopBySignal is the default action of a stop signal: every thread of the
// process stops. Only SIGSTOP stops a process of an orphaned process group,
// because no shell could continue it (POSIX, "orphaned process group").
func (t *Task) stopBySignal(s signal.Signal) {
	if s != unix.SIGSTOP && t.inOrphanedGroup() {
		return
	}
	g := t.group
	locked := guard.Lock(&g.mu)
	defer locked.Release()
	// A SIGCONT or an exit since the signal was dequeued cancels the stop.
	if !t.stopTaken || g.groupExit {
		return
	}
	if !t.stopping {
		g.beginStop(s)
	}
	if t.tracer != nil {
		t.trapStop = true // takeSignal reports the stop to the tracer
		return
	}
	t.stopHere(&locked)
}

// inOrphanedGroup reports whether the process group of t is orphaned.
func (t *Task) inOrphanedGroup() bool {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	return t.group.pgrp.orphaned(nil)
}

// beginStop makes every thread stop before it returns to user mode. A tracee that
// its tracer has resumed during a stop may begin another; the process stays stopped
// by the first signal. The group's lock is held (Linux: do_signal_stop).
func (g *ThreadGroup) beginStop(s signal.Signal) {
	if !g.stop.stopped {
		g.stop.signal = s
	}
	g.stop.count = 0
	for _, t := range g.threads {
		if t.stopped || !t.mayStop() {
			continue
		}
		t.stopping, t.awaited, t.stopSignal = true, true, s
		g.stop.count++
		if t.seized {
			t.notifyTrap()
		} else {
			t.Raise(entry.SigPending)
		}
	}
}

// stopHere stops the calling thread until SIGCONT or its exit. The caller holds
// the group's lock, as locked; stopHere releases it.
func (t *Task) stopHere(locked *guard.Held) {
	g := t.group
	last := t.joinStop()
	t.stopped = true
	locked.Release()
	if last {
		g.notifyStopped(noticeStopped)
	}
	t.SleepUntil(Stopped, 0, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return !t.stopped
	})
}

// joinStop counts the thread as stopped, and reports whether it was the last
// one. The group's lock is held (Linux: task_participate_group_stop).
func (t *Task) joinStop() (last bool) {
	awaited := t.stopping && t.awaited
	t.stopping, t.awaited = false, false
	if !awaited {
		return false
	}
	stop := &t.group.stop
	if stop.count--; stop.count > 0 || stop.stopped {
		return false
	}
	stop.stopped, stop.unwaited, stop.continued = true, true, false
	return true
}

// resume ends a stop because SIGCONT was sent. The leader notifies the parent when
// it runs again. The group's lock is held.
func (g *ThreadGroup) resume() {
	notice := noNotice
	switch {
	case g.stop.stopped:
		notice = noticeContinued
	case g.stop.count > 0:
		notice = noticeStopped
	}
	for _, t := range g.threads {
		t.stopTaken = false
		t.stopping, t.awaited = false, false
		if t.seized {
			t.notifyTrap()
		} else if t.stopped {
			t.stopped = false
			t.Sleeper.Wake()
		}
	}
	if notice != noNotice {
		g.stop = stopState{continued: true, notice: notice}
		g.threads[0].Raise(entry.SigPending)
	}
}

// notifyStopped sends SIGCHLD to the parent, unless it has set SA_NOCLDSTOP, and
// wakes its wait4(2). If SIGCONT was sent, it also notifies a tracer of the leader.
func (g *ThreadGroup) notifyStopped(notice stopNotice) {
	k := g.kernel
	k.mu.RLock()
	defer k.mu.RUnlock()
	code, status := int32(signal.CLD_STOPPED), g.stopSignal()
	if notice == noticeContinued {
		code, status = signal.CLD_CONTINUED, unix.SIGCONT
	}
	info := func() signal.Info { return g.childInfo(code, int32(status)) }
	if g.parent != nil {
		g.parent.notifyOfStop(info)
	}
	if leader := g.leader(); notice == noticeContinued && leader.reparented() {
		leader.tracer.group.notifyOfStop(info)
	}
}

// stopSignal returns the signal that stopped the process, or 0.
func (g *ThreadGroup) stopSignal() signal.Signal {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stop.signal
}

// childInfo returns the siginfo of a SIGCHLD about the process.
func (g *ThreadGroup) childInfo(code, status int32) signal.Info {
	usage := g.Usage()
	uid := g.leader().Credentials().UID
	return signal.ChildInfo(code, g.id.number, uid, status, Ticks(usage.User), Ticks(usage.System))
}
