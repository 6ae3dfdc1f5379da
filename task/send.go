package task

import (
	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/entry"
	"slowpath/signal"
)

// Signal sends a signal to the process. The caller has checked the permission.
// It does not sleep.
//
// Errors: EAGAIN if the queue has no room for a real-time signal. A signal that
// is ignored, and a process that is exiting, are no errors.
func (g *ThreadGroup) Signal(info signal.Info) error { return g.send(nil, &info, notForced) }

// Signal sends a signal to this thread (tgkill(2)). Otherwise it is like
// ThreadGroup.Signal.
func (t *Task) Signal(info signal.Info) error { return t.group.send(t, &info, notForced) }

// Kill ends the process with SIGKILL, even if it is init. It is for the
// kernel's own reasons, such as a lack of memory; kill(2) is Task.Kill.
func (g *ThreadGroup) Kill() { g.sendFromKernel(nil, unix.SIGKILL, forced) }

// force says whether SIGKILL and SIGSTOP reach init, which signal(7) protects
// from signals that it has no handler for (Linux: send_signal_locked's force).
type force bool

const (
	notForced force = false
	forced    force = true
)

// send queues a signal for the thread, or for any thread if it is nil.
func (g *ThreadGroup) send(to *Task, info *signal.Info, f force) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sendLocked(to, info, f)
}

// sendFromKernel is send for a signal that the kernel itself sends.
func (g *ThreadGroup) sendFromKernel(to *Task, s signal.Signal, f force) error {
	info := signal.KernelInfo(s)
	return g.send(to, &info, f)
}

// sendLocked is send with the group's lock held (Linux: __send_signal_locked).
func (g *ThreadGroup) sendLocked(to *Task, info *signal.Info, f force) error {
	reference := to
	if reference == nil {
		reference = g.threads[0]
	}
	result := g.queue(reference, to, info, f)
	if g.kernel.Tracepoints.SignalGenerated.Active() {
		g.generated(reference, to, info, result)
	}
	if result == SignalOverflow {
		return unix.EAGAIN
	}
	return nil
}

// queue queues a signal for to, or for any thread if that is nil, and wakes a thread for
// it. reference is the thread whose user is charged.
func (g *ThreadGroup) queue(reference, to *Task, info *signal.Info, f force) SignalResult {
	s := info.Signo
	if g.groupExit {
		if s == unix.SIGKILL && g.dumper != nil {
			g.dumper.kill() // it ends the core dump
		}
		return SignalIgnored // the process already exits, with another status
	}
	if jobControl.Has(s) {
		g.jobControlEffects(s)
	}
	if g.ignores(reference, s, f) {
		return SignalIgnored
	}
	queue := &g.shared
	if to != nil {
		queue = &to.pending
	}
	user := reference.User()
	outcome := queue.Put(info, &user.Signals, g.Limits.Soft(unix.RLIMIT_SIGPENDING))
	if outcome == signal.Queued || outcome == signal.Bare {
		g.complete(to, s)
	}
	return signalResults[outcome]
}

// signalResults has the result of each outcome of a queue.
var signalResults = [...]SignalResult{
	signal.Queued:    SignalQueued,
	signal.Coalesced: SignalAlreadyPending,
	signal.Bare:      SignalLostInfo,
	signal.Full:      SignalOverflow,
}

// generated calls the tracepoint of a signal that was sent. The group's lock is held.
func (g *ThreadGroup) generated(reference, to *Task, info *signal.Info, result SignalResult) {
	g.kernel.Tracepoints.SignalGenerated.Call(SignalGenerated{
		Target: reference, Signal: int(info.Signo), Info: *info, Group: to == nil, Result: result,
	})
}

// jobControl are the signals with effects when they are sent.
var jobControl = signal.Stops | signal.SetOf(unix.SIGCONT)

// jobControlEffects does what a signal does when it is sent, even if it is
// blocked or ignored: stop signals and SIGCONT cancel each other, and SIGCONT
// resumes the process (Linux: prepare_signal).
func (g *ThreadGroup) jobControlEffects(s signal.Signal) {
	switch {
	case signal.Stops.Has(s):
		g.discard(signal.SetOf(unix.SIGCONT))
	case s == unix.SIGCONT:
		g.discard(signal.Stops)
		g.resume()
	}
}

// discard removes the signals in set from all queues of the process.
func (g *ThreadGroup) discard(set signal.Set) {
	g.shared.Discard(set)
	for _, t := range g.threads {
		t.pending.Discard(set)
	}
}

// ignores reports whether s would do nothing to t, so that it is not queued. A
// blocked signal is queued: its action may change before it is unblocked.
func (g *ThreadGroup) ignores(t *Task, s signal.Signal, f force) bool {
	if t.blocked.Has(s) || t.waited.Has(s) {
		return false
	}
	if t.tracer != nil && s != unix.SIGKILL {
		return false // the tracer sees it
	}
	handler := g.Actions().Handler(s)
	if g.unkillable && handler == signal.SIG_DFL && !(f == forced && signal.Unblockable.Has(s)) {
		return true
	}
	return signal.Discards(handler, s)
}

