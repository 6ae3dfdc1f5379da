package task

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/entry"
	"slowpath/guard"
	"slowpath/signal"
	"slowpath/wait"
)

// tracing is the part of ptrace(2) that shares locks with signals, job control and
// wait4(2): who traces whom, and the ptrace stop of a thread. Package ptrace has
// the rest. The zero value is that of a thread that is not traced and traces
// nobody.
type tracing struct {
	// tracer is nil if the thread is not traced. It changes only with both the
	// kernel's lock and the group's held, so either is enough to read it.
	tracer *Task
	// The same locks guard tracerCredentials: those of the tracer when it attached.
	tracerCredentials *cred.Credentials

	// The kernel's lock guards these.
	tracees  []*Task // oldest first
	exitKill bool    // PTRACE_O_EXITKILL

	// The group's lock guards these. The comments name the flags of Linux.
	seized     bool          // PT_SEIZED
	trapped    bool          // JOBCTL_TRACED: in a ptrace stop
	frozen     bool          // JOBCTL_PTRACE_FROZEN: SIGKILL does not end the stop
	listening  bool          // JOBCTL_LISTENING: PTRACE_LISTEN
	trapStop   bool          // JOBCTL_TRAP_STOP: a group stop or PTRACE_INTERRUPT must be reported
	trapNotify bool          // JOBCTL_TRAP_NOTIFY: the job control state has changed
	trapping   bool          // JOBCTL_TRAPPING: PTRACE_ATTACH waits for the stop
	stopSignal signal.Signal // JOBCTL_STOP_SIGMASK: of the last group stop
	stop       TraceStop     // the current ptrace stop; zero outside of one
}

// TraceStop is a ptrace stop of a thread (ptrace(2), "Stopped states").
type TraceStop struct {
	// Code is si_status of waitid(2), and bits 8 to 31 of the status of wait4(2):
	// the signal in bits 0 to 7, and the PTRACE_EVENT_ in bits 8 to 15. It becomes 0
	// when the tracer has waited for the stop, and the signal to inject when the
	// tracer resumes the thread.
	Code uint32
	// Kind is the Code with which the stop began.
	Kind uint32
	// Why is si_code of the SIGCHLD to the tracer: CLD_TRAPPED or CLD_STOPPED.
	Why int32
	// Message is the result of PTRACE_GETEVENTMSG.
	Message uint64
	// Info is the signal of a signal-delivery stop, which the tracer may change. In
	// other stops it is nil, unless the tracer has set it.
	Info *signal.Info
}

// HasInfo reports whether the stop has a siginfo. The group stop of a thread that was
// not seized has none (PTRACE_GETSIGINFO).
func (s *TraceStop) HasInfo() bool { return s.Why != signal.CLD_STOPPED || s.event() != 0 }

// Siginfo returns the siginfo of the stop of t, which HasInfo.
func (s *TraceStop) Siginfo(t *Task) signal.Info {
	if s.Info != nil {
		return *s.Info
	}
	const signalBits = 0x7f
	return signal.UserInfo(signal.Signal(s.Kind&signalBits), int32(s.Kind), t.TID(), t.Credentials().UID)
}

// event returns the PTRACE_EVENT_ of the stop, or 0.
func (s *TraceStop) event() uint32 { return s.Kind >> 8 }

// TrapResult says how a ptrace stop has ended.
type TrapResult struct {
	// Code is the signal that the tracer injects, or 0. If the thread has not
	// stopped, it is the Code of the stop.
	Code uint32
	// Stopped is false if the thread is not traced, or had to exit already.
	Stopped bool
	// Killed means that the thread must exit because of SIGKILL.
	Killed bool
}

// Trap stops the thread until its tracer resumes it (Linux: ptrace_stop). SIGKILL and
// the death of the tracer end the stop. The frame is settled first. Only the task's
// own goroutine calls it, without locks; it sleeps.
func (t *Task) Trap(s TraceStop) TrapResult {
	locked := guard.Lock(&t.group.mu)
	defer locked.Release()
	return t.trapLocked(&locked, s)
}

