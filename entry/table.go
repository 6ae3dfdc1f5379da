package entry

import (
	"errors"
	"fmt"
	"sync/atomic"

	"slowpath/arch/amd64"
)

// Verdict is the decision of an entry handler about the system call.
type Verdict uint8

const (
	// Proceed continues with the next duty, and then the call.
	Proceed Verdict = iota
	// Skip skips the later duties of the entry and the call. The result is in
	// RAX.
	Skip
	// RollBack skips also the duties of the exit that are not paired, because the
	// call has the ABI of another system. The handler has restored the registers.
	RollBack
)

// Handlers has the handlers of one duty. T is the task type of the kernel, or
// the model of the exhaustive check. There must be a handler for exactly the
// stages in Duty.When. Handlers run on the task's goroutine with interrupts on,
// except Last.
type Handlers[T any] struct {
	Flag Flag
	// Entry serves the duty at the entry of the call. The frame is complete. If
	// Entry changes the number or the arguments in the frame, they are loaded
	// into the call after it returns.
	Entry func(t T, c *Call) Verdict
	// Watch is Entry for a duty that only observes calls, on the fast path: the number of
	// the call is below Calls, the frame need not be complete, and the call is not loaded (see
	// Thread.LoadCall). It returns false if nothing is to do at the exit of this call: then
	// Exit is not called. If it panics, Exit is called.
	Watch func(t T, f *amd64.Frame) (exit bool)
	// Exit serves the duty at the exit of the call. The frame is complete, unless the duty
	// only observes calls.
	Exit func(t T, c *Call)
	// BeforeUser serves the duty in the loop before user mode. If Duty.Frame is
	// set, BeforeUserFrame does so instead, with the complete frame.
	BeforeUser      func(t T)
	BeforeUserFrame func(t T, f *amd64.Frame)
	// Last runs with interrupts off. It must be nosplit, and must not sleep.
	Last func(f *amd64.Frame)
}

// row is a duty with its handlers.
type row[T any] struct {
	Duty
	Handlers[T]
	number uint8 // of the duty's bit
	// The duties that only observe calls, after this one and before it.
	next, previous *row[T]
}

// Table has all duties in order, with their handlers, and the masks that are
// computed from them. It is immutable and safe for concurrent use.
type Table[T Task] struct {
	masks
	rows    []row[T]
	entries []*row[T] // the rows that are served at the entry, top to bottom
	exits   []*row[T] // the rows that are served at the exit, bottom to top

	firstObserver, lastObserver *row[T]     // of the duties that only observe calls, top to bottom
	loop                        []*row[T]   // the rows that are served before user mode
	byBit                       [32]*row[T] // the rows of loop, by bit number
}

// masks has the duties of each stage, the paired duties, and those that only observe calls.
type masks struct{ entry, exit, before, last, paired, observing Flag }

// unpairedExit returns the duties of the exit that are served although they did not see the
// entry of the call.
func (m *masks) unpairedExit() Flag { return m.exit &^ m.paired }

// NewTable joins duties and handlers and computes the masks. It fails if a duty
// does not have exactly one bit, if two duties have the same bit, if the
// properties of a duty contradict each other, if a handler is missing, or if
// there is a handler without a duty or a stage. So each bit of a mask has a
// handler, and the bit of each handler is in a mask.
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
		return nil, fmt.Errorf("entry: there are handlers for %v, but no such duty; add it to Duties", flag)
	}
	table.arrange()
	return table, nil
}

// arrange makes the lists of the rows of each stage.
func (t *Table[T]) arrange() {
	for i := range t.rows {
		r := &t.rows[i]
		if r.When&AtSyscallEntry != 0 {
			t.entries = append(t.entries, r)
		}
		if r.When&AtSyscallExit != 0 {
			t.exits = append([]*row[T]{r}, t.exits...)
		}
		if r.Observes {
			t.addObserver(r)
		}
		if r.When&BeforeUser != 0 {
			t.loop = append(t.loop, r)
			t.byBit[r.Duty.Flag.bit()] = r
		}
	}
}

