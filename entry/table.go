package entry

import (
	"errors"
	"fmt"
	"sync/atomic"

	"slowpath/arch/amd64"
)

// Verdict is what an entry duty decides about the call.
type Verdict uint8

const (
	// Proceed lets the next duty look, and then the call run.
	Proceed Verdict = iota
	// Skip keeps the call from running, and later duties from looking. RAX
	// holds the result.
	Skip
)

// Handlers serve one duty. T is the task: the kernel's, or the model of the
// exhaustive check. The handler of a stage is set exactly if the duty names the
// stage. Handlers run on the task's goroutine with interrupts on, except Last.
type Handlers[T any] struct {
	Flag Flag
	// Entry and Exit get the call that the task is in. The register frame is
	// complete. What Entry changes in the frame's number or arguments is
	// loaded into the call when it returns.
	Entry func(t T, c *Call) Verdict
	Exit  func(t T, c *Call)
	// BeforeUser serves the duty in the loop before user mode; if Duty.Frame
	// is set, BeforeUserFrame does, with the complete register frame.
	BeforeUser      func(t T)
	BeforeUserFrame func(t T, f *amd64.Frame)
	// Last runs with interrupts off. It must be nosplit, and must not sleep.
	Last func(f *amd64.Frame)
}

// row is a duty with its handlers.
type row[T any] struct {
	Duty
	Handlers[T]
}

// Table is all duties, in order, with their handlers, and the masks that
// follow from them. It is immutable and safe for concurrent use.
type Table[T Task] struct {
	masks
	rows  []row[T]
	loop  []*row[T]   // those that are served before user mode
	byBit [32]*row[T] // the same, by the number of their bit
}

// masks are the duties of each stage, and those that are paired.
type masks struct{ entry, exit, before, last, paired Flag }

// NewTable joins duties and handlers and computes the masks. It fails if a
// duty has no bit or several, or no stage; if two share a bit; if a handler
// lacks or serves no stage; if a duty without handlers exists, or handlers
// without a duty. So no mask can have a bit that nobody serves, and no handler
// waits for a bit that is in no mask.
func NewTable[T Task](duties []Duty, handlers ...Handlers[T]) (*Table[T], error) {
	byFlag := map[Flag]Handlers[T]{}
	for _, h := range handlers {
		if _, twice := byFlag[h.Flag]; twice {
			return nil, fmt.Errorf("entry: duty %v has two sets of handlers", h.Flag)
		}
		byFlag[h.Flag] = h
	}
	table := new(Table[T])
	for _, d := range duties {
		h := byFlag[d.Flag]
		delete(byFlag, d.Flag)
		if err := table.add(d, h); err != nil {
			return nil, fmt.Errorf("entry: duty %v: %w", d.Flag, err)
		}
	}
	for flag := range byFlag {
		return nil, fmt.Errorf("entry: handlers for %v, which is no duty", flag)
	}
	for i := range table.rows {
		if r := &table.rows[i]; r.When&BeforeUser != 0 {
			table.loop = append(table.loop, r)
			table.byBit[r.Duty.Flag.bit()] = r
		}
	}
	return table, nil
}

// add checks a row and ORs its bit into the masks.
func (t *Table[T]) add(d Duty, h Handlers[T]) error {
	if err := checkDuty(d, t.all()); err != nil {
		return err
	}
	if err := checkHandlers(d, h); err != nil {
		return err
	}
	t.rows = append(t.rows, row[T]{d, h})
	if d.Paired {
		t.paired |= d.Flag
	}
	for _, m := range []struct {
		stage Stage
		mask  *Flag
	}{{AtSyscallEntry, &t.entry}, {AtSyscallExit, &t.exit}, {BeforeUser, &t.before}, {LastStep, &t.last}} {
		if d.When&m.stage != 0 {
			*m.mask |= d.Flag
		}
	}
	return nil
}

func checkDuty(d Duty, seen Flag) error {
	const loops = BeforeUser | LastStep
	switch {
	case d.Flag == 0 || d.Flag&(d.Flag-1) != 0:
		return errors.New("a duty must have one bit")
	case d.Flag&seen != 0:
		return errors.New("two duties have the same bit")
	case d.When == 0:
		return errors.New("nothing serves it")
	case d.Level && d.When&loops != 0:
		return errors.New("a level would keep the loop before user mode from ending")
	case !d.Level && d.When&^loops != 0:
		return errors.New("what is served at entry or exit must be a level: calls do not claim")
	case d.Paired && d.When&(AtSyscallEntry|AtSyscallExit) != AtSyscallEntry|AtSyscallExit:
		return errors.New("a pair needs entry and exit")
	case d.MaySleep && d.When&LastStep != 0:
		return errors.New("nothing may sleep with interrupts off")
	}
	return nil
}

func checkHandlers[T any](d Duty, h Handlers[T]) error {
	want := []struct {
		name       string
		there, due bool
	}{
		{"Entry", h.Entry != nil, d.When&AtSyscallEntry != 0},
		{"Exit", h.Exit != nil, d.When&AtSyscallExit != 0},
		{"BeforeUser", h.BeforeUser != nil, d.When&BeforeUser != 0 && !d.Frame},
		{"BeforeUserFrame", h.BeforeUserFrame != nil, d.When&BeforeUser != 0 && d.Frame},
		{"Last", h.Last != nil, d.When&LastStep != 0},
	}
	for _, w := range want {
		if w.there != w.due {
			return fmt.Errorf("handler %s: there is %v, should be %v", w.name, w.there, w.due)
		}
	}
	return nil
}

func (t *Table[T]) all() Flag { return t.entry | t.exit | t.before | t.last }

// EntryMask are the duties of a system call's entry.
func (t *Table[T]) EntryMask() Flag { return t.entry }

// SyscallExitMask are the duties of a system call's exit.
func (t *Table[T]) SyscallExitMask() Flag { return t.exit }

// UserMask are the duties that keep a task from user mode.
func (t *Table[T]) UserMask() Flag { return t.before }

// LastMask are the duties of the last step.
func (t *Table[T]) LastMask() Flag { return t.last }

// Duties returns the rows without their handlers, in order.
func (t *Table[T]) Duties() []Duty {
	duties := make([]Duty, len(t.rows))
	for i := range t.rows {
		duties[i] = t.rows[i].Duty
	}
	return duties
}

// owed reports whether the row's duty is set. The word is read anew for each
// row: nothing that was read before a handler slept is used after it.
func (r *row[T]) owed(work *atomic.Uint32) bool { return Pending(work)&r.Duty.Flag != 0 }
