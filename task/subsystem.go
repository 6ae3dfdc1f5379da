package task

import (
	"fmt"
	"slices"
	"sync/atomic"

	"slowpath/entry"
)

// Subsystem is one part of a task, such as its memory, its timers or its
// tracer: a row of functions that clone(2), execve(2) and exit call. Each
// function may be nil. They run on the goroutine of the task that makes the
// call, may sleep, and hold no locks, except where the field says otherwise.
type Subsystem struct {
	// Name appears in error messages.
	Name string
	// Fork makes the child's part from the parent's. No other goroutine knows
	// the child yet. An error is the result of clone(2): Undo is then called
	// for the rows whose Fork succeeded before, in reverse order, and the row
	// that failed must leave nothing behind.
	Fork func(parent, child *Task, a *CloneArgs) error
	// Undo releases what Fork took, because the child is never published. It
	// is also called when Kernel.Spawn fails, for a task that had no Fork.
	Undo func(child *Task)
	// Publish runs when the child gets its id, with the kernel's lock and the
	// lock of the parent's thread group held: it copies state that other
	// threads of the process may change at any time, such as seccomp filters
	// (SECCOMP_FILTER_FLAG_TSYNC). It must not fail, sleep, or take a lock
	// under which a method of Kernel, ThreadGroup or Task is called.
	Publish func(parent, child *Task, a *CloneArgs)
	// Started runs on the parent's goroutine after the child was started. The
	// child may have ended since.
	Started func(parent, child *Task, a *CloneArgs)
	// VforkDone runs on the parent's goroutine after the wait of CLONE_VFORK has
	// ended because the child no longer uses the memory. child is its thread id.
	VforkDone func(parent *Task, child int)
	// LeaveMemory runs before the task gives up its address space, in execve
	// and in exit, while the memory can still be accessed (Linux:
	// mm_release).
	LeaveMemory func(t *Task)
	// Exec resets or replaces the part for a new program. The other threads
	// have ended, and execve can no longer fail. Kernel.Spawn calls it before
	// the task has an id (TID is 0, and PID must not be called).
	Exec func(t *Task, x *Execution)
	// BeforeHandler runs before the frame of a signal handler is made, if WatchHandler was
	// called since it last ran. It ends the single
	// step of a tracer, because the frame must not show it, and reports whether there was
	// one.
	BeforeHandler func(t *Task) (stepping bool)
	// HandlerEntered runs after the registers of the handler are set, if BeforeHandler has
	// reported a step: the tracer sees the handler's first instruction.
	HandlerEntered func(t *Task)
	// Executed runs when execve has succeeded and every Exec function has run.
	// oldTID is the thread id before: it changes if the thread was not the leader.
	Executed func(t *Task, oldTID int)
	// BeforeExit runs at the beginning of an exit, when the task still has all of
	// its parts. status is its exit status.
	BeforeExit func(t *Task, status Status)
	// Untraced runs when the task's tracer has detached from it or has exited. The
	// kernel's lock is held, and the task may be running: the function must not
	// sleep, or take a lock under which a method of Kernel, ThreadGroup or Task is
	// called.
	Untraced func(t *Task)
	// SeccompTrace is SECCOMP_RET_TRACE: see Task.SeccompTrace. At most one row has
	// it.
	SeccompTrace func(t *Task, data uint16) (traced bool)
	// Exit releases the part. It runs on the task's own goroutine, or on its
	// parent's if the child could not be started.
	Exit func(t *Task)
	// Levels returns the level duties that this part wants the task to owe.
	// Task.UpdateLevels calls it on any goroutine, with a lock held: it must
	// not sleep, and reads its state with an atomic load or under a lock that
	// is never held while UpdateLevels is called.
	Levels func(t *Task) entry.Flag
	// Admission returns what a level of this part knows of the task's calls, or
	// nil. UpdateLevels calls it as it calls Levels, and after it.
	Admission func(t *Task) *entry.Admission
	// HeldMemory returns about how many bytes of the kernel's heap this part of
	// the task holds, for the OOM killer. It is called on any goroutine, with
	// locks of files held: it takes no lock and does not sleep.
	HeldMemory func(t *Task) int64
}

