package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/signal"
)

// restartSubsystem is the restart block.
var restartSubsystem = Subsystem{
	Name: "restart block",
	Exec: func(t *Task, _ *Execution) { t.Restart.Clear() },
}

// syscallSize is the length of the SYSCALL instruction, in bytes.
const syscallSize = 2

// notInSyscall is amd64.NotInSyscall as a call number, which has 32 bits: a tracer may
// have written any 64-bit value that ends with them.
const notInSyscall = -1

// interruptedError returns the restart code that an interrupted system call has
// left in RAX, or 0.
func interruptedError(f *amd64.Frame) unix.Errno {
	if int32(f.OrigRAX) == notInSyscall || -f.RAX > abi.MaxErrno {
		return 0
	}
	return unix.Errno(-f.RAX)
}

// executeAgain moves RIP back to the SYSCALL instruction, with the given call
// number.
func executeAgain(f *amd64.Frame, number uint64) {
	f.RAX = number
	f.RIP -= syscallSize
}

// failInterrupted makes the interrupted call return EINTR.
func failInterrupted(f *amd64.Frame) {
	eintr := int64(unix.EINTR)
	f.RAX = uint64(-eintr)
}

// restartForHandler restarts an interrupted system call, or makes it fail, before
// a handler runs (signal(7), "Interruption of system calls").
func (t *Task) restartForHandler(f *amd64.Frame, flags uint64) {
	switch interruptedError(f) {
	case abi.ERESTARTNOHAND, abi.ERESTART_RESTARTBLOCK:
		failInterrupted(f)
	case abi.ERESTARTSYS:
		if flags&signal.SA_RESTART == 0 {
			failInterrupted(f)
			return
		}
		executeAgain(f, f.OrigRAX)
	case abi.ERESTARTNOINTR:
		executeAgain(f, f.OrigRAX)
	}
}

// restartWithoutHandler restarts an interrupted call after signals that had no
// handler.
func (t *Task) restartWithoutHandler(f *amd64.Frame) {
	switch interruptedError(f) {
	case abi.ERESTARTNOHAND, abi.ERESTARTSYS, abi.ERESTARTNOINTR:
		executeAgain(f, f.OrigRAX)
	case abi.ERESTART_RESTARTBLOCK:
		executeAgain(f, unix.SYS_RESTART_SYSCALL)
	}
}

// RestartBlock is the rest of an interrupted sleep, for restart_syscall(2). Only
// the task's own goroutine uses it.
type RestartBlock struct {
	resume func(t *Task) (uint64, error)
}

// Set stores the rest of a call that returns ERESTART_RESTARTBLOCK.
func (r *RestartBlock) Set(resume func(t *Task) (uint64, error)) { r.resume = resume }

// Clear removes it.
func (r *RestartBlock) Clear() { r.resume = nil }

// Resume is restart_syscall(2): EINTR if nothing was stored.
func (r *RestartBlock) Resume(t *Task) (uint64, error) {
	if r.resume == nil {
		return 0, unix.EINTR
	}
	return r.resume(t)
}
