package task

import (
	"slowpath/arch/amd64"
	"slowpath/fs"
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
	// CoreSignal: a signal is about to end the process with a core dump, whether or not a
	// file is written. It may sleep.
	CoreSignal tracepoint.Point[CoreSignal]
	// SeccompLogged: a verdict of a filter must be logged (seccomp(2)). It may sleep.
	SeccompLogged tracepoint.Point[SeccompLogged]
	// SignalSent: a task asks to send a signal, or signal 0, to another, before its
	// permission is checked. The kernel's lock is held.
	SignalSent tracepoint.Point[SignalSent]
	// Freed: nobody can wait for a task any more that has exited, and its id is free
	// (sched:sched_process_free). Kernel.mu is held. The goroutine may be any.
	Freed tracepoint.Point[*Task]
	// Waiting: a task begins to wait for children (sched:sched_process_wait).
	Waiting tracepoint.Point[Waiting]
	// PageFault: a page fault of user mode has occurred (exceptions:page_fault_user). It
	// may sleep.
	PageFault tracepoint.Point[PageFault]
	// Migrated: a task enters user mode on another CPU than before
	// (sched:sched_migrate_task).
	Migrated tracepoint.Point[Migrated]
	// Interrupted: an interrupt of user mode has occurred, or a tick has found the task in
	// the kernel and it is about to return to user mode. It is called again when the task has
	// done what the interrupt requires. It may sleep.
	Interrupted tracepoint.Point[Interrupted]
	// TerminalRead: a task has read from a terminal. It may sleep.
	TerminalRead tracepoint.Point[TerminalRead]
	// Renamed: the name of a thread is about to change (task:task_rename).
	Renamed tracepoint.Point[Renamed]
}

// CoreSignal is the argument of Tracepoints.CoreSignal.
type CoreSignal struct {
	Task   *Task
	Signal signal.Signal
}

// TerminalRead is the argument of Tracepoints.TerminalRead.
type TerminalRead struct {
	Task *Task
	fs.TerminalRead
}

// SeccompLogged is the argument of Tracepoints.SeccompLogged.
type SeccompLogged struct {
	Task *Task
	// Number is the number of the call.
	Number int32
	// Signal is the signal that the task gets, or 0.
	Signal signal.Signal
	// Action is the SECCOMP_RET_ code without its data.
	Action uint32
}

// SignalSent is the argument of Tracepoints.SignalSent.
type SignalSent struct {
	Sender, Target *Task
	Signal         signal.Signal
}

// Renamed is the argument of Tracepoints.Renamed. Another
// thread of its process may cause the event, by /proc/PID/comm.
type Renamed struct {
	Task *Task
	Name string
}

// SignalGenerated is the argument of Tracepoints.SignalGenerated.
type SignalGenerated struct {
	Target *Task
	Signal int
	Info   signal.Info
	// Group is set for a signal to a process.
	Group  bool
	Result SignalResult
}

// SignalResult says what became of a signal that was sent (Linux: enum of
// include/trace/events/signal.h, TRACE_SIGNAL_DELIVERED and those that follow it).
type SignalResult int

// The values of SignalResult.
const (
	// SignalQueued: the signal is pending.
	SignalQueued SignalResult = iota
	// SignalIgnored: the target ignores the signal, or exits.
	SignalIgnored
	// SignalAlreadyPending: the standard signal was pending before.
	SignalAlreadyPending
	// SignalOverflow: the signal was refused because of RLIMIT_SIGPENDING.
	SignalOverflow
	// SignalLostInfo: the signal is pending, but its siginfo_t was dropped.
	SignalLostInfo
)

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

// Waiting is the argument of Tracepoints.Waiting. PID is the id of the child or of the
// process group, or 0 for any child.
type Waiting struct {
	Task *Task
	PID  int
}

// PageFault is the argument of Tracepoints.PageFault. Error is the error code of the CPU
// (SDM vol. 3A, 4.7).
type PageFault struct {
	Task    *Task
	Frame   *amd64.Frame
	Address uint64
	Error   uint64
}

// Migrated is the argument of Tracepoints.Migrated.
type Migrated struct {
	Task     *Task
	From, To int
}

// Interrupted is the argument of Tracepoints.Interrupted. Vector is that of the interrupt, or
// InKernel.
type Interrupted struct {
	Task   *Task
	Vector int
	// Served is set for the second call.
	Served bool
}

// InKernel is the Vector of Interrupted for a tick that has found the task in the kernel.
const InKernel = -1

// Departure says why a task leaves its CPU.
type Departure uint8

// The values of Departure.
const (
	// Sleeps: the task waits for something, or has ended.
	Sleeps Departure = iota
	// Yields: the task lets others run although it could continue.
	Yields
)

// OnLeave makes tasks that leave their CPU call f, and returns the function that ends that.
// Preemption of a task in the kernel by the Go runtime is not seen. f is called on the
// goroutine of the task, which may hold locks: it must not sleep on a wait.Sleeper nor wake
// one. OnLeave may sleep.
func (k *Kernel) OnLeave(f func(t *Task, why Departure)) (end func()) {
	s := k.Scheduler()
	sleeps := s.Load.Parking.Register(ofOwner(func(t *Task) { f(t, Sleeps) }))
	yields := s.Yielding.Register(k.ofCurrent(func(t *Task) { f(t, Yields) }))
	return func() { sleeps(); yields() }
}

// OnContinue is OnLeave for tasks that continue after they have left their CPU, or begin.
func (k *Kernel) OnContinue(f func(t *Task)) (end func()) {
	s := k.Scheduler()
	resumed, yielded := s.Load.Resumed.Register(ofOwner(f)), s.Yielded.Register(k.ofCurrent(f))
	return func() { resumed(); yielded() }
}

// OnWake makes goroutines that wake a task call f, and returns the function that ends that.
// The conditions of OnLeave hold.
func (k *Kernel) OnWake(f func(woken *Task)) (end func()) {
	return k.Scheduler().Load.Woken.Register(ofOwner(f))
}

// ofOwner returns a function of a tracepoint whose argument is the owner of a wait.Sleeper.
func ofOwner(f func(t *Task)) func(owner any) {
	return func(owner any) {
		if t, ok := owner.(*Task); ok {
			f(t)
		}
	}
}

// ofCurrent returns a function of a tracepoint that does not name the task that calls it.
func (k *Kernel) ofCurrent(f func(t *Task)) func(struct{}) {
	return func(struct{}) {
		if t := k.Current(); t != nil {
			f(t)
		}
	}
}
