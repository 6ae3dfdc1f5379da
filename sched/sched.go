// Package sched is the duty NEED_RESCHED: giving the CPU to others.
//
// A task is a goroutine, so the run queues, one for each CPU, with stealing
// between them, are the Go scheduler's. What is left to the kernel is to come
// out of user mode in time: the timer's tick, or a wake-up from another CPU,
// interrupts EnterUser; the user loop then raises the duty, and here it is
// served. In the kernel itself the runtime preempts by its own means.
package sched

import (
	"runtime"

	"slowpath/entry"
)

// Duty returns NEED_RESCHED's row for the table of duties. Its handler gets no
// register frame, because it needs none.
func Duty[T any]() entry.Row[T] {
	return entry.Row[T]{
		Flag:     entry.NeedResched,
		When:     entry.BeforeUser,
		MaySleep: true,
		Handle:   func(T) { Yield() },
		RaisedBy: "the tick, or another CPU, that interrupted user mode; sched_yield(2)",
	}
}

// Yield lets other tasks run that want this CPU, and returns when it is the
// caller's turn again (sched_yield(2)). It may sleep.
func Yield() { runtime.Gosched() }
