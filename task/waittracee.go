package task

import (
	"golang.org/x/sys/unix"

	"slowpath/signal"
)

// waitedTracee returns the tracee that the request waits for, if it is the one that the
// last request has reported and lives. A debugger waits for the same tracee again and
// again: its stop is found without the kernel's lock, which the usage would need. Only the task's own goroutine calls
// it.
func (t *Task) waitedTracee(r *WaitRequest) *Task {
	tracee := t.lastWaited
	if tracee == nil || r.Kind != WaitPID || r.Usage || r.Options&unix.WCONTINUED != 0 || tracee.TID() != r.ID {
		return nil
	}
	if exitState(tracee.exitState.Load()) != alive {
		t.lastWaited = nil
		return nil
	}
	return tracee
}

// stopOfLast is checkChildren for the tracee of waitedTracee, without the kernel's lock. known is
// false if there is none, or t does not trace it any more.
func (t *Task) stopOfLast(r *WaitRequest) (result WaitResult, known bool) {
	tracee := t.waitedTracee(r)
	if tracee == nil {
		return WaitResult{}, false
	}
	code, traced := tracee.takeStopFor(t, r.consumes())
	switch {
	case !traced:
		t.lastWaited = nil
		return WaitResult{}, false
	case code == 0:
		return WaitResult{}, true
	}
	return tracee.stopResult(r, code), true
}

// takeStopFor is takeTraceStop if tracer traces the thread, which traced says.
func (t *Task) takeStopFor(tracer *Task, consume bool) (code uint32, traced bool) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.tracer != tracer {
		return 0, false
	}
	return t.takeStopLocked(consume), true
}

// traceStop returns the ptrace stop of a tracee that lives, or a zero result if it is in
// none. When the tracee exits, the next check does not find it as the last one.
func (t *Task) traceStop(r *WaitRequest) WaitResult {
	if code := t.takeTraceStop(r.consumes()); code != 0 {
		return t.stopResult(r, code)
	}
	return WaitResult{}
}

// stopResult returns what wait4(2) reports of a ptrace stop with a code.
func (t *Task) stopResult(r *WaitRequest, code uint32) WaitResult {
	return t.result(r, Status(code)<<8|0x7f, signal.CLD_TRAPPED, int32(code))
}

// checkTracees returns the first tracee of the process that has changed as requested.
// With __WNOTHREAD it is one of the calling thread. The kernel's lock is held (Linux:
// ptrace_do_wait).
func (t *Task) checkTracees(r *WaitRequest) (WaitResult, waitOutcome) {
	if r.Options&unix.WNOTHREAD != 0 {
		return t.kernel.checkTraceesOf(r, t)
	}
	all := childNeverChanges
	for _, tracer := range t.group.tracers() {
		result, outcome := t.kernel.checkTraceesOf(r, tracer)
		if outcome == childChanged {
			return result, outcome
		}
		all = max(all, outcome)
	}
	return WaitResult{}, all
}

// tracers returns the threads of the process. The list does not change while the
// kernel's lock is held.
func (g *ThreadGroup) tracers() []*Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.threads
}

// checkTraceesOf is checkTracees for one tracer.
func (k *Kernel) checkTraceesOf(r *WaitRequest, tracer *Task) (WaitResult, waitOutcome) {
	all := childNeverChanges
	for _, tracee := range tracer.tracees {
		if !r.selectsID(tracee) {
			continue
		}
		result, outcome := k.checkTracee(r, tracee)
		if outcome == childChanged {
			return result, outcome
		}
		all = max(all, outcome)
	}
	return WaitResult{}, all
}

// checkTracee returns the change of a tracee that the request waits for. It reports
// ptrace stops also without WSTOPPED. Without WNOWAIT it consumes the change (Linux:
// wait_consider_task with ptrace set).
func (k *Kernel) checkTracee(r *WaitRequest, t *Task) (WaitResult, waitOutcome) {
	g := t.group
	if exitState(t.exitState.Load()) == zombie {
		if t != g.leader() || g.exited {
			return k.checkEndedTracee(r, t)
		}
		if r.Options&(unix.WCONTINUED|unix.WEXITED) == 0 {
			return WaitResult{}, childNeverChanges // a leader that waits for its threads
		}
	}
	if result := t.traceStop(r); result.PID != 0 {
		return result, childChanged
	}
	result, outcome := g.checkContinued(r)
	if outcome == childChanged {
		result.PID = t.TID()
	}
	return result, outcome
}

// takeTraceStop returns the code of the thread's ptrace stop, or 0 if it is in none or
// the tracer knows of it. consume says that it now knows (Linux: wait_task_stopped).
func (t *Task) takeTraceStop(consume bool) uint32 {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.takeStopLocked(consume)
}

// takeStopLocked is takeTraceStop with the group's lock held.
func (t *Task) takeStopLocked(consume bool) uint32 {
	if !t.trapped || t.listening {
		return 0
	}
	code := t.tracing.stop.Code
	if consume {
		t.tracing.stop.Code = 0
	}
	return code
}

// checkEndedTracee returns the status of a tracee that has exited. Without WNOWAIT it
// releases the tracee. The leader of a process with another parent is a zombie for its
// parent from then on (Linux: wait_task_zombie).
func (k *Kernel) checkEndedTracee(r *WaitRequest, t *Task) (WaitResult, waitOutcome) {
	g := t.group
	if r.Options&unix.WEXITED == 0 {
		return WaitResult{}, childNeverChanges
	}
	if t == g.leader() && !t.reparented() {
		return k.collectZombie(r, g), childChanged
	}
	status := t.waitStatus()
	code, detail := status.childCode()
	result := t.result(r, status, code, detail)
	switch {
	case !r.consumes():
	case t == g.leader():
		k.untrace(t)
		k.reportEnd(g)
	default:
		k.releaseThread(t)
		k.checkEnded(g)
	}
	return result, childChanged
}
