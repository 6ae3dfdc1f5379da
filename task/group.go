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
	// Actions is what signals do; CLONE_SIGHAND shares it between processes.
	Actions *signal.Actions
	// Limits are the resource limits.
	Limits Limits
	// Timers are the interval timers and the POSIX timers.
	Timers Timers

	// The kernel's lock guards these.
	id          *pid
	pgrp        *ProcessGroup
	parent      *ThreadGroup
	parentPID   atomic.Int64   // of parent, 0 without: getppid(2) takes no lock
	children    []*ThreadGroup // in the order of their birth
	exited      bool           // the last thread has ended: a zombie
	subreaper   bool           // PR_SET_CHILD_SUBREAPER
	reapedTimes Usage          // of children that were waited for

	// childWait announces what wait4(2) waits for: a child changed state.
	childWait wait.Queue
	// done is woken when the process is a zombie, for pidfds and for others.
	done wait.Queue

	executed  atomic.Bool // execve(2) has succeeded since fork
	startTime int64       // clock.Monotonic
	// OOMAdjust is /proc/pid/oom_score_adj, -1000 to 1000.
	OOMAdjust atomic.Int32
	barriers  atomic.Uint32 // commands of membarrier(2) that were announced

	mu     sync.Mutex
	shared signal.Pending
	// threads has the leader first. It changes with the kernel's lock held
	// too.
	threads []*Task
	live    int // threads that have not begun to exit

	groupExit  bool   // every thread is to die with exitStatus
	exitStatus Status // of exit_group, or of the fatal signal
	execTask   *Task  // the thread that waits in execve(2) for the others' end

	stop       stopState
	unkillable bool       // init: signals with their default action do nothing
	endedTimes Usage      // of threads that have exited
	posted     wait.Queue // woken when a signal becomes pending: signalfd(2)
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

// stopState is the state of a process under job control.
type stopState struct {
	signal    signal.Signal // what stopped it, or 0
	count     int           // threads that are still to stop
	stopped   bool          // all have stopped
	continued bool          // since the parent last looked
	unwaited  bool          // stopped and the parent has not been told by wait
	notice    stopNotice    // what the parent is to be told by SIGCHLD
}

// stopNotice says what a resumed process owes its parent.
type stopNotice uint8

const (
	noNotice stopNotice = iota
	noticeStopped
	noticeContinued
)

// PID returns the process id.
func (g *ThreadGroup) PID() int { return g.id.number }

// Kernel returns the kernel that the process belongs to.
func (g *ThreadGroup) Kernel() *Kernel { return g.kernel }

// Leader returns the thread whose id is the process id. It is there until the
// process is reaped, as a zombie if it has ended.
func (g *ThreadGroup) Leader() *Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.threads[0]
}

// Threads returns the threads, the leader first, as a copy.
func (g *ThreadGroup) Threads() []*Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*Task(nil), g.threads...)
}

// ThreadCount returns the number of threads, a zombie leader included.
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

// setParent makes p, which may be nil, the parent. The kernel's lock is held.
func (g *ThreadGroup) setParent(p *ThreadGroup) {
	g.parent = p
	number := 0
	if p != nil {
		number = p.id.number
	}
	g.parentPID.Store(int64(number))
}

// Parent returns the parent process, nil for init and for a process that is
// reaped.
func (g *ThreadGroup) Parent() *ThreadGroup {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	return g.parent
}

// StartTime returns when the process was made, on clock.Monotonic.
func (g *ThreadGroup) StartTime() int64 { return g.startTime }

// Exited reports whether the last thread has ended, and with which status.
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
