package entry

import "slowpath/arch/amd64"

// Thread is the part of a task that this package works on; a task embeds it.
// Its fields belong to the task's own goroutine, except Frame.ThreadFlags, which
// anybody may change.
type Thread struct {
	// Frame holds the registers of user mode, and the thread flags.
	Frame *amd64.Frame
	// Call is the system call that the task is in, if a duty sees it.
	Call Call
	// Visit is what the task does in the kernel now.
	Visit Visit

	exiting bool // see SetExiting
	entered Flag // duties that saw the entry of Call and not its exit yet
}

// SetExiting makes the task leave: it does not enter user mode again, and the
// user loop ends. The task's own goroutine calls it.
func (s *Thread) SetExiting() { s.exiting = true }

// Exiting reports whether the task leaves. The task's own goroutine calls it.
func (s *Thread) Exiting() bool { return s.exiting }

func (s *Thread) thread() *Thread { return s }

// Task is what the user loop needs of a task: the Thread that it embeds, and
// these methods. The loop calls them on the task's own goroutine, with
// interrupts on; they may sleep.
type Task interface {
	// TakeCPU loads the task's state on the CPU that runs the caller, or on
	// another one that it may run on. The caller tests again whether it is
	// loaded.
	TakeCPU()
	// AfterInterrupt is called when an interrupt ended user mode. The interrupt
	// itself has been served.
	AfterInterrupt()
	// Stuck is called when duties come back however often they are served.
	// The task must leave.
	Stuck(duties Flag)

	thread() *Thread
}

// clock returns the TSC if the steps of the task's visit are recorded, else 0.
func (s *Thread) clock() uint64 {
	if Pending(&s.Frame.ThreadFlags)&RecordExits == 0 {
		return 0
	}
	return amd64.TSC()
}

// step adds a step to the task's visit: a duty, or the call itself if flag is 0.
// begin is the result of clock when the step began; 0 records nothing.
func (s *Thread) step(flag Flag, begin uint64) {
	if begin != 0 {
		s.Visit.Step(flag, begin, amd64.TSC())
	}
}
