// Package sched is the scheduler of tasks: which task runs on which CPU, and for how long.
//
// Two schedulers share the work. A task's goroutine is a coroutine: to switch, it swaps its
// place with that of the next task (exchange). So the Go scheduler sees one goroutine for each
// CPU, however many tasks are runnable. It decides when that goroutine runs beside the kernel's
// own goroutines and the garbage collector. This package decides which task it is.
//
// A task leaves its CPU in a sleep (Entity.Park) and in the duty NEED_RESCHED, which the
// user loop serves before user mode (Handlers), and nowhere else. As in Linux with
// PREEMPT_NONE a system call is not preempted by another task. So a task that leaves its CPU
// must hold no lock on which another task blocks its goroutine: that would block the CPU, and
// the holder could not run there.
//
// All queues have one lock. CPUs are few, and one order of virtual times makes the tasks of
// all CPUs fair to each other.
package sched
