package main

import (
	"fmt"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/sched"
	"slowpath/syscall"
	"slowpath/task"
)

// duties is the one table of what tasks may owe before they go back to user
// mode. It is a variable of the package because EnterUser's last test comes
// from assembly, with interrupts off and no argument but the frame.
var duties *entry.Table[*task.Task]

// makeDuties joins the rows of package entry with those who serve them, and
// makes its last test that of EnterUser.
func makeDuties(s *sched.Scheduler) error {
	handlers := []entry.Handlers[*task.Task]{
		sched.Handlers[*task.Task](s),
		task.SignalHandlers(),
		task.WorkHandlers(),
		task.RestartableSequenceHandlers(),
		task.MachineCheckHandlers(),
		{Flag: entry.UserReturnNotify, Last: amd64.LoadControls},
		{Flag: entry.RecordExits, Entry: func(t *task.Task, _ *entry.Call) entry.Verdict {
			t.Visit.Kept = true
			return entry.Proceed
		}},
	}
	handlers = append(handlers, unraised()...)
	table, err := entry.NewTable(entry.Duties(), handlers...)
	if err != nil {
		return err
	}
	duties = table
	amd64.SetLastTest(uint32(table.LastMask()), lastTest)
	return nil
}

// newLoop returns the user loop over the table of duties, the table of system
// calls and the owners of exceptions. makeDuties comes first.
func newLoop(visits *entry.Recorder) (*entry.Loop[*task.Task], error) {
	exceptions, err := entry.NewExceptions(task.ExceptionHandlers()...)
	if err != nil {
		return nil, err
	}
	return entry.NewLoop(entry.LoopConfig[*task.Task]{
		Calls: syscall.Dispatch(entry.X86_64), Duties: duties, Exceptions: exceptions, Recorder: visits,
	}), nil
}

// lastTest is the last thing before user mode.
//
//go:nosplit
func lastTest(f *amd64.Frame) amd64.Exit { return duties.LastTest(f) }

// unraised returns handlers for the duties that nothing in this kernel raises
// yet. They keep their place in the order. If one is raised all the same, that is
// a bug: the handler panics with the duty's name, which ends the task.
func unraised() []entry.Handlers[*task.Task] {
	var handlers []entry.Handlers[*task.Task]
	for _, d := range entry.Duties() {
		switch d.Flag {
		case entry.SyscallTrace, entry.SyscallEmu, entry.SingleStep, entry.Seccomp,
			entry.SyscallTracepoint, entry.SyscallAudit, entry.NoHZ, entry.Uprobe:
			handlers = append(handlers, reportUnraised(d))
		}
	}
	return handlers
}

func reportUnraised(d entry.Duty) entry.Handlers[*task.Task] {
	bug := func() {
		panic(fmt.Sprintf("the duty %v is set, but nothing in this kernel raises it", d.Flag))
	}
	h := entry.Handlers[*task.Task]{Flag: d.Flag}
	if d.When&entry.AtSyscallEntry != 0 {
		h.Entry = func(*task.Task, *entry.Call) entry.Verdict { bug(); return entry.Skip }
	}
	if d.When&entry.AtSyscallExit != 0 {
		h.Exit = func(*task.Task, *entry.Call) { bug() }
	}
	if d.When&entry.BeforeUser != 0 {
		h.BeforeUserFrame = func(*task.Task, *amd64.Frame) { bug() }
	}
	return h
}
