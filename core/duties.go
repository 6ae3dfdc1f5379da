// Package core connects the layers of the kernel that need no hardware: files,
// duties, system calls and the user loop. cmd/kernel runs them on the machine,
// fuzz/hostkernel on a model of it.
package core

import (
	"slices"

	"slowpath/arch/amd64"
	"slowpath/audit"
	"slowpath/entry"
	"slowpath/ptrace"
	"slowpath/seccomp"
	"slowpath/syscall"
	"slowpath/task"
	"slowpath/trace/calls"
	"slowpath/uprobe"
	"slowpath/userdispatch"
	"slowpath/vsyscall"
)

// Owners are the objects that own duties. All are required.
type Owners struct {
	Probes *uprobe.Probes
	Calls  *calls.Calls
	Audit  *audit.Audit
}

// NewDuties joins the rows of entry.Duties with their handlers. The error names a
// row without a handler, or a handler without a row.
func NewDuties(o Owners) (*entry.Table[*task.Task], error) {
	handlers := []entry.Handlers[*task.Task]{
		task.RescheduleHandlers(),
		task.SignalHandlers(),
		task.WorkHandlers(),
		task.RestartableSequenceHandlers(),
		task.MachineCheckHandlers(),
		seccomp.Handlers(),
		userdispatch.Handlers(),
		o.Probes.Handlers(),
		o.Calls.Handlers(),
		o.Audit.Handlers(),
		task.NoHZHandlers(),
		{Flag: entry.UserReturnNotify, Last: amd64.LoadControls},
		{Flag: entry.RecordExits, Entry: func(t *task.Task, _ *entry.Call) entry.Verdict {
			t.Visit.Kept = true
			return entry.Proceed
		}},
	}
	handlers = append(handlers, ptrace.Handlers()...)
	return entry.NewTable(entry.Duties(), handlers...)
}

// NewLoop returns the user loop over the table of duties, the table of system
// calls and the owners of exceptions. page is the mode of the vsyscall page.
func NewLoop(duties *entry.Table[*task.Task], visits *entry.Recorder, probes *uprobe.Probes, page vsyscall.Mode) (*entry.Loop[*task.Task], error) {
	return NewLoopOf(syscall.Dispatch(entry.X86_64), syscall.Dispatch32(), duties, visits, probes, page)
}

// NewLoopOf is NewLoop with other dispatch tables.
func NewLoopOf(calls entry.Dispatch[*task.Task], calls32 *entry.Dispatch32[*task.Task], duties *entry.Table[*task.Task],
	visits *entry.Recorder, probes *uprobe.Probes, page vsyscall.Mode) (*entry.Loop[*task.Task], error) {
	emulation := vsyscall.Handler(vsyscall.Config{Mode: page, Calls: &calls, Filter: seccomp.Enter})
	exceptions, err := entry.NewExceptions(append(
		slices.Concat(probes.ExceptionHandlers(), ptrace.ExceptionHandlers(), task.ExceptionHandlers()), emulation)...)
	if err != nil {
		return nil, err
	}
	return entry.NewLoop(entry.LoopConfig[*task.Task]{
		Calls: calls, Calls32: calls32, Duties: duties, Exceptions: exceptions, Recorder: visits,
	}), nil
}
