package task

import (
	"runtime/debug"

	"golang.org/x/sys/unix"

	"slowpath/signal"
	"slowpath/wait"
)

// waitHangUp is what the queue of a process is woken with besides when it
// ends.
const waitHangUp = wait.Hup

func traceback() []byte { return debug.Stack() }

// reparentChildren gives the children of a process that ends to the nearest
// ancestor that adopts (PR_SET_CHILD_SUBREAPER), or to init. The kernel's lock
// is held.
func (k *Kernel) reparentChildren(g *ThreadGroup) {
	children := g.children
	g.children = nil
	reaper := k.reaperFor(g)
	for _, child := range children {
		k.signalParentDeath(child)
		child.setParent(reaper)
		if reaper == nil {
			if child.exited {
				k.reap(child)
			}
			continue
		}
		child.leader().parentTask = reaper.leader()
		child.leader().exitSignal = unix.SIGCHLD
		reaper.children = append(reaper.children, child)
		if child.exited && k.notifyParent(child, unix.SIGCHLD) {
			k.reap(child)
			continue
		}
		k.hangUpOrphanedGroup(child, g)
	}
}

// reaperFor finds who adopts the children of g: nil if init itself ends.
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

// parentThreadExited is passChildrenOn for a thread that is not the last of
// its process: the children stay with the process. The kernel's lock is held.
func (k *Kernel) parentThreadExited(t *Task) {
	for _, child := range t.group.children {
		if child.leader().parentTask == t {
			k.signalParentDeath(child)
			child.leader().parentTask = t.group.survivor(t)
		}
	}
}

// survivor returns a thread of g that lives, besides t.
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

func (g *ThreadGroup) parentID() int {
	if g.parent == nil {
		return 0
	}
	return g.parent.id.number
}

// hangUpOrphanedGroup sends SIGHUP and SIGCONT to the process group of g if it has
// commitExec orphaned because g, a child of parent, changed, and has a stopped
// member (POSIX 3.2.2.2). The kernel's lock is held.
func (k *Kernel) hangUpOrphanedGroup(g, parent *ThreadGroup) {
	var ignore *ThreadGroup
	if g.parent == parent {
		ignore = g // it exits itself
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

// initEnded is told when process 1 has ended, or a process without a parent.
func (k *Kernel) initEnded(g *ThreadGroup) {
	if g == k.init && k.config.InitEnded != nil {
		go k.config.InitEnded(g.exitStatus)
	}
	k.reap(g)
}
