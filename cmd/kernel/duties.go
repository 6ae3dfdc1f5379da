package main

import (
	"runtime"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/task"
)

// newDuties is the table of what a task may owe before it goes back to user
// mode, in the order in which it is served.
func newDuties() (*entry.Table[*task.Task], error) {
	return entry.NewTable(
		entry.Row[*task.Task]{
			Flag: entry.NeedResched, When: entry.BeforeUser, MaySleep: true,
			Handle:   func(*task.Task) { runtime.Gosched() },
			RaisedBy: "an interrupt that found the task in user mode",
		},
		entry.Row[*task.Task]{
			Flag: entry.SigPending, When: entry.BeforeUser, MaySleep: true,
			HandleFrame: func(t *task.Task, f *amd64.Frame) { t.DeliverSignals(f) },
			RaisedBy:    "kill(2), faults, timers, job control, exit",
		},
	)
}
