// Package strace shows what the tasks of a guest do, from the records that the kernel sends
// (package tracespec): their system calls in the format of strace 6.1, as JSON, for Perfetto,
// or counted.
package strace

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"slowpath/strace/decode"
	"slowpath/tracespec"
)

// Thread is a thread of the guest.
type Thread struct {
	ID, Process uint32
	Name        string // of the thread, if the plan has Names

	i386    bool // the ABI of the last call
	call    *Call
	ignored [][]byte // siginfo_t of ignored signals that were sent during the call
	shown   int      // the last signal that was shown
	text    textState
}

// Call is a system call of a thread.
type Call struct {
	*decode.Call
	Row        *decode.Syscall
	Begin, End uint64 // nanoseconds since boot
	CPU        uint32
	Address    uint64 // program counter
	Injected   int64  // what an injection has changed
	Registers  []byte // with Stack, at the exit
	Stack      []byte

	entryTexts []string
	hidden     bool // it accesses none of Start.Files
}

// keepTexts keeps the texts of the arguments that are printed at the entry. After a failure
// the arguments cannot be printed any more.
func (c *Call) keepTexts() {
	if c.entryTexts == nil {
		c.entryTexts = c.Row.Texts(c.Call)
	}
}

// texts returns the texts of all arguments of a call that has ended.
func (c *Call) texts() []string {
	if !c.Done {
		return c.entryTexts
	}
	return slices.Concat(c.entryTexts, c.Row.Texts(c.Call))
}

// Sink takes the events of an Engine. It must not keep the slices.
type Sink interface {
	// Begin takes the time since boot and the time of day at the same moment, in nanoseconds.
	Begin(boot, wall uint64)
	// Attached takes a new thread. nil is the parent of the first.
	Attached(t, parent *Thread, now uint64)
	// Mode takes a change of the ABI of a thread's calls: to that of 32-bit code or back.
	Mode(t *Thread, i386 bool, now uint64)
	// Enter takes the entry of a call.
	Enter(t *Thread, c *Call)
	// Leave takes the exit of a call.
	Leave(t *Thread, c *Call)
	// Unfinished takes a call that does not return because its thread exits.
	Unfinished(t *Thread, c *Call, now uint64)
	// Signal takes a signal that is delivered, with its siginfo_t.
	Signal(t *Thread, info []byte, now uint64)
	// Superseded takes a thread that execve(2) of another one of its process has ended. The
	// other one has its id from now on.
	Superseded(t *Thread, by uint32, now uint64)
	// Exited takes the end of a thread with its wait status.
	Exited(t *Thread, status uint32, now uint64)
	// Maps takes the executable mappings of a process.
	Maps(process uint32, maps []byte)
	// Lost takes a number of records that were lost.
	Lost(n uint64)
	// Close writes what is written at the end.
	Close() error
}

// Start is the program that the host command starts.
type Start struct {
	Path      string
	Arguments []string
	Variables int // of the environment
	// Hidden shows no call for the start of the program.
	Hidden bool
	// Files are the files that a call must access to be shown (-P); nil shows all.
	Files map[string]bool
}

// Engine joins the records of the kernel to events.
type Engine struct {
	table   *decode.Table
	start   Start
	sinks   []Sink
	threads map[uint32]*Thread
	// processes has the number of threads of each process.
	processes map[uint32]int
	sent      map[uint32][]byte // the last signal that was sent to each process that has threads
	lost      uint64
}

// New returns an engine.
func New(t *decode.Table, start Start, sinks ...Sink) *Engine {
	return &Engine{table: t, start: start, sinks: sinks, threads: map[uint32]*Thread{}, processes: map[uint32]int{}, sent: map[uint32][]byte{}}
}

// Lost returns the number of records that were lost.
func (e *Engine) Lost() uint64 { return e.lost }

// Write takes a batch. Error: that of a damaged batch.
func (e *Engine) Write(batch []byte) error { return tracespec.Decode(batch, e.record) }

// Close ends the sinks.
func (e *Engine) Close() (err error) {
	for _, s := range e.sinks {
		err = cmp.Or(err, s.Close())
	}
	return err
}

func (e *Engine) each(f func(s Sink)) {
	for _, s := range e.sinks {
		f(s)
	}
}