// complete chooses a thread for a queued signal and wakes it. A signal that is
// certain to end the process starts the exit at once (Linux: complete_signal).
func (g *ThreadGroup) complete(to *Task, s signal.Signal) {
	g.posted.Wake(waitReadable)
	t := g.choose(to, s)
	if t == nil {
		return // every thread blocks it: SetBlocked will find it
	}
	if g.fatal(t, s) {
		g.startExit(SignalStatus(s))
		return
	}
	t.Raise(entry.SigPending)
}

// choose returns a thread that can take s: the one that it was sent to, else the
// first in the list that has no other signal pending, else the first. It returns
// nil if no thread can take it.
func (g *ThreadGroup) choose(to *Task, s signal.Signal) *Task {
	if to != nil {
		if to.wants(s) {
			return to
		}
		return nil
	}
	var fallback *Task
	for _, t := range g.threads {
		if !t.wants(s) {
			continue
		}
		if !t.Interrupted() {
			return t
		}
		if fallback == nil {
			fallback = t
		}
	}
	return fallback
}

// wants reports whether the thread can take s now (Linux: wants_signal).
func (t *Task) wants(s signal.Signal) bool {
	if t.blocked.Has(s) || t.ended {
		return false
	}
	return s == unix.SIGKILL || !t.stopped && !t.trapped
}

// fatal reports whether s is certain to end the process. Signals that dump core
// in Linux are handled by the thread that takes them.
func (g *ThreadGroup) fatal(t *Task, s signal.Signal) bool {
	if signal.DefaultOf(s) != signal.Terminate || t.waited.Has(s) {
		return false
	}
	return s == unix.SIGKILL || t.tracer == nil && g.Actions().Handler(s) == signal.SIG_DFL
}

// startExit makes every thread exit and sets the status of the process. The
// group's lock is held.
func (g *ThreadGroup) startExit(status Status) {
	g.beginExit(status)
	g.stop = stopState{}
	for _, t := range g.threads {
		t.kill()
	}
}

// beginExit sets the status of a process that exits. The group's lock is held.
func (g *ThreadGroup) beginExit(status Status) {
	g.groupExit, g.exitStatus, g.exitBegan = true, status, clock.Monotonic()
}

// kill makes one thread exit. The group's lock is held.
func (t *Task) kill() {
	t.stopping, t.awaited, t.stopped = false, false, false
	t.trapStop, t.trapNotify = false, false
	t.endTrapping()
	t.pending.Set.Add(unix.SIGKILL)
	t.killed.Store(true)
	t.Raise(entry.SigPending)
	t.Sleeper.Wake()
}

// ForceSignal sends the thread the signal of an exception of its own. If it
// blocks or ignores the signal, the default action is done, which ends the
// process (Linux: force_sig_info).
func (t *Task) ForceSignal(info signal.Info) { t.forceSignal(&info) }

// forceSignal is ForceSignal with a pointer, which saves copies.
func (t *Task) forceSignal(info *signal.Info) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	s := info.Signo
	actions := g.Actions()
	if t.blocked.Has(s) || actions.Handler(s) == signal.SIG_IGN {
		actions.ForceDefault(s)
		t.blocked.Remove(s)
	}
	if actions.Handler(s) == signal.SIG_DFL && (t.tracer == nil || actions.Immutable(s)) {
		g.unkillable = false
	}
	g.sendLocked(t, info, notForced)
	// The signal may have been pending already, while it was blocked. Then
	// complete did not run.
	if !t.Interrupted() {
		t.Raise(entry.SigPending)
	}
}

// forceSegmentationFault sends the thread SIGSEGV because the kernel cannot
// access user memory that it must access. delivered is the signal that is being
// delivered, or 0. If it is SIGSEGV itself, the process ends, because its handler
// would fail in the same way (Linux: force_sigsegv).
func (t *Task) forceSegmentationFault(delivered signal.Signal) {
	if delivered == unix.SIGSEGV {
		t.ForceFatal(unix.SIGSEGV)
		return
	}
	t.ForceSignal(signal.KernelInfo(unix.SIGSEGV))
}

// ForceFatal ends the process with s even if s has a handler, and without a stop for a
// tracer. It is for a task that cannot return to user mode, for example because no
// signal frame can be written.
func (t *Task) ForceFatal(s signal.Signal) { t.ForceFatalInfo(signal.KernelInfo(s)) }

// ForceFatalInfo is ForceFatal for a signal with a siginfo_t (Linux:
// force_sig_info_to_task, HANDLER_EXIT).
func (t *Task) ForceFatalInfo(info signal.Info) {
	t.group.Actions().MakeFatal(info.Signo)
	t.ForceSignal(info)
}
