package entry

import (
	"sync/atomic"

	"slowpath/arch/amd64"
)

// Thread is the part of a task that this package uses. A task embeds it. Only the
// task's own goroutine may access it, except Frame.ThreadFlags, which is atomic.
type Thread struct {
	// Frame has the registers of user mode and the thread flags word.
	Frame *amd64.Frame
	// Call is the task's current or last system call on the slow path.
	Call Call
	// Visit is the task's current visit to the kernel.
	Visit Visit

	admission atomic.Pointer[Admission] // see SetAdmission

	exiting bool // see SetExiting
	entered Flag // duties that saw the entry of Call but not its exit yet
}

// Reset makes a thread that has ended usable for another run of the loop.
func (s *Thread) Reset() { s.exiting, s.entered = false, 0 }

// SetExiting ends the user loop. The task does not enter user mode again. Only
// the task's own goroutine may call it.
func (s *Thread) SetExiting() { s.exiting = true }

// Exiting reports whether SetExiting was called. Only the task's own goroutine
// may call it.
func (s *Thread) Exiting() bool { return s.exiting }

func (s *Thread) thread() *Thread { return s }

// Task is the interface of a task to the user loop. A type implements it by
// embedding Thread and having these methods. The loop calls them on the task's
// own goroutine, with interrupts on. They may sleep.
type Task interface {
	// TakeCPU loads the task's state on the current CPU, or on another one in
	// its affinity mask. The caller then tests again whether the state is loaded.
	TakeCPU()
	// AfterInterrupt is called after an interrupt of user mode. The handler of
	// the interrupt has already run.
	AfterInterrupt()
	// Stuck is called if duties are still set after the maximum number of
	// passes. It must make the task exit.
	Stuck(duties Flag)

	thread() *Thread
}

// clock returns the TSC if RecordExits is set, else 0.
func (s *Thread) clock() uint64 {
	if Pending(&s.Frame.ThreadFlags)&RecordExits == 0 {
		return 0
	}
	return amd64.TSC()
}

// step adds a step to the task's visit: a duty, or the call itself if flag is 0.
// begin is the result of clock at the beginning of the step. If it is 0, step
// does nothing.
func (s *Thread) step(flag Flag, begin uint64) {
	if begin != 0 {
		s.Visit.Step(flag, begin, amd64.TSC())
	}
}
