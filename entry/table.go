package entry

import (
	"errors"
	"fmt"
	"sync/atomic"

	"slowpath/arch/amd64"
)

// Stage is a point on the way through the kernel at which duties are consumed.
// A row names one or more.
type Stage uint8

// The stages, in the order in which a system call passes them.
const (
	// AtSyscallEntry: before the call, which the handler may change or skip.
	AtSyscallEntry Stage = 1 << iota
	// AtSyscallExit: after the call, once.
	AtSyscallExit
	// BeforeUser: in the loop before every return to user mode.
	BeforeUser
)

// Row is one duty. T is the task: the kernel's, or the model that the
// exhaustive check runs.
//
// Exactly one of Handle and HandleFrame is set. That is Peter Zijlstra's wish
// of January 2014 for two slow-path calls, as a type: a duty that does not
// declare that it needs the register frame cannot touch it.
type Row[T any] struct {
	// Flag is the duty's one bit.
	Flag Flag
	// When says at which stages the duty is consumed.
	When Stage
	// Level duties stay set while their cause lasts (tracing is on); others
	// are claimed, one handler run for each time they are raised.
	Level bool
	// Handle serves the duty without looking at registers.
	Handle func(t T)
	// HandleFrame serves it with the complete register frame.
	HandleFrame func(t T, f *amd64.Frame)
	// MaySleep says that the handler may give the CPU away: nothing that was
	// read of the work word before it is true after it.
	MaySleep bool
	// RaisedBy names who may set the bit: for those who read the table.
	RaisedBy string
}

// Table is all duties, in the order in which they are served, and the masks
// that follow from them. It is immutable and safe for concurrent use.
type Table[T any] struct {
	rows   []Row[T]
	entry  Flag
	exit   Flag
	before Flag
}

// NewTable checks the rows and computes the masks. It fails if a row has no
// bit or several, no stage, no handler or two, or if two rows share a bit: so
// no mask can have a bit that nobody serves.
func NewTable[T any](rows ...Row[T]) (*Table[T], error) {
	table := &Table[T]{rows: rows}
	seen := Flag(0)
	for _, r := range rows {
		if err := checkRow(r, seen); err != nil {
			return nil, err
		}
		seen |= r.Flag
		for _, m := range []struct {
			stage Stage
			mask  *Flag
		}{{AtSyscallEntry, &table.entry}, {AtSyscallExit, &table.exit}, {BeforeUser, &table.before}} {
			if r.When&m.stage != 0 {
				*m.mask |= r.Flag
			}
		}
	}
	return table, nil
}

var errTwoRows = errors.New("two rows have the same bit")

func checkRow[T any](r Row[T], seen Flag) error {
	var err error
	switch {
	case r.Flag == 0 || r.Flag&(r.Flag-1) != 0:
		err = errors.New("a row must have one bit")
	case r.Flag&seen != 0:
		err = errTwoRows
	case r.When == 0:
		err = errors.New("nothing consumes it")
	case (r.Handle == nil) == (r.HandleFrame == nil):
		err = errors.New("it must have one handler")
	case r.Level && r.When&BeforeUser != 0:
		err = errors.New("a level would keep the loop before user mode from ending")
	}
	if err != nil {
		return fmt.Errorf("entry: duty %v: %w", r.Flag, err)
	}
	return nil
}

// EntryMask are the duties of a system call's entry.
func (t *Table[T]) EntryMask() Flag { return t.entry }

// SyscallExitMask are the duties of a system call's exit.
func (t *Table[T]) SyscallExitMask() Flag { return t.exit }

// UserMask are the duties that keep a task from user mode: what EnterUser's
// last test looks for.
func (t *Table[T]) UserMask() Flag { return t.before }

// Rows returns the duties in order. The caller does not change them.
func (t *Table[T]) Rows() []Row[T] { return t.rows }

// maxRounds bounds how often the loop before user mode goes round because
// duties came anew while others were served. It is far above what any program
// can cause in good order; a task that reaches it has a handler that raises
// its own duty.
const maxRounds = 10000

// ExitToUser serves the duties of the loop before user mode until none is
// left, and returns 0; or until done reports that the task leaves its loop.
// EnterUser tests the word once more, with interrupts off.
//
// If duties come for ever, the last ones are returned: the caller names them
// and ends the task.
func (t *Table[T]) ExitToUser(task T, f *amd64.Frame, done func(T) bool) Flag {
	for range maxRounds {
		if Pending(&f.Work)&t.before == 0 {
			return 0
		}
		t.serve(task, f, BeforeUser)
		if done(task) {
			return 0
		}
	}
	return Pending(&f.Work) & t.before
}

// serve makes one pass over the rows of a stage. The word is read anew for
// each row: nothing that was read before a handler slept is used after it.
func (t *Table[T]) serve(task T, f *amd64.Frame, stage Stage) {
	for i := range t.rows {
		r := &t.rows[i]
		if r.When&stage == 0 || !take(r, &f.Work) {
			continue
		}
		if r.HandleFrame != nil {
			f.Settle()
			r.HandleFrame(task, f)
			continue
		}
		r.Handle(task)
	}
}

// take reports whether the duty is owed, and claims it unless it is a level.
func take[T any](r *Row[T], work *atomic.Uint32) bool {
	if Pending(work)&r.Flag == 0 {
		return false
	}
	return r.Level || Claim(work, r.Flag)
}

// SyscallEntry serves the duties of a system call's entry.
func (t *Table[T]) SyscallEntry(task T, f *amd64.Frame) { t.serve(task, f, AtSyscallEntry) }

// SyscallExit serves the duties of a system call's exit.
func (t *Table[T]) SyscallExit(task T, f *amd64.Frame) { t.serve(task, f, AtSyscallExit) }
