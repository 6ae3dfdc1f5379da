// Package sched serves the duty NEED_RESCHED: it lets others run.
//
// A task is a goroutine, so the run queues are the Go scheduler's: one per P,
// with work stealing. The kernel adds what that scheduler cannot do for user
// mode. The tick ends a program's time slice: it interrupts EnterUser, the user
// loop raises the duty, and this package serves it. In the kernel itself the
// runtime preempts goroutines.
package sched

import (
	"runtime"

	"slowpath/entry"
	"slowpath/tracepoint"
	"slowpath/wait"
)

// Scheduler knows how many tasks are runnable. It is safe for concurrent use.
type Scheduler struct {
	// Load counts the runnable tasks.
	Load wait.Load
	// CPUs is the number of CPUs.
	CPUs int
	// Threads schedules the runtime's threads.
	Threads Threads
	// Yielding is called by a task that is about to let others run although it could
	// continue, and Yielded when it continues. The functions must not sleep.
	Yielding, Yielded tracepoint.Point[struct{}]
}

// Threads schedules the Go runtime's threads, as package goos does. Both methods
// are about the caller's thread. Any goroutine that holds no lock may call them.
type Threads interface {
	// Pin pins the thread to a set of CPUs, one bit each, 0 for all, until it
	// sleeps. When Pin returns, the thread runs on one of them.
	Pin(cpus uint64)
	// Yield lets other threads run that need this CPU.
	Yield()
}

// Handlers returns the handler of NEED_RESCHED. It gets no register frame,
// because it needs none.
func Handlers[T any](s *Scheduler) entry.Handlers[T] {
	return entry.Handlers[T]{Flag: entry.NeedResched, BeforeUser: func(T) {
		if s.overloaded() {
			s.gosched()
		}
	}}
}

// Yield lets other tasks run, and returns when it is the caller's turn again
// (sched_yield(2)). While every runnable task has a CPU it does nothing, because
// a call of the Go scheduler would cost 800 instructions. It may sleep.
func (s *Scheduler) Yield() {
	if s.overloaded() {
		s.gosched()
	}
}

// WakeSleepers lets the Go runtime wake the sleepers whose deadline has passed, and lets
// them run. The runtime looks at the timers of a P only between two goroutines. It may
// sleep.
func (s *Scheduler) WakeSleepers() { s.gosched() }

// gosched lets other goroutines run on the caller's P, after it has started those
// whose timers have expired.
func (s *Scheduler) gosched() {
	if s.Yielding.Active() {
		s.Yielding.Call(struct{}{})
	}
	runtime.Gosched()
	s.Load.Update()
	if s.Yielded.Active() {
		s.Yielded.Call(struct{}{})
	}
}

// overloaded reports whether more tasks are runnable than there are CPUs.
func (s *Scheduler) overloaded() bool { return s.Load.Runnable() > s.CPUs }

// YieldPinned is Yield for a task with an affinity (sched_setaffinity(2)). Other
// tasks for the same CPU may hold a P and wait in their threads, which the Go
// scheduler does not know. It may sleep.
func (s *Scheduler) YieldPinned() {
	s.Yield()
	s.Threads.Yield()
}
