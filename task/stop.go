package task

import (
	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/signal"
)

// stopBySignal carries out the default action of a stop signal: the whole
// process stops. Only SIGSTOP stops a process of an orphaned group, because
// nobody would continue it.
func (t *Task) stopBySignal(s signal.Signal) {
	if s != unix.SIGSTOP && t.inOrphanedGroup() {
		return
	}
	g := t.group
	g.mu.Lock()
	// A SIGCONT or a death that came since the signal was taken wins.
	if !t.stopTaken || g.groupExit {
		g.mu.Unlock()
		return
	}
	g.beginStop(s)
	t.stopHere()
}

// inOrphanedGroup reports whether the process group of t has nobody who would
// continue it.
func (t *Task) inOrphanedGroup() bool {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	return t.group.pgrp.orphaned(nil)
}

// beginStop asks every thread to stop. The group's lock is held.
func (g *ThreadGroup) beginStop(s signal.Signal) {
	if g.stop.count > 0 {
		return // a stop is on its way
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

// stopHere stops the calling thread until SIGCONT or death. It is entered with
// the group's lock held and leaves without it.
func (t *Task) stopHere() {
	g := t.group
	last := t.joinStop()
	t.stopped = true
	g.mu.Unlock()
	if last {
		g.notifyStopped(noticeStopped)
	}
	t.SleepUntil(Stopped, 0, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return !t.stopped
	})
}

// joinStop counts the thread as stopped, and reports whether it was the
// last of the process. The group's lock is held.
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

// resume undoes a stop: SIGCONT was sent. The parent is told by the first
// thread that runs again. The group's lock is held.
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

// notifyStopped tells the parent by SIGCHLD, unless it does not want to know
// (SA_NOCLDSTOP), and wakes its wait4(2).
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
	action := parent.Actions.Get(unix.SIGCHLD)
	if action.Handler != signal.SIG_IGN && action.Flags&signal.SA_NOCLDSTOP == 0 {
		parent.Signal(g.childInfo(code, int32(status)))
	}
	parent.childWait.Wake(waitReadable)
}

func (g *ThreadGroup) stopSignal() signal.Signal {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stop.signal
}

// childInfo describes a change of the process for its parent.
func (g *ThreadGroup) childInfo(code, status int32) signal.Info {
	usage := g.Usage()
	uid := g.leader().Credentials().UID
	return signal.ChildInfo(code, g.id.number, uid, status, Ticks(usage.User), Ticks(usage.System))
}