// builtinSubsystems returns the rows of package task.
//
// Fork, Publish, Started and Exec run from top to bottom. Undo, LeaveMemory and
// Exit run from bottom to top. A part therefore finds those above it made in
// Fork, and not yet released in Exit. The order is that of Linux 6.1 where it
// matters: copy_process (kernel/fork.c), begin_new_exec (fs/exec.c), mm_release
// and do_exit (kernel/exit.c), which ends task work first here, then signals,
// robust futexes, clear_child_tid, vfork, memory, files, directories.
//
//   - registers is above memory: CPU time that the teardown of the memory takes
//     is charged to the frame.
//   - files is above memory: execve closes descriptors before a vfork parent
//     goes on.
//   - attributes and credentials are below memory: a program that becomes
//     dumpable must not expose the old program's memory.
//   - The rows that Kernel.Register adds are at the bottom: in Fork and Exec
//     everything of the task is there already, in Exit everything still is.
func builtinSubsystems() []Subsystem {
	return []Subsystem{
		processSubsystem,
		registersSubsystem,
		schedulingSubsystem,
		noHZSubsystem,
		directoriesSubsystem,
		filesSubsystem,
		memorySubsystem,
		programSubsystem,
		localTableSubsystem,
		portsSubsystem,
		credentialsSubsystem,
		attributesSubsystem,
		limitsSubsystem,
		oomSubsystem,
		altStackSubsystem,
		restartSubsystem,
		rseqSubsystem,
		vforkSubsystem,
		clearChildTIDSubsystem,
		priorityFutexSubsystem,
		robustListSubsystem,
		machineCheckSubsystem,
		timersSubsystem,
		signalsSubsystem,
		taskWorkSubsystem,
	}
}

// subsystems is the table of a kernel. It does not change once a task exists.
type subsystems struct {
	rows []Subsystem
	// beforeExits, exits and leaves are BeforeExit, Exit and LeaveMemory of the rows that have
	// one, in the order of their calls.
	beforeExits, exits, leaves []exitStep

	levels []func(t *Task) entry.Flag // of the rows that have one
	// admissions are Admission of the rows that have one.
	admissions []func(t *Task) *entry.Admission
	held       []func(t *Task) int64 // HeldMemory of the rows that have one
	slots      []func() any          // each makes one slot's value
	favored    int                   // the index of the favored slot and 1, 0 for none
	sealed     atomic.Bool           // a task exists
}

// add appends rows to the table.
func (s *subsystems) add(rows ...Subsystem) {
	for i := range rows {
		if rows[i].Levels != nil {
			s.levels = append(s.levels, rows[i].Levels)
		}
		if rows[i].Admission != nil {
			s.admissions = append(s.admissions, rows[i].Admission)
		}
		if rows[i].HeldMemory != nil {
			s.held = append(s.held, rows[i].HeldMemory)
		}
		s.addExitSteps(&rows[i])
	}
	s.rows = append(s.rows, rows...)
}

// exitStep is a function of a row that an exit calls.
type exitStep struct {
	name string // of the row
	call func(t *Task)
}

// addExitSteps adds the functions of a row that an exit calls.
func (s *subsystems) addExitSteps(row *Subsystem) {
	if before := row.BeforeExit; before != nil {
		s.beforeExits = append(s.beforeExits, exitStep{row.Name, func(t *Task) { before(t, t.exitStatus) }})
	}
	if row.Exit != nil {
		s.exits = slices.Insert(s.exits, 0, exitStep{row.Name, row.Exit})
	}
	if row.LeaveMemory != nil {
		s.leaves = slices.Insert(s.leaves, 0, exitStep{row.Name, row.LeaveMemory})
	}
}

// Register adds a subsystem at the bottom of the table. It must be called
// before the first task is made, and panics otherwise.
func (k *Kernel) Register(s Subsystem) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.subsystems.mustNotBeSealed(s.Name)
	k.subsystems.add(s)
}

