// Package check checks the return to user mode exhaustively. It runs the code of
// package entry with a model of a task: for every set of duties, every kind of
// kernel entry, a duty that another CPU raises at every moment with interrupts
// on, every outcome of a handler, and a panic in every handler. It checks each
// run against named properties.
//
// # Real code and models
//
// The user loop, the table and its functions are those of package entry, compiled
// from the same source as in the kernel. The frame is the kernel's. The task
// (Task), the handlers and the system call are models, which record that they
// ran. EnterUser is assembly in the kernel and therefore a model here: it tests
// two words and calls LastTest (Task.enterUser has the same conditions).
//
// # Moments
//
// A moment is a point of a run at which another CPU may change the thread flags
// word. If the bit of a duty changes between two reads of it, the code cannot
// observe when it changed. So one moment between two reads is enough: in each
// handler, in the call, and between the loop and EnterUser's test. No moment is
// needed between two passes of the loop, because a pass only reads the bits of
// its rows. Interrupts are off after EnterUser's test. A raise after it causes an
// interrupt of user mode, which is a kind of kernel entry of its own.
//
// # Limits
//
// There is one model task, because tasks do not share a thread flags word. The
// state behind a duty, such as the signal queue, is not modelled. The tests of
// the duty check it. At most two duties are raised by others in one run. The
// memory order is that of the Go memory model, because the word is only accessed
// by atomic operations.
package check

import "slowpath/entry"

// contract is the specification of the duties, written independently of the rows
// in package entry: the order in which they are served at the entry, at the exit,
// in the loop and in the last step, and the sets of duties that are paired,
// that need the frame, and that only observe calls.
var contract = struct {
	entry, exit, loop, last  []entry.Flag
	paired, frame, observing entry.Flag
}{
	entry: []entry.Flag{
		entry.NoHZ, entry.RecordExits, entry.UserDispatch, entry.SyscallEmu, entry.SyscallTrace, entry.Seccomp, entry.SyscallTracepoint, entry.SyscallAudit,
	},
	exit: []entry.Flag{
		entry.SyscallAudit, entry.SyscallTracepoint, entry.SyscallTrace, entry.SingleStep, entry.NoHZ,
	},
	loop: []entry.Flag{
		entry.NeedResched, entry.MCENotify, entry.Uprobe, entry.SigPending, entry.NotifyResume, entry.RestartableSequence,
	},
	last:      []entry.Flag{entry.UserReturnNotify},
	paired:    entry.NoHZ | entry.SyscallTracepoint | entry.SyscallAudit,
	frame:     entry.Uprobe | entry.SigPending | entry.RestartableSequence,
	observing: entry.SyscallTracepoint | entry.SyscallAudit,
}

// stage is one list of the contract, as a mask and as positions.
type stage struct {
	mask entry.Flag
	rank [32]int8 // position in the list, by bit number
}

var (
	entryStage = newStage(contract.entry)
	exitStage  = newStage(contract.exit)
	loopStage  = newStage(contract.loop)
	lastStage  = newStage(contract.last)

	levels  = entryStage.mask | exitStage.mask
	claimed = loopStage.mask | lastStage.mask
	// Flags is the set of all duties.
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