// handlers has the function for each kind of record.
var handlers = map[tracespec.RecordKind]func(e *Engine, r *tracespec.Record) error{
	tracespec.Begin: func(e *Engine, r *tracespec.Record) error {
		e.each(func(s Sink) { s.Begin(r.Time, r.Wall) })
		return nil
	},
	tracespec.Enter: (*Engine).enter, tracespec.Leave: (*Engine).leave,
	tracespec.Signal: (*Engine).delivered, tracespec.Ignored: (*Engine).ignoredSignal,
	tracespec.Generated: func(e *Engine, r *tracespec.Record) error {
		if e.lives(r.Process) {
			e.sent[r.Process] = bytes.Clone(r.Data)
		}
		return nil
	},
	tracespec.Clone: (*Engine).clone, tracespec.Exec: (*Engine).exec, tracespec.Exit: (*Engine).exit,
	tracespec.Maps: func(e *Engine, r *tracespec.Record) error {
		e.each(func(s Sink) { s.Maps(r.Process, r.Data) })
		return nil
	},
	tracespec.Named: func(e *Engine, r *tracespec.Record) error {
		e.thread(r.Thread, r.Process, nil, r.Time).Name = string(r.Data)
		return nil
	},
	tracespec.Lost: func(e *Engine, r *tracespec.Record) error {
		e.lost += uint64(r.Result)
		e.each(func(s Sink) { s.Lost(uint64(r.Result)) })
		return nil
	},
	tracespec.Injected: func(e *Engine, r *tracespec.Record) error {
		if t := e.threads[r.Thread]; t != nil && t.call != nil {
			t.call.Injected |= r.Result
		}
		return nil
	},
}

func (e *Engine) record(r *tracespec.Record) error {
	if f := handlers[r.Kind]; f != nil {
		return f(e, r)
	}
	return nil
}

// thread returns a thread. One that is unknown, because its record was lost, is made.
func (e *Engine) thread(id, process uint32, parent *Thread, now uint64) *Thread {
	t := e.threads[id]
	if t == nil {
		t = &Thread{ID: id, Process: process}
		e.threads[id] = t
		e.processes[process]++
		e.each(func(s Sink) { s.Attached(t, parent, now) })
	}
	return t
}

// damaged is the error of captures that do not fit the plan.
func damaged(name string) error {
	return fmt.Errorf("the arguments of %s: %w", name, tracespec.ErrFormat)
}

func (e *Engine) enter(r *tracespec.Record) error {
	t := e.thread(r.Thread, r.Process, nil, r.Time)
	row := e.table.CallOf(r)
	if t.i386 != r.I386 {
		t.i386 = r.I386
		e.each(func(s Sink) { s.Mode(t, r.I386, r.Time) })
	}
	t.call = &Call{Row: row, Call: &decode.Call{Arguments: r.Arguments}, Begin: r.Time, CPU: r.CPU, Address: r.Address}
	if !row.Attach(t.call.Call, r.Captures) {
		return damaged(row.Name)
	}
	t.call.hidden = e.start.Files != nil && !row.Accesses(t.call.Call, e.start.Files)
	if !t.call.hidden {
		e.each(func(s Sink) { s.Enter(t, t.call) })
	}
	return nil
}

// Name returns the name of a thread, or "" if it is not known.
func (e *Engine) Name(thread uint32) string {
	if t := e.threads[thread]; t != nil {
		return t.Name
	}
	return ""
}

func (e *Engine) leave(r *tracespec.Record) error {
	t := e.threads[r.Thread]
	if t == nil || t.call == nil {
		return nil // the entry was lost
	}
	c := t.call
	if r.Killed && !e.diesOfSignal(t.Process) {
		return nil // another thread has called exit_group(2): a tracer would not see the exit
	}
	t.call = nil
	c.Result, c.Done, c.End = r.Result, true, r.Time
	c.Registers, c.Stack = r.Registers, r.Stack
	if !c.Row.Attach(c.Call, r.Captures) {
		return damaged(c.Row.Name)
	}
	if !c.hidden {
		e.each(func(s Sink) { s.Leave(t, c) })
	}
	e.showIgnored(t, r.Time)
	return nil
}

// sigkill is the number of SIGKILL, which a tracer does not see.
const sigkill = 9

