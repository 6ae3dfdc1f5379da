package task

import (
	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/guard"
	"slowpath/signal"
)

// requestExit makes the user loop end; the goroutine then ends the task with the
// given status. SIGPENDING makes the loop leave its fast path, which checks only
// the thread flags word after a system call.
func (t *Task) requestExit(status Status) {
	t.SetExiting()
	entry.Raise(&t.Frame.ThreadFlags, entry.SigPending)
	t.exitStatus = status
}

// ExitThread is exit(2): the calling thread exits when its system call returns.
func (t *Task) ExitThread(code int) { t.requestExit(ExitStatus(code)) }

// EndThread makes the calling thread exit with a status, which may be that of a signal
// (Linux: do_exit). Only the task's own goroutine calls it.
func (t *Task) EndThread(status Status) { t.requestExit(status) }

// ExitGroup is exit_group(2): every thread of the process exits. The status is
// kept, unless the process is already exiting with another.
func (t *Task) ExitGroup(status Status) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.groupExit:
		status = g.exitStatus
	case t.killed.Load():
		status = 0 // by another thread's execve(2)
	default:
		g.startExit(status)
		t.pending.Set.Remove(unix.SIGKILL) // the exit has begun: see fatal
	}
	t.requestExit(status)
}

// KillFromPanic logs a panic in a system call of the task and kills the process
// with SIGKILL. The kernel continues. The user loop calls it with the recovered
// value, and then ends.
func (t *Task) KillFromPanic(v any, stack []byte) {
	t.kernel.Logf("A system call of %s made the kernel panic, so the process is killed: %v\n%s", t, v, stack)
	t.ExitGroup(SignalStatus(unix.SIGKILL))
}

// Start makes a new task runnable. It has a goroutine of its own, which the scheduler resumes.
func (k *Kernel) Start(t *Task) {
	scheduler := k.config.Scheduler
	load := &scheduler.Load
	t.Sleeper.CountIn(load, t, &t.Accounting.Voluntary)
	t.Sleeper.SetThread(t.Entity())
	t.Entity().CountSwitches(&t.Accounting.Voluntary, &t.Accounting.Involuntary)
	t.Accounting.CPU.SetOwner(t)
	scheduler.Start(t.Entity(), t, func() {
		growStack()
		t.unreserve()
		if m := k.config.Meter; m != nil {
			m.Begin(&t.Accounting.CPU, &t.Frame.ThreadFlags)
			defer m.End(&t.Accounting.CPU)
		}
		if load.Resumed.Active() {
			load.Resumed.Call(t)
		}
		t.run()
		if load.Parking.Active() {
			load.Parking.Call(t)
		}
	})
}

// run is the function of the task's goroutine.
func (t *Task) run() {
	t.runUserLoop()
	t.exit()
}

// runUserLoop returns when the task must exit.
func (t *Task) runUserLoop() {
	defer func() {
		if v := recover(); v != nil {
			t.KillFromPanic(v, traceback())
		}
	}()
	t.kernel.config.Run(t)
}

// exit ends a thread (Linux: do_exit): it releases the thread's parts, reparents
// its children, and makes it a zombie or releases it. A panic in one part leaves the
// others to be released.
func (t *Task) exit() {
	t.SetExiting()
	t.kernel.subsystems.beforeExit(t)
	if p := &t.kernel.Tracepoints.Exiting; p.Active() {
		t.contained("the tracepoint of its exit", p.Call)
	}
	t.last = t.group.threadExits()
	t.kernel.subsystems.exit(t)
	t.contained("the end of its exit", t.kernel.finishExit)
}

// contained calls f. It logs a panic of f, a part of the task's exit that what names,
// and ends it.
func (t *Task) contained(what string, f func(*Task)) { t.containAll([]exitStep{{what, f}}) }

// containAll calls the steps in order. A panic in one is logged, and the next follow.
func (t *Task) containAll(steps []exitStep) {
	for len(steps) > 0 {
		steps = t.contain(steps)
	}
}

// contain calls the steps up to the first that panics, and returns those after it. One
// deferred call for all of them takes fewer instructions than one for each.
func (t *Task) contain(steps []exitStep) (rest []exitStep) {
	next := 0
	defer func() {
		if v := recover(); v != nil {
			t.kernel.Logf("The kernel panicked in the exit of %s, in %s: %v\n%s", t, steps[next].name, v, traceback())
			rest = steps[next+1:]
		}
	}()
	for ; next < len(steps); next++ {
		steps[next].call(t)
	}
	return nil
}

// threadExits decrements the number of live threads, and reports whether it was
// the last one.
func (g *ThreadGroup) threadExits() (last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.live--
	last = g.live == 0
	if last && !g.groupExit {
		// The status of the process is its leader's, even if the leader exited
		// first.
		g.beginExit(g.threads[0].exitStatus)
		g.exitImplied = true
	}
	return last
}

// LastThread reports whether the process ends with this thread. It is valid in
// the Exit functions of subsystems.
func (t *Task) LastThread() bool { return t.last }

// finishExit is the part of an exit that changes the family (Linux: exit_notify
// and release_task).
func (k *Kernel) finishExit(t *Task) {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := t.group
	k.releaseTracees(t)
	if t.last {
		k.sessionLeaderExited(g)
		k.reparentChildren(g)
		k.hangUpOrphanedGroup(g, g.parent)
	} else {
		k.parentThreadExited(t)
	}
	t.exitState.Store(uint32(zombie))
	g.countEnded(t)
	switch {
	case t.tracer != nil: // it stays until the tracer has waited for it
		k.signalThreadEnd(t)
	case t != g.leader():
		k.releaseThread(t)
	}
	k.checkEnded(g)
}

