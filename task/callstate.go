package task

import "slowpath/arch/amd64"

// CallState describes what a task that does not run does in the kernel.
type CallState struct {
	// Number is the number of the system call that the task is in, as its low 32 bits
	// with their sign, or -1.
	Number int64
	// Args are the arguments of the call.
	Args amd64.Args
	// SP and IP are the stack pointer and the instruction pointer of user mode.
	SP, IP uint64
}

// CallState returns what the task does. It reports false if the task runs, because
// then its registers change. own says that the caller is the task itself, which is in a
// system call. Any goroutine may call it.
//
// Another task is read without a lock, as in Linux (task_current_syscall): it sleeps
// before and after the read, and two reads have the same result.
func (t *Task) CallState(own bool) (CallState, bool) {
	if own {
		return t.readCallState(), true
	}
	if exitState(t.exitState.Load()) != alive {
		return CallState{Number: -1}, true
	}
	const tries = 3
	for range tries {
		if SleepMode(t.mode.Load()) == Awake {
			return CallState{}, false
		}
		first := t.readCallState()
		if second := t.readCallState(); first == second && SleepMode(t.mode.Load()) != Awake {
			return first, true
		}
	}
	return CallState{}, false
}

// readCallState reads the frame. The task may wake up at any time and change it, which
// the caller detects.
//
//go:norace
func (t *Task) readCallState() CallState {
	f := t.Frame
	s := CallState{
		Number: int64(int32(f.OrigRAX)),
		Args:   amd64.Args{f.RDI, f.RSI, f.RDX, f.R10, f.R8, f.R9},
		SP:     f.RSP, IP: f.RIP,
	}
	if f.InCall32() {
		s.Args = amd64.Args{f.RBX, f.RCX, f.RDX, f.RSI, f.RDI, f.RBP}
	}
	return s
}
