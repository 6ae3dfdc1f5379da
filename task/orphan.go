package task

import (
	"runtime/debug"

	"golang.org/x/sys/unix"

	"slowpath/signal"
	"slowpath/wait"
)

// waitHangUp is the second event of ThreadGroup.done when the process exits.
const waitHangUp = wait.Hup

// traceback returns the stack of the calling goroutine as text.
func traceback() []byte { return debug.Stack() }

// reparentChildren gives the children of an exiting process to its nearest
// ancestor that is a subreaper (PR_SET_CHILD_SUBREAPER), or to init. The kernel's
// lock is held (Linux: forget_original_parent).
func (k *Kernel) reparentChildren(g *ThreadGroup) {
	children := g.children
	g.children = nil
	reaper := k.reaperFor(g)
	for _, child := range children {
		k.signalParentDeath(child)
		child.setParent(reaper)
		if reaper == nil {
			if child.exited && child.leader().tracer == nil {
				k.reap(child)
			}
			continue
		}
		child.leader().parentTask = reaper.leader()
		child.leader().exitSignal = unix.SIGCHLD
		reaper.children = append(reaper.children, child)
		if child.exited && child.leader().tracer == nil && k.notifyParent(child, unix.SIGCHLD) {
			k.reap(child)
			continue
		}
		k.hangUpOrphanedGroup(child, g)
	}
}

// reaperFor returns the process that adopts the children of g. It is nil if g is
// init.
func (k *Kernel) reaperFor(g *ThreadGroup) *ThreadGroup {
	if g == k.init {
		return nil
	}
	for p := g.parent; p != nil && p != k.init; p = p.parent {
		if p.subreaper && !p.exited {
			return p
		}
	}
	return k.init
}

// parentThreadExited is reparentChildren for a thread that is not the last one:
// its children get another thread of the same process as parent. The kernel's
// lock is held.
func (k *Kernel) parentThreadExited(t *Task) {
	for _, child := range t.group.children {
		if child.leader().parentTask == t {
			k.signalParentDeath(child)
			child.leader().parentTask = t.group.survivor(t)
		}
	}
}

// survivor returns a live thread of g that is not t, or else the leader.
func (g *ThreadGroup) survivor(t *Task) *Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, other := range g.threads {
		if other != t && !other.ended {
			return other
		}
	}
	return g.threads[0]
}

// signalParentDeath sends the signals of PR_SET_PDEATHSIG to the threads of
// child.
func (k *Kernel) signalParentDeath(child *ThreadGroup) {
	for _, thread := range child.Threads() {
		if s := signal.Signal(thread.parentDeath.Load()); s != 0 {
			child.Signal(signal.UserInfo(s, signal.SI_USER, child.parentID(), 0))
		}
	}
}

// parentID returns the process id of the parent, or 0.
func (g *ThreadGroup) parentID() int {
	if g.parent == nil {
		return 0
	}
	return g.parent.id.number
}

// hangUpOrphanedGroup sends SIGHUP and SIGCONT to the process group of g, a child
// of parent, if the exit of g or of parent has orphaned the group and the group
// has a stopped member (POSIX, _Exit(), "Consequences of Process Termination").
// The kernel's lock is held.
func (k *Kernel) hangUpOrphanedGroup(g, parent *ThreadGroup) {
	var ignore *ThreadGroup
	if g.parent == parent {
		ignore = g // g itself exits
	}
	p := g.pgrp
	if p == nil || parent == nil || parent.pgrp == p || parent.pgrp != nil && parent.pgrp.session != p.session {
		return
	}
	if p.orphaned(ignore) && p.hasStopped() {
		k.signalProcessGroup(p, signal.KernelInfo(unix.SIGHUP))
		k.signalProcessGroup(p, signal.KernelInfo(unix.SIGCONT))
	}
}

// initEnded reaps process 1, or another process without a parent, and calls
// Config.InitEnded.
func (k *Kernel) initEnded(g *ThreadGroup) {
	if g == k.init && k.config.InitEnded != nil {
		go k.config.InitEnded(g.exitStatus)
	}
	k.reap(g)
}
