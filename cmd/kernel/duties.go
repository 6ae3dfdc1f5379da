package main

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/sched"
	"slowpath/task"
)

// newDuties is the table of what a task may owe before it goes back to user
// mode, in the order in which it is served.
func newDuties() (*entry.Table[*task.Task], error) {
	return entry.NewTable(
		sched.Duty[*task.Task](),
		entry.Row[*task.Task]{
			Flag: entry.SigPending, When: entry.BeforeUser, MaySleep: true,
			HandleFrame: func(t *task.Task, f *amd64.Frame) { t.DeliverSignals(f) },
			RaisedBy:    "kill(2), faults, timers, job control, exit",
		},
	)
}
