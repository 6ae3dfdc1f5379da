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
	g.beginStop(s)
	t.stopHere(&locked)
}

// inOrphanedGroup reports whether the process group of t is orphaned.
func (t *Task) inOrphanedGroup() bool {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	return t.group.pgrp.orphaned(nil)
}

// beginStop makes every thread stop before it returns to user mode. The group's
// lock is held.
func (g *ThreadGroup) beginStop(s signal.Signal) {
	if g.stop.count > 0 {
		return // a stop has already begun
	}
	g.stop.signal = s
	for _, t := range g.threads {
		if t.stopped || t.ended {
			continue
		}
		t.stopping = true
		g.stop.count++
		t.Raise(entry.SigPending)
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
	if !t.stopping {
		return false
	}
	t.stopping = false
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
		t.stopping = false
		if t.stopped {
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
// wakes its wait4(2).
func (g *ThreadGroup) notifyStopped(notice stopNotice) {
	k := g.kernel
	k.mu.RLock()
	defer k.mu.RUnlock()
	parent := g.parent
	if parent == nil {
		return
	}
	code, status := int32(signal.CLD_STOPPED), g.stopSignal()
	if notice == noticeContinued {
		code, status = signal.CLD_CONTINUED, unix.SIGCONT
	}
	action := parent.Actions().Get(unix.SIGCHLD)
	if action.Handler != signal.SIG_IGN && action.Flags&signal.SA_NOCLDSTOP == 0 {
		parent.Signal(g.childInfo(code, int32(status)))
	}
	parent.childWait.Wake(waitReadable)
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
