package task

import (
	"slowpath/signal"
	"slowpath/tracepoint"
)

// Tracepoints are the hooks of package task (Linux: include/trace/events). Unless a field
// says otherwise, a function runs on the goroutine of the task that causes the event, with
// interrupts on. It must not sleep, and takes no lock under which a method of Kernel,
// ThreadGroup or Task is called, because a caller may hold these.
type Tracepoints struct {
	// SignalGenerated: a signal was sent (signal:signal_generate). The target's locks are held.
	SignalGenerated tracepoint.Point[SignalGenerated]
	// SignalDelivered: a signal's action begins (signal:signal_deliver). No lock is held, and
	// the function may sleep and read the task's memory.
	SignalDelivered tracepoint.Point[SignalDelivered]
	// Forked: clone has made a task, which has an id and does not run yet
	// (sched:sched_process_fork, task:task_newtask).
	Forked tracepoint.Point[Forked]
	// Executed: execve has succeeded (sched:sched_process_exec). It may sleep.
	Executed tracepoint.Point[Executed]
	// Exiting: a thread has begun to exit, and still has all its parts
	// (sched:sched_process_exit). It may sleep.
	Exiting tracepoint.Point[*Task]
}

// SignalGenerated is the argument of Tracepoints.SignalGenerated.
type SignalGenerated struct {
	Target *Task
	Signal int
	Info   signal.Info
	// Group is set for a signal to a process.
	Group bool
	// Result is Linux's enum TRACE_SIGNAL_DELIVERED and those that follow it.
	Result int
}

// SignalDelivered is the argument of Tracepoints.SignalDelivered.
type SignalDelivered struct {
	Task   *Task
	Info   signal.Info
	Action signal.Action
}

// Forked is the argument of Tracepoints.Forked.
type Forked struct {
	Parent, Child *Task
	Arguments     *CloneArgs
}

// Executed is the argument of Tracepoints.Executed.
type Executed struct {
	Task   *Task
	Path   string
	OldTID int
}