// addObserver adds a row to those of the duties that only observe calls.
func (t *Table[T]) addObserver(r *row[T]) {
	r.previous = t.lastObserver
	if r.previous == nil {
		t.firstObserver = r
	} else {
		r.previous.next = r
	}
	t.lastObserver = r
}

// add checks a duty, appends its row, and adds its bit to the masks.
func (t *Table[T]) add(d Duty, h Handlers[T]) error {
	if err := checkDuty(d, t.all()); err != nil {
		return err
	}
	if t.observing != 0 && !d.Observes && d.When&(AtSyscallEntry|AtSyscallExit) != 0 {
		return errors.New("a duty that observes calls must come after the others of the entry and exit, because the fast path serves it")
	}
	if err := checkHandlers(d, h); err != nil {
		return err
	}
	t.rows = append(t.rows, row[T]{Duty: d, Handlers: h, number: uint8(d.Flag.bit())})
	if d.Paired {
		t.paired |= d.Flag
	}
	if d.Observes {
		t.observing |= d.Flag
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
		return errors.New("a duty must have at least one stage")
	case d.Level && d.When&loops != 0:
		return errors.New("a level must not be served before user mode, because the loop would not end")
	case !d.Level && d.When&^loops != 0:
		return errors.New("a duty of the entry or exit must be a level, because these stages do not claim")
	case d.Paired && d.When&(AtSyscallEntry|AtSyscallExit) != AtSyscallEntry|AtSyscallExit:
		return errors.New("a paired duty must have the stages entry and exit")
	case d.Observes && !d.Paired:
		return errors.New("a duty that observes calls must be paired")
	case d.MaySleep && d.When&LastStep != 0:
		return errors.New("a duty of the last step must not sleep, because interrupts are off")
	}
	return nil
}

func checkHandlers[T any](d Duty, h Handlers[T]) error {
	want := []struct {
		name       string
		there, due bool
	}{
		{"Entry", h.Entry != nil, d.When&AtSyscallEntry != 0},
		{"Watch", h.Watch != nil, d.Observes},
		{"Exit", h.Exit != nil, d.When&AtSyscallExit != 0},
		{"BeforeUser", h.BeforeUser != nil, d.When&BeforeUser != 0 && !d.Frame},
		{"BeforeUserFrame", h.BeforeUserFrame != nil, d.When&BeforeUser != 0 && d.Frame},
		{"Last", h.Last != nil, d.When&LastStep != 0},
	}
	for _, w := range want {
		if w.there != w.due {
			return fmt.Errorf("the handler %s exists: %v, want %v", w.name, w.there, w.due)
		}
	}
	return nil
}

func (t *Table[T]) all() Flag { return t.entry | t.exit | t.before | t.last }

// EntryMask returns the duties of a system call's entry.
func (t *Table[T]) EntryMask() Flag { return t.entry }

// SyscallExitMask returns the duties of a system call's exit.
func (t *Table[T]) SyscallExitMask() Flag { return t.exit }

// UserMask returns the duties of the loop before user mode.
func (t *Table[T]) UserMask() Flag { return t.before }

// LastMask returns the duties of the last step.
func (t *Table[T]) LastMask() Flag { return t.last }

// Duties returns the rows without their handlers, in order.
func (t *Table[T]) Duties() []Duty {
	duties := make([]Duty, len(t.rows))
	for i := range t.rows {
		duties[i] = t.rows[i].Duty
	}
	return duties
}

// handlerOf returns the handler of a duty before user mode that needs the frame.
func (t *Table[T]) handlerOf(f Flag) func(T, *amd64.Frame) {
	if r := t.byBit[f.bit()]; r != nil {
		return r.BeforeUserFrame
	}
	return nil
}

// owed reports whether the row's duty is set. It reads the thread flags word each
// time, because a handler may sleep, and the word may change in the meantime.
func (r *row[T]) owed(work *atomic.Uint32) bool { return Pending(work)&r.Duty.Flag != 0 }
