package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/signal"
	"slowpath/task"
)

// notify stops the task for an event or a system call, with the code that wait4(2)
// returns and the message of PTRACE_GETEVENTMSG (Linux: ptrace_notify). Only the task's
// own goroutine calls it.
func notify(t *task.Task, code uint32, message uint64) task.TrapResult {
	return t.Trap(task.TraceStop{Code: code, Why: signal.CLD_TRAPPED, Message: message})
}

// reportEvent stops the task for an event, if the tracer has set its option. An
// event's option is the bit of its number.
func reportEvent(t *task.Task, event uint32, message uint64) (reported bool) {
	if !of(t).has(1 << event) {
		return false
	}
	notify(t, uint32(unix.SIGTRAP)|event<<8, message)
	return true
}

// cloneEvent returns the event of clone(2), or 0 if the tracer has not asked for it.
func cloneEvent(parent *task.Task, a *task.CloneArgs) uint32 {
	event := uint32(unix.PTRACE_EVENT_FORK)
	switch {
	case a.Flags&unix.CLONE_UNTRACED != 0:
		return 0
	case a.Flags&unix.CLONE_VFORK != 0:
		event = unix.PTRACE_EVENT_VFORK
	case a.ExitSignal != unix.SIGCHLD:
		event = unix.PTRACE_EVENT_CLONE
	}
	if !of(parent).has(1 << event) {
		return 0
	}
	return event
}

// traceChild implements Publish of the subsystem: the tracer traces the child too,
// with the same options.
func traceChild(parent, child *task.Task, a *task.CloneArgs) {
	if a.Flags&unix.CLONE_PTRACE == 0 && cloneEvent(parent, a) == 0 {
		return
	}
	if child.InheritTracer(parent) {
		storeOptions(child, of(parent).options.Load())
	}
}

// reportClone implements Started of the subsystem.
func reportClone(parent, child *task.Task, a *task.CloneArgs) {
	if event := cloneEvent(parent, a); event != 0 {
		reportEvent(parent, event, uint64(child.TID()))
	}
}

// reportVforkDone implements VforkDone of the subsystem.
func reportVforkDone(parent *task.Task, child int) {
	reportEvent(parent, unix.PTRACE_EVENT_VFORK_DONE, uint64(child))
}

// reportExec implements Executed of the subsystem. Without PTRACE_O_TRACEEXEC, a
// tracer that has not seized the task sees SIGTRAP.
func reportExec(t *task.Task, oldTID int) {
	if reportEvent(t, unix.PTRACE_EVENT_EXEC, uint64(oldTID)) {
		return
	}
	if traced, seized := t.Traced(); traced && !seized {
		t.Signal(userSignal(t, unix.SIGTRAP))
	}
}

// reportExit implements BeforeExit of the subsystem.
func reportExit(t *task.Task, status task.Status) {
	reportEvent(t, unix.PTRACE_EVENT_EXIT, uint64(status))
}

// reportSeccomp implements SeccompTrace of the subsystem.
func reportSeccomp(t *task.Task, data uint16) (traced bool) {
	return reportEvent(t, unix.PTRACE_EVENT_SECCOMP, uint64(data))
}
