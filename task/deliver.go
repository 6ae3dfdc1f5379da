package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/guard"
	"slowpath/signal"
)

// delivery is a signal that has a handler.
type delivery struct {
	info   signal.Info
	action signal.Action
}

// DeliverSignals is the handler of SIGPENDING. It stops the task, ends it, or
// pushes the frames of signal handlers onto its stack, and it decides whether an
// interrupted system call is restarted. Only the task's own goroutine calls it,
// before the return to user mode; it may sleep.
//
// While the task executes an instruction out of line for a probe, signals are put off. A
// task that must exit does not finish the instruction (Linux: uprobe_deny_signal). UPROBE
// decides whether the task must exit, or executes other code than that of the probe.
func (t *Task) DeliverSignals(f *amd64.Frame) {
	if t.Defer(entry.SigPending) {
		t.Raise(entry.Uprobe)
		return
	}
	f.Settle()
	t.deliverPending(f)
	for !t.Exiting() {
		// A handler's address may be one that no program can return to.
		trap := signal.ReturnTrap(f)
		if trap == nil {
			return
		}
		t.fault(f, trap)
		t.deliverPending(f)
	}
}

// deliverPending delivers the signals that are pending.
func (t *Task) deliverPending(f *amd64.Frame) {
	for {
		next := &t.delivering
		if !t.nextSignal(next) {
			break
		}
		t.restartForHandler(f, next.action.Flags)
		t.handle(f, next)
		if !t.Interrupted() {
			return // handle has computed SIGPENDING: nothing else is pending
		}
	}
	if t.Exiting() {
		return
	}
	t.restartWithoutHandler(f)
	if t.suspended {
		t.suspended = false
		t.SetBlocked(t.suspendMask)
	}
}

// nextSignal handles every signal that needs no handler, and stores the next one
// that does. It reports false if there is none, or if the task must exit.
func (t *Task) nextSignal(next *delivery) bool {
	for !t.Exiting() {
		result := t.takeSignal(&next.info)
		switch result {
		case noSignal:
			return false
		case stopOrExit:
			continue
		}
		t.group.Timers.signalTaken(&next.info)
		if result != signalTaken && !t.stopForSignal(&next.info, result.queue()) {
			continue
		}
		if t.act(next) {
			return true
		}
	}
	return false
}

// takeResult says what takeSignal has done.
type takeResult uint8

const (
	noSignal           takeResult = iota // nothing is pending
	stopOrExit                           // it handled a stop or an exit, and took no signal
	signalTaken                          // it took a signal
	threadSignalTraced                   // it took a signal to the thread, which the tracer must see first
	sharedSignalTraced                   // it took a signal to the process, which the tracer must see first
)

// queue returns the queue of a signal that the tracer must see first.
func (r takeResult) queue() SignalQueue {
	if r == sharedSignalTraced {
		return ProcessQueue
	}
	return ThreadQueue
}

// takeSignal removes and stores the next pending signal. A stop and an exit come
// first: if the process has a stop to report, must exit or must stop, takeSignal does
// that instead. It sleeps while the task is stopped.
func (t *Task) takeSignal(info *signal.Info) takeResult {
	if result, taken := t.takeUsual(info); taken {
		return result
	}
	g := t.group
	locked := guard.Lock(&g.mu)
	defer locked.Release()
	switch {
	case g.stop.notice != noNotice:
		notice := g.stop.notice
		g.stop.notice = noNotice
		locked.Release()
		g.notifyStopped(notice)
		return stopOrExit
	case g.groupExit || t.killed.Load():
		status := g.exitStatus
		if !g.groupExit {
			status = 0 // killed by another thread's execve(2); the process goes on
		}
		t.pending.Set.Remove(unix.SIGKILL) // the exit has begun: see fatal
		t.requestExit(status)
		locked.Release()
		t.delivered(&signal.Info{Signo: unix.SIGKILL}, signal.Action{}) // as on Linux, whatever ends the process
		return stopOrExit
	case t.stopping && t.tracer == nil:
		t.stopHere(&locked)
		return stopOrExit
	case t.stopping || t.trapStop || t.trapNotify:
		t.stopForJobControl(&locked)
		return stopOrExit
	}
	queue := t.dequeue(t.blocked, info)
	t.recalculate()
	return t.taken(info, queue)
}

