package check

import (
	"fmt"
	"math/bits"
	"strings"

	"slowpath/entry"
)

// What is the type of an event in a run.
type What uint8

// The types of events.
const (
	// Arrived: the task entered the kernel.
	Arrived What = iota
	// Raised: the bit of a duty was set.
	Raised
	// Lowered: the bit of a level was cleared.
	Lowered
	// Began: a system call on the slow path began.
	Began
	// Entered: a handler of the entry started.
	Entered
	// Skipped: a handler of the entry decided that the call does not run.
	Skipped
	// Cancelled: a handler of the entry replaced the number by one without a call.
	Cancelled
	// Called: the call started.
	Called
	// Returned: the call ended.
	Returned
	// Exited: a handler of the exit started.
	Exited
	// Served: a handler of the loop without the frame started.
	Served
	// ServedFrame: a handler of the loop with the frame started.
	ServedFrame
	// Entering: EnterUser was called. Interrupts are on.
	Entering
	// Tested: EnterUser's last test started. Interrupts are off.
	Tested
	// ServedLast: a handler of the last step started.
	ServedLast
	// BySYSRET: user mode was entered by SYSRET.
	BySYSRET
	// BySYSRET32: user mode was entered by SYSRET to 32-bit code.
	BySYSRET32
	// ByIRET: user mode was entered by IRETQ.
	ByIRET
	// Left: SetExiting was called.
	Left
	// Panicked: the last handler or call that started panicked.
	Panicked
	// Stuck: the code under test reported stuck duties.
	Stuck
	// Admitted: the duty admitted the call to the fast path.
	Admitted
	// RolledBack: the duty skipped the call and its exit.
	RolledBack
	// Deferred: the handler of the duty put it off.
	Deferred
	// Requested: a handler of the loop has requested a system call.
	Requested
	// Withdrawn: the request was cancelled.
	Withdrawn
	// Resumed: the execution in a slot has ended.
	Resumed
	// Dismissed: the duty needs no exit of the call.
	Dismissed
)

var whatNames = [...]string{
	"arrived", "raised", "lowered", "call begins", "entry", "skips the call", "cancels the call", "call", "call returns",
	"exit", "work", "work", "entering", "test", "last", "SYSRET", "SYSRETL", "IRET", "task leaves", "panic", "stuck", "admitted by", "rolls the call back",
	"put off", "call requested", "request cancelled", "leaves the slot", "needs no exit",
}

// Event is one event, with the state of the task at that time.
type Event struct {
	What       What
	Flag       entry.Flag // the duty, or 0
	Word       entry.Flag // the thread flags word
	Interrupts bool       // interrupts are on
	Settled    bool       // the frame is complete
	Arguments  bool       // the frame has all arguments of the call
	CallOver   bool       // no exit of a call is pending
}

// maxEvents is the maximum length of a trace: twice the length of the longest
// correct run. A run with more events is stuck.
const maxEvents = 96

// Trace is the list of the events of a run.
type Trace struct {
	events [maxEvents]Event
	n      int
}

// Events returns the events in order.
func (t *Trace) Events() []Event { return t.events[:t.n] }

// String lists the events, without Entering and Tested.
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

// Plan describes one run: its start, and the events that the code under test does
// not control.
type Plan struct {
	Kind   Kind
	Word   entry.Flag // the thread flags word at the kernel entry
	Raises [2]Raise   // by others, in order
	Choice int        // index of the outcome that is not the ordinary one, or NoChoice
	Panic  int        // number of the handler or call that panics, from 1; 0 means none
}

// NoChoice is the Choice of a run in which every handler has its ordinary
// outcome.
const NoChoice = -1

// Raise is a change of a flag by another CPU. A level is switched on or off. The
// bit of another duty is set.
type Raise struct {
	Flag entry.Flag // 0 means no change
	At   int        // index of the moment
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