// trapLocked is Trap for a caller that holds the group's lock, as locked;
// trapLocked releases it.
func (t *Task) trapLocked(locked *guard.Held, s TraceStop) TrapResult {
	s.Kind = s.Code
	tracer := t.tracer
	if tracer == nil || t.fatal() || s.event() == unix.PTRACE_EVENT_EXIT && tracer.Killed() {
		// Two tasks that were killed and trace each other must not wait for each
		// other at their ends.
		return TrapResult{Code: s.Code, Killed: t.fatal()}
	}
	t.Frame.Settle()
	t.trapped, t.tracing.stop = true, s
	last := s.Why == signal.CLD_STOPPED && t.joinStop()
	t.trapStop = false
	if s.event() == unix.PTRACE_EVENT_STOP {
		t.trapNotify = false
	}
	t.endTrapping()
	t.mode.Store(uint32(Traced))
	locked.Release()
	t.notifyTracer(tracer, last)
	for {
		t.Sleeper.Sleep(0)
		if result, ended := t.endOfTrap(); ended {
			return result
		}
	}
}

// endOfTrap reports whether the thread was resumed, or must exit, and then ends the
// stop. A frozen thread stays.
func (t *Task) endOfTrap() (r TrapResult, ended bool) {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	r = TrapResult{Code: t.tracing.stop.Code, Stopped: true, Killed: t.fatal()}
	if t.trapped && (!r.Killed || t.frozen) {
		return r, false
	}
	t.trapped, t.listening, t.tracing.stop = false, false, TraceStop{}
	t.mode.Store(uint32(Awake))
	// Any stop ends the request for a stop that has interrupted a call. SIGPENDING stays,
	// because DeliverSignals restarts the call.
	t.raiseIfPending()
	return r, true
}

// fatal reports whether SIGKILL is pending: the thread must exit at once. It is
// false again when the thread has begun its exit. The group's lock is held (Linux:
// __fatal_signal_pending).
func (t *Task) fatal() bool { return t.pending.Set.Has(unix.SIGKILL) }

// endTrapping ends the wait of PTRACE_ATTACH for the stop of a thread that job
// control had stopped. The group's lock is held, or the kernel's.
func (t *Task) endTrapping() {
	if t.trapping {
		t.trapping = false
		t.tracer.group.childWait.Wake(waitReadable)
	}
}

// endTrap wakes the thread from its stop. The group's lock is held.
func (t *Task) endTrap() {
	if t.trapped {
		t.trapped, t.frozen = false, false
		t.mode.Store(uint32(Awake))
		t.Sleeper.Wake()
	}
}

// notifyTracer sends SIGCHLD to the tracer and wakes its wait4(2). last says that the
// group stop is complete, which the real parent must know too. The tracer may have
// exited in between, and then ignores both. (The kernel's lock is not taken: a tracee
// that waits for it would meet its tracer there, which polls its children.)
func (t *Task) notifyTracer(tracer *Task, last bool) {
	tracer.group.notifyOfStop(t.stopInfo)
	if last && !t.tracedByParent() {
		t.group.notifyStopped(noticeStopped)
	}
}

// tracedByParent reports whether the tracer is in the process that is told of a group
// stop.
func (t *Task) tracedByParent() bool {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	return t.tracer != nil && !t.reparented()
}

// stopInfo returns the siginfo of the SIGCHLD about the thread's stop (Linux:
// do_notify_parent_cldstop).
func (t *Task) stopInfo() signal.Info {
	why, status := t.stopReason()
	return t.threadInfo(why, status)
}

func (t *Task) stopReason() (why, status int32) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &t.tracing.stop
	if s.Why == signal.CLD_STOPPED {
		return s.Why, int32(g.stop.signal) & 0x7f
	}
	return s.Why, int32(s.Kind) & 0x7f // the tracer's wait4(2) may have taken Code already
}

// threadInfo returns the siginfo of a SIGCHLD about the thread.
func (t *Task) threadInfo(code, status int32) signal.Info {
	usage := t.Usage()
	return signal.ChildInfo(code, t.TID(), t.Credentials().UID, status, Ticks(usage.User), Ticks(usage.System))
}

// notifyOfStop sends the process the SIGCHLD about a stop, unless it ignores
// SIGCHLD or has set SA_NOCLDSTOP, and wakes its wait4(2).
func (g *ThreadGroup) notifyOfStop(info func() signal.Info) {
	action := g.Actions().Get(unix.SIGCHLD)
	if action.Handler != signal.SIG_IGN && action.Flags&signal.SA_NOCLDSTOP == 0 && !g.wouldIgnore(unix.SIGCHLD) {
		g.Signal(info())
	}
	g.childWait.Wake(waitReadable)
}