// takeUsual is takeSignal for a task that neither stops nor exits. It does nothing for
// another one, and returns false.
func (t *Task) takeUsual(info *signal.Info) (result takeResult, taken bool) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stop.notice != noNotice || g.groupExit || t.killed.Load() || t.stopping || t.trapStop || t.trapNotify {
		return noSignal, false
	}
	queue := t.dequeue(t.blocked, info)
	t.recalculate()
	return t.taken(info, queue), true
}

// taken returns the result of takeSignal for a signal that was taken from queue, which
// is nil if there was none. The group's lock is held.
func (t *Task) taken(info *signal.Info, queue *signal.Pending) takeResult {
	switch {
	case queue == nil:
		return noSignal
	case t.tracer == nil || t.group.Actions().Immutable(info.Signo):
		return signalTaken
	}
	t.stopTaken = true // the tracer may change the signal to one that stops
	if queue == &t.pending {
		return threadSignalTraced
	}
	return sharedSignalTraced
}

// dequeue takes the next signal that is not in blocked, stores it, and returns the queue that
// it was in, or nil if there is none. The thread's own signals come before those of
// the process. The group's lock is held.
func (t *Task) dequeue(blocked signal.Set, info *signal.Info) *signal.Pending {
	for _, queue := range [...]*signal.Pending{&t.pending, &t.group.shared} {
		if s := queue.Next(blocked); s != 0 {
			queue.Take(s, info)
			if signal.Stops.Has(s) {
				t.stopTaken = true
			}
			if s == unix.SIGALRM && queue == &t.group.shared {
				t.group.alarmTaken = true
			}
			return queue
		}
	}
	return nil
}

// recalculate sets SIGPENDING if the task has a signal to handle, and clears it
// otherwise (Linux: recalc_sigpending). Only the task's own goroutine calls it,
// and not after a call has returned a restart code: SIGPENDING must stay set
// then, because DeliverSignals does the restart. The group's lock is held.
func (t *Task) recalculate() {
	if !t.raiseIfPending() {
		entry.Lower(&t.Frame.ThreadFlags, entry.SigPending)
	}
}

// raiseIfPending sets SIGPENDING and reports true if the task has a signal to handle. It
// never clears SIGPENDING, so it may be called after a call has returned a restart code
// (Linux: recalc_sigpending_tsk). The group's lock is held.
func (t *Task) raiseIfPending() bool {
	g := t.group
	deliverable := (t.pending.Set | g.shared.Set) &^ t.blocked
	pending := deliverable != 0 || t.stopping || t.trapStop || t.trapNotify || t.killed.Load() || g.stop.notice != noNotice
	if pending {
		entry.Raise(&t.Frame.ThreadFlags, entry.SigPending)
	}
	return pending
}

// act carries out the action of a signal. It reports whether a handler must run, and
// then stores the action.
func (t *Task) act(next *delivery) bool {
	g, s := t.group, next.info.Signo
	action := g.Actions().Claim(s)
	t.delivered(&next.info, action)
	if action.Caught() {
		next.action = action
		return true
	}
	if action.Handler == signal.SIG_IGN {
		return false
	}
	what := signal.DefaultOf(s)
	if what == signal.Ignore || what == signal.Continue || g.protects(s) {
		return false
	}
	if what == signal.Stop {
		t.stopBySignal(s)
		return false
	}
	if what == signal.Core {
		t.dieOfCoreSignal(&next.info)
		return false
	}
	t.ExitGroup(SignalStatus(s))
	return false
}

