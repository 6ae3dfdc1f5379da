package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/task"
)

// stepKind is where the single step of a resumed tracee ends.
type stepKind uint8

const (
	// stepInstruction: after one instruction (PTRACE_SINGLESTEP).
	stepInstruction stepKind = iota
	// stepBlock: after a branch was taken (PTRACE_SINGLEBLOCK).
	stepBlock
)

// enableStep makes a stopped tracee trap after its next step. EIO: stepping is not
// supported.
func enableStep(*task.Task, stepKind) error { return unix.EIO }

// disableStep undoes enableStep. The tracee is stopped.
func disableStep(*task.Task) {}