// wouldIgnore reports whether a signal to the process would have no effect. The caller
// then need not make its siginfo. It is not for signals of job control.
func (g *ThreadGroup) wouldIgnore(s signal.Signal) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ignores(g.threads[0], s, notForced)
}

// reparented reports whether the tracer is in another process than the parent. The
// kernel's lock is held (Linux: ptrace_reparented).
func (t *Task) reparented() bool { return t.tracer != nil && t.tracer.group != t.group.parent }

// Attachment is how a tracer attaches.
type Attachment struct {
	// Seize is PTRACE_SEIZE. Without it SIGSTOP is sent to the tracee.
	Seize bool
	// ExitKill is PTRACE_O_EXITKILL.
	ExitKill bool
	// Linked, if not nil, is called when Attach is certain to succeed, with locks of
	// the tracee held: it must not sleep, and of the tracee's methods it may only call
	// UpdateLevels.
	Linked func()
}

// Attach makes t the tracer of tracee. Only t's own goroutine calls it; it may
// sleep.
//
// Errors: EPERM if tracee is in the process of t, is a task of the kernel, is
// traced or has exited, or if t may not inspect it (MayInspect); ERESTARTNOINTR.
func (t *Task) Attach(tracee *Task, a Attachment) error {
	if tracee.group == t.group || tracee.Program() == nil {
		return unix.EPERM
	}
	attached := func() (done bool, err error) { return t.tryAttach(tracee, &a) }
	if err := t.whileNoExec(tracee.group, attached); err != nil {
		return err
	}
	t.BlockKillable(&t.group.childWait, waitReadable, 0, tracee.trappingEnded)
	return nil
}

// whileNoExec calls f until it reports that it has done its work, which it cannot
// while a thread of g is in execve(2). ERESTARTNOINTR at a signal (Linux: the
// cred_guard_mutex, which execve(2) holds while it computes the new credentials).
func (t *Task) whileNoExec(g *ThreadGroup, f func() (done bool, err error)) (err error) {
	done := false
	if t.Block(&g.execDone, waitReadable, 0, func() bool {
		done, err = f()
		return done
	}) != nil {
		return abi.ERESTARTNOINTR
	}
	return err
}

// tryAttach is Attach without the waits. It reports false if a thread of the
// tracee's process is in execve(2).
func (t *Task) tryAttach(tracee *Task, a *Attachment) (done bool, err error) {
	k, g := t.kernel, tracee.group
	k.mu.Lock()
	defer k.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.execs > 0 {
		return false, nil
	}
	if !t.MayInspect(tracee, cred.WithRealIDs) || exitState(tracee.exitState.Load()) != alive || tracee.tracer != nil {
		return true, unix.EPERM
	}
	if a.Linked != nil {
		a.Linked()
	}
	tracee.link(t, t.Credentials())
	tracee.seized, tracee.exitKill = a.Seize, a.ExitKill
	if !a.Seize {
		stop := signal.KernelInfo(unix.SIGSTOP)
		g.sendLocked(tracee, &stop, forced)
	}
	if tracee.stopped && tracee.mayStop() {
		tracee.stopped, tracee.trapStop, tracee.trapping = false, true, true
		tracee.Raise(entry.SigPending)
		tracee.Sleeper.Wake()
	}
	return true, nil
}

// mayStop reports whether a stop may be requested of the thread: it is not
// exiting. The group's lock is held (Linux: task_set_jobctl_pending).
func (t *Task) mayStop() bool { return !t.ended && !t.fatal() }

// trappingEnded reports whether PTRACE_ATTACH of the thread may return.
func (t *Task) trappingEnded() bool {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	return !t.trapping
}

// link makes tracer the tracer of t. The kernel's lock and the group's are held.
func (t *Task) link(tracer *Task, c *cred.Credentials) {
	t.tracer, t.tracerCredentials = tracer, c
	tracer.tracees = append(tracer.tracees, t)
}