// delivered calls the tracepoint of a signal whose action begins.
func (t *Task) delivered(info *signal.Info, action signal.Action) {
	if p := &t.kernel.Tracepoints.SignalDelivered; p.Active() {
		p.Call(SignalDelivered{Task: t, Info: *info, Action: action})
	}
}

// protects reports whether the process is init and s may not do its default
// action.
func (g *ThreadGroup) protects(s signal.Signal) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.unkillable && !signal.Unblockable.Has(s)
}

// handle pushes the handler's frame onto the user's stack. If the stack cannot be
// written, the task gets SIGSEGV.
func (t *Task) handle(f *amd64.Frame, d *delivery) {
	if t.rseq.Address != 0 {
		t.serveRSeq(f, d.info.Signo) // it reads the interrupted RIP, which the frame replaces
	}
	saved := t.blocked
	if t.suspended {
		saved = t.suspendMask
	}
	stepping := t.handlerWatched && t.beforeHandler()
	if err := t.pushFrame(f, d, saved); err != nil {
		t.forceSegmentationFault(d.info.Signo)
		return
	}
	t.suspended = false
	blocked := t.blocked | d.action.Mask
	if d.action.Flags&signal.SA_NODEFER == 0 {
		blocked.Add(d.info.Signo)
	}
	t.SetBlocked(blocked)
	if stepping {
		t.kernel.subsystems.handlerEntered(t)
	}
}

// WatchHandler makes the next delivery of a signal to a handler call BeforeHandler of the
// subsystems. Only the task's own goroutine calls it, or that of the tracer while it has
// frozen the task.
func (t *Task) WatchHandler() { t.handlerWatched = true }

// beforeHandler calls BeforeHandler of the subsystems, and reports whether the task was
// stepping.
func (t *Task) beforeHandler() (stepping bool) {
	t.handlerWatched = false
	return t.kernel.subsystems.beforeHandler(t)
}

// pushFrame builds the handler's frame on the user's stack: EFAULT.
func (t *Task) pushFrame(f *amd64.Frame, d *delivery, saved signal.Set) error {
	delivery := &signal.Delivery{
		Info: &d.info, Action: &d.action, Saved: saved, AltStack: &t.AltStack, Fault: t.lastFault, Scratch: &t.scratch,
	}
	if d.action.Flags&signal.SA_IA32_ABI != 0 {
		delivery.Returns = t.handlerReturns()
	}
	return signal.Push(t, f, delivery)
}

// handlerReturns returns the functions of the vDSO to which 32-bit handlers return.
func (t *Task) handlerReturns() (r signal.Returns) {
	if p := t.Program(); p != nil {
		r.SigReturn, r.RTSigReturn = p.VDSO.SigReturn, p.VDSO.RTSigReturn
	}
	return r
}

// FramePop is one of the functions of package signal that restore a signal frame:
// signal.Pop, signal.Pop32 or signal.PopInfo32.
type FramePop func(abi.UserMemory, *amd64.Frame, *signal.Scratch) (signal.Restored, error)

// SignalReturn is rt_sigreturn(2) and, with the pop functions of 32-bit frames, those of
// 32-bit programs: it restores the registers and the mask from the signal frame. A bad frame
// is SIGSEGV.
func (t *Task) SignalReturn(f *amd64.Frame, pop FramePop) {
	t.Restart.Clear()
	restored, err := pop(t, f, &t.scratch)
	if restored.Read {
		t.SetBlocked(restored.Blocked) // even if the rest of the frame is bad, as in Linux
	}
	if err != nil {
		t.ForceSignal(signal.KernelInfo(unix.SIGSEGV))
		return
	}
	if restored.HasAltStack {
		t.AltStack.Set(restored.AltStack, f.RSP, signal.MinStackSize) // Linux too ignores one that cannot be set
	}
	if restored.Trap != nil {
		t.fault(f, restored.Trap)
	}
}