func (s *subsystems) mustNotBeSealed(name string) {
	if s.sealed.Load() {
		panic(fmt.Sprintf("task: %s was registered after the first task was made; register it right after task.New", name))
	}
}

// fork makes the child's parts. If one fails, those before it are undone.
func (s *subsystems) fork(parent, child *Task, a *CloneArgs) error {
	made := 0
	defer func() {
		if made < len(s.rows) { // an error, or a panic
			s.undo(child, made)
		}
	}()
	for ; made < len(s.rows); made++ {
		if fork := s.rows[made].Fork; fork != nil {
			if err := fork(parent, child, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// undo releases the first n parts of a task that was never published.
func (s *subsystems) undo(child *Task, n int) {
	for i := n - 1; i >= 0; i-- {
		if s.rows[i].Undo != nil {
			s.rows[i].Undo(child)
		}
	}
}

// discard releases all parts of a task that was never published.
func (s *subsystems) discard(t *Task) { s.undo(t, len(s.rows)) }

func (s *subsystems) publish(parent, child *Task, a *CloneArgs) {
	for i := range s.rows {
		if s.rows[i].Publish != nil {
			s.rows[i].Publish(parent, child, a)
		}
	}
}

func (s *subsystems) started(parent, child *Task, a *CloneArgs) {
	for i := range s.rows {
		if s.rows[i].Started != nil {
			s.rows[i].Started(parent, child, a)
		}
	}
}

// leaveMemory calls the rows before the task leaves its address space. In an exit each
// is contained: the others, and the release of the memory, follow in any case. In
// execve(2) a panic ends the process, whose exit does the rest.
func (s *subsystems) leaveMemory(t *Task) {
	if t.Exiting() {
		t.containAll(s.leaves)
		return
	}
	for _, leave := range s.leaves {
		leave.call(t)
	}
}

func (s *subsystems) vforkDone(parent *Task, child int) {
	for i := range s.rows {
		if s.rows[i].VforkDone != nil {
			s.rows[i].VforkDone(parent, child)
		}
	}
}

func (s *subsystems) beforeHandler(t *Task) (stepping bool) {
	for i := range s.rows {
		if before := s.rows[i].BeforeHandler; before != nil {
			stepping = before(t) || stepping
		}
	}
	return stepping
}

func (s *subsystems) handlerEntered(t *Task) {
	for i := range s.rows {
		if s.rows[i].HandlerEntered != nil {
			s.rows[i].HandlerEntered(t)
		}
	}
}

func (s *subsystems) executed(t *Task, oldTID int) {
	for i := range s.rows {
		if s.rows[i].Executed != nil {
			s.rows[i].Executed(t, oldTID)
		}
	}
}

func (s *subsystems) beforeExit(t *Task) { t.containAll(s.beforeExits) }

func (s *subsystems) untraced(t *Task) {
	for i := range s.rows {
		if s.rows[i].Untraced != nil {
			s.rows[i].Untraced(t)
		}
	}
}

// SeccompTrace stops the task for a tracer that has set PTRACE_O_TRACESECCOMP. It
// reports false if there is none. data is SECCOMP_RET_DATA of the filter
// (seccomp(2), SECCOMP_RET_TRACE). Only the task's own goroutine calls it, at the
// entry of a system call; it sleeps. The tracer may have changed the call, and the
// task may have been killed.
func (t *Task) SeccompTrace(data uint16) (traced bool) {
	rows := t.kernel.subsystems.rows
	for i := range rows {
		if rows[i].SeccompTrace != nil {
			return rows[i].SeccompTrace(t, data)
		}
	}
	return false
}

func (s *subsystems) exec(t *Task, x *Execution) {
	for i := range s.rows {
		if s.rows[i].Exec != nil {
			s.rows[i].Exec(t, x)
		}
	}
}

func (s *subsystems) exit(t *Task) { t.containAll(s.exits) }
