package check

import (
	"fmt"
	"math/bits"
	"strings"

	"slowpath/entry"
)

// What is what happened in one event of a run.
type What uint8

// The events.
const (
	// Arrived: the task came from user mode.
	Arrived What = iota
	// Raised and Lowered: the bit was set or cleared by whoever may.
	Raised
	Lowered
	// Began: a system call that owes duties, at its entry.
	Began
	// Entered: a handler of the entry started.
	Entered
	// Skipped: a handler of the entry decided that the call does not run.
	Skipped
	// Called: the call started; Returned: it ended.
	Called
	Returned
	// Exited: a handler of the exit started.
	Exited
	// Served and ServedFrame: a handler of the loop started, without or with
	// the register frame.
	Served
	ServedFrame
	// Entering: EnterUser was called, interrupts are on. Tested: its last test
	// begins, interrupts are off.
	Entering
	Tested
	// ServedLast: a handler of the last step started.
	ServedLast
	// BySYSRET and ByIRET: user mode was entered.
	BySYSRET
	ByIRET
	// Left: the task is about to exit.
	Left
	// Panicked: the handler or the call that started last panics.
	Panicked
	// Stuck: the code under test gave up, or the bound was passed.
	Stuck
)

var whatNames = [...]string{
	"arrived", "raised", "lowered", "call begins", "entry", "skips the call", "call", "call returns",
	"exit", "work", "work", "entering", "test", "last", "SYSRET", "IRET", "task leaves", "panic", "stuck",
}

// Event is one event, with the state at its time.
type Event struct {
	What       What
	Flag       entry.Flag // which duty, if any
	Word       entry.Flag // the work word
	Interrupts bool       // are they on?
	Settled    bool       // is the register frame complete?
	CallOver   bool       // does the frame owe no exit of a call?
}

// maxEvents is the length of a trace: twice that of the longest run that is
// right. A run that needs more is stuck.
const maxEvents = 96

// Trace is what happened in a run, in order.
type Trace struct {
	events [maxEvents]Event
	n      int
}

// Events returns the events in order.
func (t *Trace) Events() []Event { return t.events[:t.n] }

// String lists the events, without the tests that lead nowhere.
func (t *Trace) String() string {
	var parts []string
	for _, e := range t.Events() {
		if e.What == Entering || e.What == Tested {
			continue
		}
		part := whatNames[e.What]
		if e.Flag != 0 {
			part += " " + e.Flag.String()
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// IsHandler reports whether the event is the start of a handler.
func (w What) IsHandler() bool {
	const handlers = 1<<Entered | 1<<Exited | 1<<Served | 1<<ServedFrame | 1<<ServedLast
	return handlers>>w&1 != 0
}

// bit returns the number of a flag's bit.
func bit(f entry.Flag) int { return bits.TrailingZeros32(uint32(f)) }

// Plan is one run: the word and the way in, and what happens on the way.
type Plan struct {
	Kind   Kind
	Word   entry.Flag // when the task arrives
	Raises [2]Raise   // by others, in order
	Choice int        // which outcome differs from the ordinary one, or NoChoice
	Panic  int        // which of the handlers and calls that start panics, from 1; 0: none
}

// NoChoice is the Choice of a run in which every handler does the ordinary.
const NoChoice = -1

// Raise is a flag that somebody else changes: a level is switched, any other
// is set.
type Raise struct {
	Flag entry.Flag // 0: nothing happens
	At   int        // which of the run's moments with interrupts on
}

// String describes the run.
func (p Plan) String() string {
	text := fmt.Sprintf("%v with %v", p.Kind, p.Word)
	for _, r := range p.Raises {
		if r.Flag != 0 {
			text += fmt.Sprintf(", %v at moment %d", r.Flag, r.At)
		}
	}
	if p.Panic != 0 {
		text += fmt.Sprintf(", panic in handler %d", p.Panic)
	}
	if p.Choice != NoChoice {
		text += fmt.Sprintf(", choice %d", p.Choice)
	}
	return text
}
