// Package check is the proof that the way back to user mode is right. It runs
// package entry's own code with a model of a task in place of the kernel's: for
// every set of duties, every way into the kernel, a duty raised by somebody else
// at every moment at which interrupts are on, every outcome that a handler may
// have, and a panic in every handler. It holds each run against named
// properties.
//
// # What is real and what is a model
//
// The user loop, the table and its functions are package entry's, compiled from
// the same source as the kernel's. The register frame is the kernel's. A model
// are: the task (Task), the handlers and the system call, which record that they
// ran, and EnterUser, which is assembly in the kernel: it tests two words and
// calls LastTest (Task.enterUser states the same conditions).
//
// # The moments at which somebody else may raise a duty
//
// Between two of its own reads of a duty's bit the code cannot tell when the
// bit changed. So one moment between any two reads suffices: inside each
// handler, inside the call, and between the loop and EnterUser's test. Passes of
// the loop need no moment between them, because the only reads there are those
// of the rows. After EnterUser's test interrupts are off. What is raised then
// arrives as an interrupt of user mode, which is a way into the kernel of its
// own.
//
// # What it does not say
//
// Two tasks do not share a flags word, so one model task is enough for the word.
// The state behind a duty, for instance the signal queue, is checked by that
// duty's own tests. At most two duties are raised from outside in one run.
// Memory order is the Go memory model's: the word is only accessed by atomic
// operations.
package check

import "slowpath/entry"

// contract is what is expected of the duties, written independently of package
// entry's rows: the order in which duties are served at the entry, at the exit,
// in the loop and in the last step, and which are paired or get the frame.
var contract = struct {
	entry, exit, loop, last []entry.Flag
	paired, frame           entry.Flag
}{
	entry: []entry.Flag{
		entry.NoHZ, entry.RecordExits, entry.SyscallEmu, entry.SyscallTrace, entry.Seccomp, entry.SyscallTracepoint, entry.SyscallAudit,
	},
	exit: []entry.Flag{
		entry.SyscallAudit, entry.SyscallTracepoint, entry.SyscallTrace, entry.SingleStep, entry.NoHZ,
	},
	loop: []entry.Flag{
		entry.NeedResched, entry.MCENotify, entry.Uprobe, entry.SigPending, entry.NotifyResume, entry.RestartableSequence,
	},
	last:   []entry.Flag{entry.UserReturnNotify},
	paired: entry.NoHZ | entry.SyscallTracepoint | entry.SyscallAudit,
	frame:  entry.Uprobe | entry.SigPending | entry.RestartableSequence,
}

// stage is one list of the contract as a mask and as ranks.
type stage struct {
	mask entry.Flag
	rank [32]int8 // by bit number
}

var (
	entryStage = newStage(contract.entry)
	exitStage  = newStage(contract.exit)
	loopStage  = newStage(contract.loop)
	lastStage  = newStage(contract.last)

	levels  = entryStage.mask | exitStage.mask
	claimed = loopStage.mask | lastStage.mask
	// Flags are the flags of all duties.
	Flags = levels | claimed
)

func newStage(order []entry.Flag) *stage {
	s := new(stage)
	for i, f := range order {
		s.mask |= f
		s.rank[bit(f)] = int8(i)
	}
	return s
}
