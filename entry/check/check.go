// Package check is the proof that the way back to user mode is right: it runs
// package entry's own code, with a model of a task in place of the kernel's,
// for every set of duties, every way into the kernel, one duty raised by
// somebody else at every moment when interrupts are on, and every outcome that
// a handler may have, and holds each run against named properties.
//
// # What is real and what is a model
//
// Table, Syscall, ExitToUser and LastTest are package entry's, compiled from
// the same source as the kernel's, and the register frame is the kernel's. A
// model are: the task (Task), the handlers (they note that they ran), the user
// loop of package syscall (Task.run) and the end of EnterUser, which is assembly
// in the kernel: two compares, else LastTest (Task.enterUser). The last
// two are a few lines each and state the same conditions.
//
// # The moments at which somebody else may raise a duty
//
// Between two of its own reads of a duty's bit the code cannot tell when the
// bit was changed. So one moment between any two such reads is enough, and
// these are they: inside each handler, inside the call, between the loop's look
// at the word and another pass, and between the loop and EnterUser's test. (A moment before or after a
// handler is not another one: no read lies between it and the inside.) After
// that test interrupts are off; what is raised then arrives as an interrupt in
// user mode, which is a way into the kernel of its own.
//
// # What it does not say
//
// Two tasks do not share a work word, so one model task is enough for the
// word; but the state behind a duty, the signal queue for instance, is the
// business of that duty's own tests. At most two duties are raised from outside
// in one run. Memory order is the Go memory model's: the word is only touched
// by atomic operations.
package check

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// Flow is the code under test. The kernel's is *entry.Table[*Task].
type Flow interface {
	Syscall(t *Task, f *amd64.Frame, call func(*Task, *amd64.Frame), done func(*Task) bool) (served entry.Flag)
	SyscallExit(t *Task, f *amd64.Frame, done func(*Task) bool) (served entry.Flag)
	ExitToUser(t *Task, f *amd64.Frame, done func(*Task) bool) (served, stuck entry.Flag)
	LastTest(f *amd64.Frame) amd64.Exit
}

// System makes what is under test for one model task: the kernel's, or a
// mutant of it.
type System struct {
	Flow func(t *Task) Flow
	// EnterUser is the end of the trampoline; nil is the kernel's.
	EnterUser func(t *Task) bool
}

// Kernel is the system that the kernel is built from.
func Kernel() System {
	return System{Flow: func(t *Task) Flow { return NewTable(t, entry.Duties()) }}
}

// NewTable joins duties with handlers that serve the model task. It panics if
// package entry refuses the duties.
func NewTable(t *Task, duties []entry.Duty) *entry.Table[*Task] {
	table, err := entry.NewTable(duties, HandlersOf(t, duties)...)
	if err != nil {
		panic(err)
	}
	return table
}

// contract is what is expected of the duties, written a second time and
// independently of package entry's rows: at entry and in the loop the order
// in which duties are served, at exit the reverse of entry's with the
// single-step trap before the split of times.
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
