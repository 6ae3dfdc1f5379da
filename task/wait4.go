package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/signal"
)

// WaitKind selects children in a WaitRequest.
type WaitKind uint8

// The kinds of waitid(2).
const (
	WaitAny WaitKind = iota
	WaitPID
	WaitProcessGroup
	WaitPIDFD
)

// WaitRequest holds the arguments of waitid(2). Options are its flags: WEXITED,
// WSTOPPED, WCONTINUED, WNOHANG, WNOWAIT, __WALL, __WCLONE, __WNOTHREAD.
type WaitRequest struct {
	Kind    WaitKind
	ID      int
	Process *ThreadGroup // for WaitPIDFD: its id may belong to another process by now
	Options int
	// Usage requests WaitResult.Usage.
	Usage bool
}

// WaitResult describes a child that has changed its state.
type WaitResult struct {
	PID    int
	UID    uint32
	Status Status // for wait4(2)
	Code   int32  // CLD_, for waitid(2)
	Detail int32  // si_status
	Usage  Usage  // of the child and the children that it has reaped, if it was requested
}

// Wait sleeps until a child changes its state as requested. With WNOHANG it
// returns a zero result instead of sleeping. Errors: ECHILD if there is no child
// to wait for, ERESTARTSYS.
func (t *Task) Wait(r WaitRequest) (WaitResult, error) {
	var result WaitResult
	var err error
	done := func() bool {
		var known bool
		if result, known = t.stopOfLast(&r); !known {
			result, err = t.checkChildren(&r)
		}
		return err != nil || result.PID != 0
	}
	if p := &t.kernel.Tracepoints.Waiting; p.Active() {
		p.Call(Waiting{t, r.ID})
	}
	if r.Options&unix.WNOHANG != 0 {
		done()
		return result, err
	}
	if t.Block(&t.group.childWait, waitReadable, 0, done) != nil {
		return WaitResult{}, abi.ERESTARTSYS
	}
	return result, err
}

// checkChildren returns the first child or tracee that has changed as requested, or a
// zero result. ECHILD if none is selected.
func (t *Task) checkChildren(r *WaitRequest) (WaitResult, error) {
	k := t.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	result, outcome := t.findChange(r)
	switch {
	case outcome == childNeverChanges:
		return WaitResult{}, unix.ECHILD
	case outcome == childChanged && r.Kind == WaitPID:
		t.lastWaited = k.taskByID(r.ID)
	}
	return result, nil
}

// findChange is checkChildren with the kernel's lock held.
func (t *Task) findChange(r *WaitRequest) (WaitResult, waitOutcome) {
	all := childNeverChanges
	for _, child := range t.group.children {
		if !r.selects(t, child) {
			continue
		}
		result, outcome := t.kernel.checkChild(r, child)
		if outcome == childChanged {
			return result, outcome
		}
		all = max(all, outcome)
	}
	result, outcome := t.checkTracees(r)
	return result, max(all, outcome)
}

// waitOutcome is what a child or tracee means for a WaitRequest.
type waitOutcome uint8

const (
	childNeverChanges waitOutcome = iota // the request cannot wait for it
	childMayChange                       // it may change as requested
	childChanged                         // it has changed as requested
)

// consumes reports whether a change is reported only once.
func (r *WaitRequest) consumes() bool { return r.Options&unix.WNOWAIT == 0 }

// selects reports whether the request includes this child.
func (r *WaitRequest) selects(t *Task, child *ThreadGroup) bool {
	leader := child.leader()
	if !r.selectsID(leader) {
		return false
	}
	if r.Options&unix.WNOTHREAD != 0 && leader.parentTask != t {
		return false
	}
	clone := leader.exitSignal != unix.SIGCHLD
	return r.Options&unix.WALL != 0 || clone == (r.Options&unix.WCLONE != 0)
}

// selectsID reports whether the request includes this thread by its ids.
func (r *WaitRequest) selectsID(t *Task) bool {
	g := t.group
	switch r.Kind {
	case WaitPID:
		return t.TID() == r.ID
	case WaitPIDFD:
		return g == r.Process && t == g.leader()
	case WaitProcessGroup:
		return g.pgrp.id.number == r.ID
	}
	return true
}

// checkChild returns the change that the request waits for, if the child has
// changed. Without WNOWAIT it consumes the change. A child that another process
// traces has not ended for its parent until the tracer has waited for it. If the
// parent traces it, its ptrace stops replace its stops (Linux: wait_consider_task).
func (k *Kernel) checkChild(r *WaitRequest, child *ThreadGroup) (WaitResult, waitOutcome) {
	leader := child.leader()
	switch {
	case leader.tracer != nil && !leader.reparented():
		return k.checkTracee(r, leader)
	case child.exited && leader.tracer == nil:
		if r.Options&unix.WEXITED == 0 {
			return WaitResult{}, childNeverChanges
		}
		return k.collectZombie(r, child), childChanged
	case r.Options&unix.WSTOPPED != 0:
		if s := child.takeStop(r.consumes()); s != 0 {
			return child.result(r, stopStatus(s), signal.CLD_STOPPED, int32(s)), childChanged
		}
	}
	return child.checkContinued(r)
}

// checkContinued reports a process that SIGCONT has continued.
func (g *ThreadGroup) checkContinued(r *WaitRequest) (WaitResult, waitOutcome) {
	if r.Options&unix.WCONTINUED != 0 && g.takeContinue(r.consumes()) {
		return g.result(r, continueStatus, signal.CLD_CONTINUED, int32(unix.SIGCONT)), childChanged
	}
	return WaitResult{}, childMayChange
}

// collectZombie returns the status of a zombie and reaps it, unless the request
// has WNOWAIT.
func (k *Kernel) collectZombie(r *WaitRequest, child *ThreadGroup) WaitResult {
	code, detail := child.exitStatus.childCode()
	result := child.result(r, child.exitStatus, code, detail)
	if r.consumes() && child.parent != nil {
		// A child that is reaped because its parent ignores SIGCHLD does not count
		// (getrusage(2), RUSAGE_CHILDREN).
		child.parent.reapedTimes.Add(child.usageOfAll())
		k.reap(child)
	}
	return result
}

// takeStop returns the signal that has stopped the process, or 0 if the stop was
// reported already. consume marks it as reported.
func (g *ThreadGroup) takeStop(consume bool) signal.Signal {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stop.stopped || !g.stop.unwaited {
		return 0
	}
	g.stop.unwaited = !consume
	return g.stop.signal
}

// takeContinue reports whether the process was continued, and this was not
// reported yet. consume marks it as reported.
func (g *ThreadGroup) takeContinue(consume bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stop.continued {
		return false
	}
	g.stop.continued = !consume
	return true
}

// result returns the WaitResult of a change of the process, which has its leader's id. The
// kernel's lock is held.
func (g *ThreadGroup) result(r *WaitRequest, status Status, code, detail int32) WaitResult {
	return g.leader().result(r, status, code, detail)
}

// usageOfAll returns the usage of the process and of the children that it has reaped.
// The kernel's lock is held.
func (g *ThreadGroup) usageOfAll() Usage {
	usage := g.Usage()
	usage.Add(g.reapedTimes)
	return usage
}

// result returns the WaitResult of a change of a tracee, which need not be a leader. The
// kernel's lock is held if the usage is requested.
func (t *Task) result(r *WaitRequest, status Status, code, detail int32) WaitResult {
	result := WaitResult{PID: t.TID(), UID: t.Credentials().UID, Status: status, Code: code, Detail: detail}
	if r.Usage {
		result.Usage = t.group.usageOfAll()
	}
	return result
}
