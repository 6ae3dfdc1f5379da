package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/entry"
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
func (t *Task) interruptedError(f *amd64.Frame) unix.Errno {
	result := t.CallResult()
	if int32(f.OrigRAX) == notInSyscall || -result > abi.MaxErrno {
		return 0
	}
	return unix.Errno(-result)
}

// CallResult returns the result of the system call that the task has executed. It is RAX,
// but an error has all 64 bits although the call is one of the ABI I386, whose tracer may
// have written 32 of them (Linux: syscall_get_error). The caller is the task's own goroutine,
// or the task is stopped.
func (t *Task) CallResult() uint64 {
	result := t.Frame.RAX
	if !t.registersPoked32 && t.CallABI() != entry.I386 {
		return result
	}
	if wide := uint64(int64(int32(result))); -wide-1 < abi.MaxErrno {
		return wide
	}
	return result
}

// PokeCall32 sets the system call number of a task as a tracer of 32-bit programs does. The
// result in EAX is one of 32 bits until the task has decided about a restart, although the
// task may not be in a call of the ABI I386: a debugger restores the registers of a call
// that a function of its own has interrupted (Linux: putreg32, TS_I386_REGS_POKED). The task
// is stopped.
func (t *Task) PokeCall32(number uint32) {
	t.Frame.OrigRAX = uint64(number)
	if int32(number) != notInSyscall {
		t.registersPoked32 = true
	}
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
	code := t.interruptedError(f)
	t.registersPoked32 = false
	switch code {
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
	code := t.interruptedError(f)
	t.registersPoked32 = false
	switch code {
	case abi.ERESTARTNOHAND, abi.ERESTARTSYS, abi.ERESTARTNOINTR:
		executeAgain(f, f.OrigRAX)
	case abi.ERESTART_RESTARTBLOCK:
		executeAgain(f, restartCalls[t.Restart.abi])
	}
}

// restartCalls are the numbers of restart_syscall(2) by ABI.
var restartCalls = [...]uint64{entry.X86_64: unix.SYS_RESTART_SYSCALL, entry.I386: 0}

// RestartBlock is the rest of an interrupted sleep, for restart_syscall(2). Only
// the task's own goroutine uses it.
type RestartBlock struct {
	resume func(t *Task) (uint64, error)
	// abi is that of the call: the program continues it by a call of the same ABI.
	abi entry.ABI
}

// Set stores the rest of a call of an ABI that returns ERESTART_RESTARTBLOCK.
func (r *RestartBlock) Set(abi entry.ABI, resume func(t *Task) (uint64, error)) {
	r.abi, r.resume = abi, resume
}

// Clear removes it.
func (r *RestartBlock) Clear() { r.resume = nil }

// Resume is restart_syscall(2): EINTR if nothing was stored.
func (r *RestartBlock) Resume(t *Task) (uint64, error) {
	if r.resume == nil {
		return 0, unix.EINTR
	}
	return r.resume(t)
}