// TraceMe makes the parent the tracer of t (PTRACE_TRACEME). Only the task's own
// goroutine calls it.
//
// Errors: EPERM if t is traced, or has a capability that the parent lacks.
func (t *Task) TraceMe() error {
	k, g := t.kernel, t.group
	k.mu.Lock()
	defer k.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.tracer != nil {
		return unix.EPERM
	}
	parent := g.threads[0].parentTask
	if parent == nil || parent.Program() == nil || exitState(parent.exitState.Load()) != alive {
		return nil // a task of the kernel traces nobody, and neither does a parent at its end
	}
	c := parent.Credentials()
	if t.Credentials().Permitted&^c.Permitted != 0 && !c.Has(cred.SysPTrace) {
		return unix.EPERM
	}
	t.link(parent, c)
	return nil
}

// InheritTracer makes the tracer of parent trace child too (Linux:
// ptrace_init_task). It reports false if parent is not traced. It may only be
// called in Subsystem.Publish.
func (child *Task) InheritTracer(parent *Task) bool {
	if parent.tracer == nil {
		return false
	}
	child.link(parent.tracer, parent.tracerCredentials)
	child.seized, child.exitKill = parent.seized, parent.exitKill
	if child.seized {
		child.trapStop = true
	} else {
		child.pending.Set.Add(unix.SIGSTOP)
	}
	child.Raise(entry.SigPending)
	return true
}

// untrace ends the tracing of t, if it is traced. A stopped tracee continues, or
// joins the group stop of its process. The kernel's lock is held (Linux:
// __ptrace_unlink).
func (k *Kernel) untrace(t *Task) {
	tracer := t.tracer
	if tracer == nil {
		return
	}
	tracer.tracees = slices.DeleteFunc(tracer.tracees, func(other *Task) bool { return other == t })
	k.subsystems.untraced(t)
	t.exitKill = false
	t.unlink()
	tracer.group.childWait.Wake(waitReadable) // wait4(2) may have nothing to wait for any more
}

// unlink is the part of untrace with the group's lock.
func (t *Task) unlink() {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	t.endTrapping()
	t.tracer, t.tracerCredentials, t.seized = nil, nil, false
	t.trapStop, t.trapNotify = false, false
	if !t.ended && (g.stop.stopped || g.stop.count > 0) {
		t.stopping = true // without stopCounted: the stop does not wait for it
	}
	if t.stopping || t.trapped {
		t.endTrap()
		t.Raise(entry.SigPending)
	}
}

// releaseTracees detaches the exiting task from all of its tracees. The kernel's
// lock is held (Linux: exit_ptrace).
func (k *Kernel) releaseTracees(t *Task) {
	for _, tracee := range slices.Clone(t.tracees) {
		if tracee.exitKill {
			tracee.group.sendFromKernel(tracee, unix.SIGKILL, forced)
		}
		k.detach(tracee)
	}
}

// detach ends the tracing of t. If t has exited, its parent is told of it now, or it
// is released. The kernel's lock is held (Linux: __ptrace_detach).
func (k *Kernel) detach(t *Task) {
	tracer, g := t.tracer.group, t.group
	k.untrace(t)
	switch {
	case exitState(t.exitState.Load()) != zombie:
	case t != g.leader():
		k.releaseThread(t)
		k.checkEnded(g)
	case !g.exited:
	case g.parent != tracer:
		k.reportEnd(g)
	case tracer.ignoresChildren():
		k.reap(g)
	}
}

// ignoresChildren reports whether the process has asked that its children need not
// be waited for.
func (g *ThreadGroup) ignoresChildren() bool {
	action := g.Actions().Get(unix.SIGCHLD)
	return action.Handler == signal.SIG_IGN || action.Flags&signal.SA_NOCLDWAIT != 0
}

// Freeze keeps tracee in its ptrace stop until Thaw, Resume or Detach: t may use its
// registers, its memory and its fields as tracee's own goroutine would. ESRCH if t
// is not its tracer, if it is not in a ptrace stop, if it listens (PTRACE_LISTEN),
// or if it was killed. Only t's own goroutine calls it (Linux:
// ptrace_check_attach).
func (t *Task) Freeze(tracee *Task) error {
	tracee.group.mu.Lock()
	defer tracee.group.mu.Unlock()
	if tracee.tracer != t || !tracee.trapped || tracee.listening || tracee.fatal() || tracee.hasChangedID() {
		return unix.ESRCH
	}
	tracee.frozen = true
	return nil
}

// hasChangedID reports whether the thread has changed its id in execve(2), and the
// tracer has not waited for the event: it may take the thread for the old leader
// (Linux: looks_like_a_spurious_pid).
func (t *Task) hasChangedID() bool {
	s := &t.tracing.stop
	return s.Code == unix.PTRACE_EVENT_EXEC<<8|uint32(unix.SIGTRAP) && s.Message != uint64(t.TID())
}

