package task

import (
	"encoding/binary"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
)

// CallState describes what a task that does not run does in the kernel.
type CallState struct {
	// Number is the number of the system call that the task is in, as its low 32 bits
	// with their sign, or -1.
	Number int64
	// ABI is that of the call.
	ABI entry.ABI
	// Args are the arguments of the call.
	Args amd64.Args
	// SP and IP are the stack pointer and the instruction pointer of user mode.
	SP, IP uint64

	sixth     uint64 // the address of the sixth argument
	sixthOwed bool   // Args does not have the sixth argument yet
}

// withSixth returns the state with the sixth argument, which a 32-bit program may have on its
// stack. It is 0 if it cannot be read.
func (t *Task) withSixth(s CallState) CallState {
	if !s.sixthOwed {
		return s
	}
	space := t.AddressSpace()
	if space == nil {
		return s
	}
	defer space.DecRef()
	var word [4]byte
	if _, err := space.ReadRemote(word[:], s.sixth, mm.Forced); err == nil {
		s.Args[len(s.Args)-1] = uint64(binary.LittleEndian.Uint32(word[:]))
	}
	return s
}

// CallState returns what the task does. It reports false if the task runs, because
// then its registers change. own says that the caller is the task itself, which is in a
// system call. Any goroutine may call it.
//
// Another task is read without a lock, as in Linux (task_current_syscall): it sleeps
// before and after the read, and two reads have the same result.
func (t *Task) CallState(own bool) (CallState, bool) {
	if own {
		return t.withSixth(t.readCallState()), true
	}
	if exitState(t.exitState.Load()) != alive {
		return CallState{Number: -1}, true // its memory may be gone
	}
	const tries = 3
	for range tries {
		if SleepMode(t.mode.Load()) == Awake {
			return CallState{}, false
		}
		first := t.readCallState()
		if second := t.readCallState(); first == second && SleepMode(t.mode.Load()) != Awake {
			return t.withSixth(first), true
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
		s.ABI, s.SP = entry.I386, uint64(uint32(f.RSP))
		s.sixth, s.sixthOwed = f.PeekArgs32(&s.Args)
	}
	return s
}
