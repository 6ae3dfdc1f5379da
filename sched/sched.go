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
	"slowpath/wait"
)

// Scheduler knows how many tasks want a CPU. It is safe for concurrent use.
type Scheduler struct {
	// Load counts the tasks that are awake; their Sleepers count in it.
	Load wait.Load
	// CPUs is how many processors there are.
	CPUs int
	// Threads are what goroutines run on.
	Threads Threads
}

// Threads are the Go runtime's threads, as package goos schedules them. Both
// methods are about the caller's own and may be called on any goroutine that
// holds no lock.
type Threads interface {
	// Bind makes the thread run only on CPUs of a set, a bit each, 0 for all,
	// until it sleeps. When it returns it runs on one of them.
	Bind(cpus uint64)
	// Yield lets other threads run that want this CPU.
	Yield()
}

// Handlers serve NEED_RESCHED. They get no register frame, because giving the
// CPU away needs none.
func Handlers[T any](s *Scheduler) entry.Handlers[T] {
	return entry.Handlers[T]{Flag: entry.NeedResched, BeforeUser: func(T) {
		if s.wanted() {
			runtime.Gosched()
		}
	}}
}

// Yield lets other tasks run that want this CPU, and returns when it is the
// caller's turn again (sched_yield(2)). While every task that is awake has a
// CPU there is nobody to yield to, and asking the Go scheduler would cost 800
// instructions. It may sleep.
func (s *Scheduler) Yield() {
	if s.wanted() {
		runtime.Gosched()
	}
}

// wanted reports whether more tasks are awake than there are CPUs.
func (s *Scheduler) wanted() bool { return s.Load.Awake() > s.CPUs }

// YieldConfined is Yield for a task that only some CPUs may run
// (sched_setaffinity(2)): others that want the same CPU may have a processor
// of the Go scheduler, and wait in their threads. It may sleep.
func (s *Scheduler) YieldConfined() {
	s.Yield()
	s.Threads.Yield()
}
