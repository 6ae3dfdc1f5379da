// Package ptrace implements ptrace(2): how one task, the tracer, stops and
// examines another, the tracee.
//
// A request of the tracer is a row of the table in requests.go. Most requests
// need a tracee that is in a ptrace stop: it sleeps in Task.Trap of package task,
// and Task.Freeze keeps it there, even from SIGKILL, until the request has
// ended. So a request may use the tracee's registers and memory as the tracee
// itself would.
//
// Package task has the part that shares locks with signals, job control and
// wait4(2) (task/tracing.go): who traces whom, the stop itself, and
// signal-delivery stops and group stops. This package has the requests, the
// options, and the stops for events and system calls.
//
// The state of a task is in a slot of package task. The duties SYSCALL_TRACE and
// SYSCALL_EMU are levels: their cause is the request by which the tracer has
// resumed the task.
package ptrace

import (
	"sync/atomic"

	"slowpath/entry"
	"slowpath/task"
)

// state is the part of a task that this package owns. It is zero while the task
// is not traced. The tracer changes it while the task is stopped.
type state struct {
	// options are the PTRACE_O_ bits that the tracer has set.
	options atomic.Uint32
	// levels is the reason for SYSCALL_TRACE or SYSCALL_EMU: how the tracer has
	// resumed the task.
	levels atomic.Uint32
	// call is the request that the task makes as a tracer, or its last one. Only the
	// task's own goroutine uses it.
	call call
}

// of returns the state of a task. Any goroutine may call it.
func of(t *task.Task) *state { return task.SlotOf[state](t) }

// Register adds the subsystem to k. It must be called right after task.New.
func Register(k *task.Kernel) {
	task.NewSlot[state](k)
	task.NewSlot[registerState](k)
	k.Register(task.Subsystem{
		Name:         "ptrace",
		Publish:      traceChild,
		Started:      reportClone,
		VforkDone:    reportVforkDone,
		Executed:     reportExec,
		BeforeExit:   reportExit,
		Untraced:     forget,
		SeccompTrace: reportSeccomp,
		Levels:       levels,
	})
	k.Register(registerSubsystem)
}

// Handlers returns the handlers of the duties SYSCALL_TRACE, SYSCALL_EMU and
// SINGLESTEP.
func Handlers() []entry.Handlers[*task.Task] {
	return []entry.Handlers[*task.Task]{
		{Flag: entry.SyscallTrace, Entry: traceEntry, Exit: traceExit},
		{Flag: entry.SyscallEmu, Entry: emulateEntry},
		{Flag: entry.SingleStep, Exit: stepExit},
	}
}

// levels implements Levels of the subsystem.
func levels(t *task.Task) entry.Flag { return entry.Flag(of(t).levels.Load()) }

// forget implements Untraced of the subsystem: the tracer's settings end with it.
func forget(t *task.Task) {
	s := of(t)
	storeOptions(t, 0)
	s.levels.Store(0)
	t.UpdateLevels()
}