// diesOfSignal reports whether the last signal for a process was another one than SIGKILL.
func (e *Engine) diesOfSignal(process uint32) bool {
	signal := signalOf(e.sent[process])
	return signal != 0 && signal != sigkill
}

// signalOf returns the number of the signal in a siginfo_t, 0 for none.
func signalOf(info []byte) int {
	if len(info) < 4 {
		return 0
	}
	return int(tracespec.Number(info, 4))
}

func (e *Engine) delivered(r *tracespec.Record) error {
	t := e.thread(r.Thread, r.Process, nil, r.Time)
	if signalOf(r.Data) == sigkill {
		return nil
	}
	e.show(t, r.Data, r.Time)
	return nil
}

func (e *Engine) show(t *Thread, info []byte, now uint64) {
	t.shown = signalOf(info)
	e.each(func(s Sink) { s.Signal(t, info, now) })
}

// ignoredSignal shows a signal that the process ignores. A tracer sees it when the thread
// returns to user mode.
func (e *Engine) ignoredSignal(r *tracespec.Record) error {
	t := e.threads[r.Thread]
	if t == nil || signalOf(r.Data) == sigkill {
		return nil
	}
	if t.call != nil {
		t.ignored = append(t.ignored, bytes.Clone(r.Data))
		return nil
	}
	e.show(t, r.Data, r.Time)
	return nil
}

func (e *Engine) showIgnored(t *Thread, now uint64) {
	for _, info := range t.ignored {
		e.show(t, info, now)
	}
	t.ignored = nil
}

func (e *Engine) clone(r *tracespec.Record) error {
	parent := e.threads[r.Thread]
	child := e.thread(r.Other, r.Process, parent, r.Time)
	if parent != nil {
		child.Name, child.i386 = parent.Name, parent.i386
	}
	return nil
}

func (e *Engine) exec(r *tracespec.Record) error {
	if len(r.Data) == 0 {
		e.first(r)
		return nil
	}
	t := e.threads[r.Other]
	if t == nil || r.Other == r.Thread {
		return nil
	}
	if leader := e.threads[r.Thread]; leader != nil {
		e.each(func(s Sink) { s.Superseded(leader, r.Other, r.Time) })
		e.processes[leader.Process]--
	}
	delete(e.threads, r.Other)
	t.ID = r.Thread
	e.threads[r.Thread] = t
	return nil
}

// first shows the start of the program as a call of execve(2), which strace shows too.
func (e *Engine) first(r *tracespec.Record) {
	t := e.thread(r.Thread, r.Process, nil, r.Time)
	row := e.table.Named("execve")
	if row == nil || e.start.Hidden {
		return
	}
	if e.start.Files != nil && !e.start.Files[e.start.Path] {
		return
	}
	c := &Call{Row: row, Call: row.Started(e.start.Path, e.start.Arguments, e.start.Variables, r.Arguments[0]), Begin: r.Time, End: r.Time}
	e.each(func(s Sink) { s.Enter(t, c) })
	c.Done = true
	e.each(func(s Sink) { s.Leave(t, c) })
}

func (e *Engine) exit(r *tracespec.Record) error {
	t := e.threads[r.Thread]
	if t == nil {
		return nil
	}
	if c := t.call; c != nil && !c.hidden {
		e.each(func(s Sink) { s.Unfinished(t, c, r.Time) })
	}
	status := uint32(r.Result)
	signal := int(status & 0x7f)
	if info := e.sent[r.Process]; signal != 0 && signal == signalOf(info) && signal != sigkill && t.shown != signal {
		// The kernel has replaced the signal by SIGKILL. A tracer would have seen it.
		e.show(t, info, r.Time)
		delete(e.sent, r.Process)
	}
	e.each(func(s Sink) { s.Exited(t, status, r.Time) })
	e.forget(t)
	return nil
}

// forget removes a thread. What is known of its process goes with the last one.
func (e *Engine) forget(t *Thread) {
	delete(e.threads, t.ID)
	if e.processes[t.Process]--; e.processes[t.Process] <= 0 {
		delete(e.processes, t.Process)
		delete(e.sent, t.Process)
	}
}

// lives reports whether a process has threads.
func (e *Engine) lives(process uint32) bool { return e.processes[process] > 0 }