// Thaw undoes Freeze. A tracee that was killed in between now ends its stop. It does
// nothing after Resume and Detach.
func (t *Task) Thaw(tracee *Task) {
	tracee.group.mu.Lock()
	defer tracee.group.mu.Unlock()
	if tracee.tracer != t || !tracee.frozen {
		return
	}
	tracee.frozen = false
	if tracee.fatal() {
		tracee.Sleeper.Wake()
	}
}

// Traces reports whether t is the tracer of tracee. Any goroutine may call it.
func (t *Task) Traces(tracee *Task) bool {
	tracee.group.mu.Lock()
	defer tracee.group.mu.Unlock()
	return tracee.tracer == t
}

// Resume ends the stop of a frozen tracee. code is the signal to inject, or 0. Only
// the tracer's goroutine calls it.
func (tracee *Task) Resume(code uint32) {
	tracee.group.mu.Lock()
	defer tracee.group.mu.Unlock()
	tracee.tracing.stop.Code = code
	tracee.endTrap()
}

// Detach ends the tracing of a frozen tracee, which continues. code is the signal to
// inject, or 0. Only the tracer's goroutine calls it.
func (tracee *Task) Detach(code uint32) {
	k := tracee.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	guard.With(&tracee.group.mu, func() { tracee.tracing.stop.Code = code })
	k.detach(tracee)
}

// InterruptTracee is PTRACE_INTERRUPT: the tracee stops with PTRACE_EVENT_STOP, or
// does so after its current stop. EIO if it was not attached with Attachment.Seize.
// Only the tracer's goroutine calls it.
func (tracee *Task) InterruptTracee() error {
	tracee.group.mu.Lock()
	defer tracee.group.mu.Unlock()
	if !tracee.seized {
		return unix.EIO
	}
	if tracee.mayStop() {
		tracee.trapStop = true
		tracee.wakeListener()
	}
	return nil
}

// wakeListener makes the thread handle a trap, also if it stands in the stop of
// PTRACE_LISTEN. The group's lock is held.
func (t *Task) wakeListener() {
	if t.listening {
		t.endTrap()
	}
	t.Raise(entry.SigPending)
}

// notifyTrap makes a seized thread report a change of the job control state. The
// group's lock is held (Linux: ptrace_trap_notify).
func (t *Task) notifyTrap() {
	if t.mayStop() {
		t.trapNotify = true
		t.wakeListener()
	}
}

// Listen is PTRACE_LISTEN: a frozen tracee in a stop with PTRACE_EVENT_STOP stays
// stopped, but reports changes of the job control state. EIO for another stop, or a
// tracee that was not attached with Attachment.Seize. Only the tracer's goroutine calls
// it.
func (tracee *Task) Listen() error {
	tracee.group.mu.Lock()
	defer tracee.group.mu.Unlock()
	if !tracee.seized || tracee.tracing.stop.event() != unix.PTRACE_EVENT_STOP {
		return unix.EIO
	}
	tracee.listening = true
	if tracee.trapNotify {
		tracee.endTrap()
	}
	return nil
}

// CurrentStop returns the ptrace stop of the task. Only the task's own goroutine
// calls it, or that of the tracer while it has frozen the task.
func (t *Task) CurrentStop() *TraceStop { return &t.tracing.stop }

// SetExitKill sets or clears PTRACE_O_EXITKILL: the death of the tracer kills the
// tracee. Only the tracer's goroutine calls it.
func (tracee *Task) SetExitKill(on ExitKill) {
	tracee.kernel.mu.Lock()
	defer tracee.kernel.mu.Unlock()
	tracee.exitKill = bool(on)
}

// ExitKill says whether the death of the tracer kills a tracee.
type ExitKill bool

// Traced reports whether the task has a tracer, and whether that has attached with
// Attachment.Seize. Any goroutine may call it.
func (t *Task) Traced() (traced, seized bool) {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	return t.tracer != nil, t.seized
}

// TracerTID returns the thread id of the tracer, or 0 (TracerPid in
// /proc/pid/status). Any goroutine may call it.
func (t *Task) TracerTID() int {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	if t.tracer == nil {
		return 0
	}
	return t.tracer.TID()
}

