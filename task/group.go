package task

import (
	"sync"
	"sync/atomic"

	"slowpath/clock"
	"slowpath/signal"
	"slowpath/wait"
)

// ThreadGroup is a process: the threads that share a process id, signal
// actions and an exit status.
type ThreadGroup struct {
	kernel *Kernel
	// Limits are the resource limits.
	Limits Limits
	// Timers are the interval timers and the POSIX timers.
	Timers Timers

	// The kernel's lock guards these.
	id          *pid
	pgrp        *ProcessGroup
	parent      *ThreadGroup
	parentPID   atomic.Int64   // of parent, or 0; getppid(2) reads it without the lock
	children    []*ThreadGroup // oldest first
	exited      bool           // a zombie: the last thread has exited
	subreaper   bool           // PR_SET_CHILD_SUBREAPER
	reapedTimes Usage          // of children that were waited for

	// childWait is woken when a child changes its state: wait4(2).
	childWait wait.Queue
	// done is woken when the process becomes a zombie, and when a thread exits
	// while another waits in execve(2).
	done wait.Queue

	actions   atomic.Pointer[signal.Actions]
	executed  atomic.Bool // execve(2) has succeeded since fork
	startTime int64       // clock.Monotonic
	// OOMAdjust is /proc/pid/oom_score_adj, -1000 to 1000.
	OOMAdjust atomic.Int32
	// oomAdjustMin is the lowest value of OOMAdjust that needs no privilege.
	oomAdjustMin atomic.Int32
	barriers     atomic.Uint32 // registered commands of membarrier(2)

	mu     sync.Mutex
	shared signal.Pending
	// threads has the leader first. It changes only with both this lock and
	// the kernel's held.
	threads []*Task
	live    int // threads that have not called exit

	groupExit  bool   // every thread must exit, with exitStatus
	exitBegan  int64  // when groupExit was set (clock.Monotonic)
	exitStatus Status // of exit_group(2), or of the fatal signal
	dumper     *Task  // the thread that writes a core file, or nil
	// exitImplied means that the last thread has exited, and no thread has asked for
	// the exit of the process.
	exitImplied bool
	execTask    *Task // the thread that waits in execve(2) for the others, or nil
	execs       int   // threads in execve(2): see execGuard

	stop       stopState
	unkillable bool       // init: signals with the default action do nothing
	endedTimes Usage      // of threads that have exited
	alarmTaken bool       // a SIGALRM of the process was dequeued: see Timers.restartReal
	posted     wait.Queue // woken when a signal becomes pending: signalfd(2)
	execDone   wait.Queue // woken at the end of execve(2): see execGuard
}

// processSubsystem is the thread group: a thread joins its parent's, a process
// gets a new one.
var processSubsystem = Subsystem{
	Name: "process",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		child.group = parent.group
		if !a.thread() {
			child.group = newThreadGroup(parent.kernel)
		}
		return nil
	},
	Exec: func(t *Task, _ *Execution) { t.group.executed.Store(true) },
}

// stopState is the job control state of a process.
type stopState struct {
	signal    signal.Signal // the signal that stopped it, or 0
	count     int           // threads that have not stopped yet
	stopped   bool          // all threads have stopped
	continued bool          // continued, and wait4(2) has not reported it
	unwaited  bool          // stopped, and wait4(2) has not reported it
	notice    stopNotice    // the SIGCHLD that a thread must send to the parent
}

// stopNotice is a change for which the parent has not got its SIGCHLD yet.
type stopNotice uint8

const (
	noNotice stopNotice = iota
	noticeStopped
	noticeContinued
)

// Actions returns the signal actions. CLONE_SIGHAND shares them between processes, and
// execve(2) replaces them. Any goroutine may call it.
func (g *ThreadGroup) Actions() *signal.Actions { return g.actions.Load() }

// PID returns the process id.
func (g *ThreadGroup) PID() int { return g.id.number }

// Kernel returns the kernel that the process belongs to.
func (g *ThreadGroup) Kernel() *Kernel { return g.kernel }

// Leader returns the thread whose id is the process id. It stays until the
// process is reaped, as a zombie after its exit.
func (g *ThreadGroup) Leader() *Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.threads[0]
}

// Threads returns a copy of the list of threads. The leader is the first.
func (g *ThreadGroup) Threads() []*Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*Task(nil), g.threads...)
}

// LiveThreads returns the number of threads that have not begun to exit.
func (g *ThreadGroup) LiveThreads() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.live
}

// WithThreads calls f with the list of threads, the leader first, while the list and
// the state that Publish rows copy cannot change: no clone(2), execve(2) or exit can
// add or remove a thread. f must not sleep, keep the list, or call a method that takes
// the lock of a process (Linux: siglock).
func (g *ThreadGroup) WithThreads(f func(threads []*Task)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g.threads)
}

// ThreadCount returns the number of threads, including a zombie leader.
func (g *ThreadGroup) ThreadCount() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.threads)
}

// Stopped reports whether job control has stopped the process.
func (g *ThreadGroup) Stopped() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stop.stopped
}

// setParent sets the parent, which may be nil. The kernel's lock is held.
func (g *ThreadGroup) setParent(p *ThreadGroup) {
	g.parent = p
	number := 0
	if p != nil {
		number = p.id.number
	}
	g.parentPID.Store(int64(number))
}

// Parent returns the parent process. It is nil for init and for a reaped
// process.
func (g *ThreadGroup) Parent() *ThreadGroup {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	return g.parent
}

// StartTime returns the time when the process was made, in nanoseconds of
// clock.Monotonic.
func (g *ThreadGroup) StartTime() int64 { return g.startTime }

// Exited reports whether the last thread has exited, and returns the status of
// the process.
func (g *ThreadGroup) Exited() (Status, bool) {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	if !g.exited {
		return 0, false
	}
	return g.exitStatus, true
}

// newThreadGroup returns a process without threads.
func newThreadGroup(k *Kernel) *ThreadGroup {
	g := &ThreadGroup{kernel: k, startTime: clock.Monotonic()}
	g.Timers.group = g
	return g
}