// ExitStatus returns the status with which a thread that exits ends, which a tracer would
// get from wait4(2). It is valid in Tracepoints.Exiting.
func (t *Task) ExitStatus() Status { return t.waitStatus() }

// signalThreadEnd tells the tracer of the exit of a thread. If the process ends with
// it, processEnded does so. The kernel's lock is held.
func (k *Kernel) signalThreadEnd(t *Task) {
	if t == t.group.leader() && t.group.ThreadCount() == 1 {
		return
	}
	t.tracer.group.Signal(t.threadInfo(t.waitStatus().childCode()))
	t.tracer.group.childWait.Wake(waitReadable)
}

// waitStatus returns the status of a thread that has begun to exit, for its tracer.
func (t *Task) waitStatus() Status {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.groupExit && !g.exitImplied {
		return g.exitStatus
	}
	return t.exitStatus
}

// checkEnded makes the process a zombie if only its leader is left, a zombie itself.
// Otherwise it wakes a thread that waits for the exit of the others. The kernel's lock
// is held.
func (k *Kernel) checkEnded(g *ThreadGroup) {
	if g.ThreadCount() == 1 && !g.exited && exitState(g.leader().exitState.Load()) == zombie {
		k.processEnded(g)
	} else if g.threadWaits() {
		g.done.Wake(waitReadable)
	}
}

// countEnded adds the thread's usage to that of the process.
func (g *ThreadGroup) countEnded(t *Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endedTimes.Add(t.Usage())
	t.counted = true
}

// threadWaits reports whether a thread waits for the exit of the others: in execve(2),
// or before it writes a core file.
func (g *ThreadGroup) threadWaits() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.execTask != nil || g.dumper != nil
}

// releaseThread removes a thread that nobody can wait for. The kernel's lock is
// held.
func (k *Kernel) releaseThread(t *Task) {
	k.untrace(t)
	g := t.group
	locked := guard.Lock(&g.mu)
	defer locked.Release()
	for i, other := range g.threads {
		if other == t {
			g.threads = append(g.threads[:i], g.threads[i+1:]...)
			break
		}
	}
	t.pending.Discard(^signal.Set(0))
	locked.Release()
	t.exitState.Store(uint32(dead))
	t.id.task = nil
	k.pids.release(t.id)
	k.threads--
	k.users.addTasks(t.Credentials().UID, -1)
	k.freed(t)
}

// freed calls the tracepoint of a task that was released. The kernel's lock is held.
func (k *Kernel) freed(t *Task) {
	if p := &k.Tracepoints.Freed; p.Active() {
		p.Call(t)
	}
}

// processEnded makes a process whose last thread has exited a zombie and
// notifies its parent. If the parent ignores its children, the process is reaped
// at once. The kernel's lock is held.
func (k *Kernel) processEnded(g *ThreadGroup) {
	g.exited = true
	g.done.Wake(waitReadable | waitHangUp)
	k.reportEnd(g)
}

// reportEnd notifies the parent of a zombie, and reaps it if the parent ignores its
// children or there is none. The kernel's lock is held.
func (k *Kernel) reportEnd(g *ThreadGroup) {
	if g.parent == nil {
		k.initEnded(g)
		return
	}
	if k.notifyParent(g, g.leader().exitSignal) {
		k.reap(g)
	}
}

// notifyParent sends the exit signal and wakes wait4(2). It reports whether the
// process must be reaped because its parent ignores SIGCHLD or has set
// SA_NOCLDWAIT. If the leader is traced, the tracer is notified instead, and must wait
// for the process in any case (Linux: do_notify_parent).
func (k *Kernel) notifyParent(g *ThreadGroup, exitSignal signal.Signal) (reap bool) {
	parent := g.parent
	code, status := g.exitStatus.childCode()
	leader := g.leader()
	switch {
	case leader.reparented():
		parent, exitSignal = leader.tracer.group, unix.SIGCHLD
	case leader.tracer == nil && exitSignal == unix.SIGCHLD:
		reap = parent.ignoresChildren()
		if parent.Actions().Handler(unix.SIGCHLD) == signal.SIG_IGN {
			exitSignal = 0
		}
	}
	if signal.Valid(exitSignal) {
		info := g.childInfo(code, status)
		info.Signo = exitSignal
		parent.Signal(info)
	}
	parent.childWait.Wake(waitReadable)
	return reap
}

// reap removes a zombie. The kernel's lock is held.
func (k *Kernel) reap(g *ThreadGroup) {
	k.untrace(g.leader())
	if parent := g.parent; parent != nil {
		parent.removeChild(g)
	}
	g.setParent(nil)
	leader := g.leader()
	k.leave(g)
	leader.exitState.Store(uint32(dead))
	g.discardAll()
	g.id.group, g.id.task = nil, nil
	k.pids.release(g.id)
	k.threads--
	k.users.addTasks(leader.Credentials().UID, -1)
	k.freed(leader)
}

// discardAll removes the signals of a zombie. A signalfd that another process has
// inherited may read them at the same time.
func (g *ThreadGroup) discardAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.discard(^signal.Set(0))
}

func (g *ThreadGroup) removeChild(child *ThreadGroup) {
	for i, c := range g.children {
		if c == child {
			g.children = append(g.children[:i], g.children[i+1:]...)
			return
		}
	}
}