// tracerLacksPrivilege reports whether the task is traced by a task that had no
// CAP_SYS_PTRACE when it attached: execve(2) must not give the task privileges.
func (t *Task) tracerLacksPrivilege() bool {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	return t.tracer != nil && !t.tracerCredentials.Has(cred.SysPTrace)
}

// SignalMask returns the signal mask that the task has outside of calls that
// replace it, such as rt_sigsuspend(2). Only the tracer's goroutine calls it, while
// it has frozen the task (PTRACE_GETSIGMASK).
func (tracee *Task) SignalMask() signal.Set {
	if tracee.suspended {
		return tracee.suspendMask
	}
	return tracee.Blocked()
}

// SetSignalMask sets the mask for the time after the stop (PTRACE_SETSIGMASK). Only
// the tracer's goroutine calls it, while it has frozen the task.
func (tracee *Task) SetSignalMask(set signal.Set) {
	tracee.suspended = false
	tracee.group.mu.Lock()
	defer tracee.group.mu.Unlock()
	tracee.blocked = set &^ signal.Unblockable
}

// SignalQueue selects one of the two queues of pending signals of a task.
type SignalQueue uint8

// The queues of PeekSignal.
const (
	ThreadQueue  SignalQueue = iota // signals to the thread
	ProcessQueue                    // signals to the process
)

// PeekSignal returns the signal at a place of a queue, and false beyond its end
// (PTRACE_PEEKSIGINFO). Any goroutine may call it.
func (t *Task) PeekSignal(queue SignalQueue, place uint64) (signal.Info, bool) {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	if queue == ProcessQueue {
		return t.group.shared.At(place)
	}
	return t.pending.At(place)
}

// stopForJobControl reports a group stop, or the stop that PTRACE_INTERRUPT has
// requested, to the tracer. The caller holds the group's lock, as locked, which is
// released (Linux: do_jobctl_trap).
func (t *Task) stopForJobControl(locked *guard.Held) {
	g, s := t.group, t.stopSignal
	if !t.seized {
		t.trapLocked(locked, TraceStop{Code: uint32(s), Why: signal.CLD_STOPPED})
		return
	}
	if g.stop.count == 0 && !g.stop.stopped {
		s = unix.SIGTRAP
	}
	if s == 0 {
		s = unix.SIGSTOP // the thread was made during the stop
	}
	t.trapLocked(locked, TraceStop{Code: uint32(s) | unix.PTRACE_EVENT_STOP<<8, Why: signal.CLD_STOPPED})
}

// stopForSignal is the signal-delivery stop: the tracer may change or suppress a
// signal that was taken from queue. It reports whether the signal is to be
// delivered (Linux: ptrace_signal).
func (t *Task) stopForSignal(info *signal.Info, queue SignalQueue) (deliver bool) {
	changed := *info
	s := signal.Signal(t.Trap(TraceStop{Code: uint32(info.Signo), Why: signal.CLD_TRAPPED, Info: &changed}).Code)
	if s == 0 {
		return false
	}
	*info = changed
	if s != info.Signo {
		pid, uid := t.tracerIdentity()
		*info = signal.UserInfo(s, signal.SI_USER, pid, uid)
	}
	return !t.requeue(info, queue)
}

// tracerIdentity returns the thread id and the user of the tracer, or of the parent
// if there is none.
func (t *Task) tracerIdentity() (pid int, uid uint32) {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	tracer := t.tracer
	if tracer == nil {
		tracer = t.group.leader().parentTask
	}
	if tracer == nil {
		return 0, 0
	}
	return tracer.TID(), tracer.Credentials().UID
}

// requeue makes a signal pending again if it cannot be delivered now: it is
// blocked, or the task must exit.
func (t *Task) requeue(info *signal.Info, queue SignalQueue) bool {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if !t.blocked.Has(info.Signo) && !t.fatal() {
		return false
	}
	to := t
	if queue == ProcessQueue {
		to = nil
	}
	g.sendLocked(to, info, notForced)
	return true
}

// execGuard counts a thread of the process that is in execve(2): nobody attaches to
// the process while the new credentials are computed. The result undoes that.
func (g *ThreadGroup) execGuard() (end func()) {
	g.countExec(1)
	return func() {
		g.countExec(-1)
		g.execDone.Wake(wait.Readable)
	}
}

func (g *ThreadGroup) countExec(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.execs += n
}
