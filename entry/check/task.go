package check

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// Task is the model of a task: a register frame, and a script that says what
// happens at which moment of its run. Runs do not allocate. A Task belongs to
// one goroutine.
type Task struct {
	entry.Thread
	frame amd64.Frame
	loop  *entry.Loop[*Task]
	table *entry.Table[*Task]

	plan     Plan
	moments  int // passed so far
	choices  int // offered so far
	handling int // handlers and calls begun so far: points at which a panic may come

	told  entry.Flag // duties that the code says it served
	begun entry.Flag // duties of the loop whose handler started in this run
	owed  pendings

	arrived    bool // EnterUser has returned the first event
	elsewhere  bool // another CPU has the task's state
	interrupts bool // interrupts are on
	leaving    bool // the task is about to exit
	stuck      bool // the bound was passed
	panicked   bool // the model panicked, as the plan says
	failed     bool // the code under test panicked by itself

	want  registers // what user mode must find
	found registers // what it found
	trace Trace

	handlers, tests int // of the last run, as judged
}

// maxMoments is more than any run has that is right.
const maxMoments = 64

// pendings says for each moment of a run which duties are raised and have
// not been served yet: raising one of them again changes nothing.
type pendings [maxMoments]entry.Flag

// registers are those that SYSRET and IRETQ treat differently.
type registers struct{ rip, rcx, r11, rflags uint64 }

// NewTask returns a task that runs package entry's code.
func NewTask() *Task {
	t := new(Task)
	handlers := make([]entry.Handlers[*Task], 0, len(entry.Duties()))
	for _, d := range entry.Duties() {
		handlers = append(handlers, handlersOf(t, d))
	}
	var err error
	if t.table, err = entry.NewTable(entry.Duties(), handlers...); err != nil {
		panic(err)
	}
	vectors := make([]int, amd64.FirstInterrupt)
	for i := range vectors {
		vectors[i] = i
	}
	exceptions, err := entry.NewExceptions(entry.ExceptionHandler[*Task]{
		Owner: entry.ByProgram, Vectors: vectors, Handle: (*Task).exception,
	})
	if err != nil {
		panic(err)
	}
	t.loop = entry.NewLoop(entry.LoopConfig[*Task]{
		Calls:  entry.Dispatch[*Task]{0: (*Task).call},
		Duties: t.table, Exceptions: exceptions, Recorder: entry.NewRecorder(1, 1),
	})
	t.loop.SetModel(t.enterUser)
	return t
}

// Run executes a plan and returns the first property that it violates, or
// Right. The trace of the run is valid until the next.
func (t *Task) Run(p Plan) Property {
	t.plan = p
	t.Thread = entry.Thread{Frame: &t.frame}
	t.moments, t.choices, t.handling, t.begun, t.told = 0, 0, 0, 0, 0
	t.interrupts = true
	t.arrived, t.elsewhere, t.leaving, t.stuck, t.panicked, t.failed = false, false, false, false, false, false
	t.trace.n = 0
	t.run()
	return t.judge()
}

// run is the user loop. A panic ends it, and the task with it, as in the kernel.
func (t *Task) run() {
	defer func() {
		if v := recover(); v != nil && v != planned {
			t.failed = true
		}
	}()
	t.loop.Run(t)
	t.told |= t.Visit.Served
}

// planned is the value of a panic that the plan wants.
var planned any = new(struct{ _ int })

// mayPanic panics if the plan wants it here.
func (t *Task) mayPanic() {
	t.handling++
	if t.handling == t.plan.Panic {
		t.panicked, t.leaving = true, true
		t.note(Panicked, 0)
		panic(planned)
	}
}

// Table returns the table of duties that the task runs.
func (t *Task) Table() *entry.Table[*Task] { return t.table }

// Trace returns what happened in the last run.
func (t *Task) Trace() *Trace { return &t.trace }

// note adds an event to the trace.
func (t *Task) note(what What, flag entry.Flag) {
	if t.trace.n == maxEvents {
		t.giveUp()
		return
	}
	e := &t.trace.events[t.trace.n]
	e.What, e.Flag, e.Word = what, flag, entry.Pending(&t.frame.ThreadFlags)
	e.Interrupts, e.Settled = t.interrupts, t.frame.Flags&amd64.LeaveByIRET != 0
	e.CallOver = t.frame.Flags&amd64.CallOver != 0
	t.trace.n++
}

// moment is a moment with interrupts on: whatever the plan says happens.
func (t *Task) moment() {
	for _, r := range &t.plan.Raises {
		if r.At == t.moments && r.Flag != 0 {
			t.change(r.Flag)
		}
	}
	t.owed[t.moments%maxMoments] = entry.Pending(&t.frame.ThreadFlags) & claimed &^ t.begun
	t.moments++
}

// change does to the word what others may do at any time.
func (t *Task) change(f entry.Flag) {
	if f&levels != 0 && entry.Pending(&t.frame.ThreadFlags)&f != 0 {
		entry.Lower(&t.frame.ThreadFlags, f)
		t.note(Lowered, f)
		return
	}
	t.raise(f)
}

func (t *Task) raise(f entry.Flag) {
	entry.Raise(&t.frame.ThreadFlags, f)
	t.note(Raised, f)
}

// choose returns 0 for the ordinary outcome, or up to alternatives for
// another one, as the plan says.
func (t *Task) choose(alternatives int) int {
	first := t.choices
	t.choices += alternatives
	if t.plan.Choice >= first && t.plan.Choice < t.choices {
		return t.plan.Choice - first + 1
	}
	return 0
}

// leave makes the task one that is about to exit.
func (t *Task) leave() {
	t.leaving = true
	t.SetExiting()
	t.note(Left, 0)
}

// giveUp ends a run that passed its bound.
func (t *Task) giveUp() {
	t.stuck = true
	t.SetExiting()
}

// handlersOf returns handlers of a duty that serve the model task.
func handlersOf(t *Task, d entry.Duty) entry.Handlers[*Task] {
	h := entry.Handlers[*Task]{Flag: d.Flag}
	if d.When&entry.AtSyscallEntry != 0 {
		h.Entry = func(t *Task, _ *entry.Call) entry.Verdict { return t.serveEntry(d.Flag) }
	}
	if d.When&entry.AtSyscallExit != 0 {
		h.Exit = func(t *Task, _ *entry.Call) { t.serve(Exited, d.Flag) }
	}
	if d.When&entry.BeforeUser != 0 && d.Frame {
		h.BeforeUserFrame = func(t *Task, _ *amd64.Frame) { t.serveLoop(ServedFrame, d.Flag) }
	} else if d.When&entry.BeforeUser != 0 {
		h.BeforeUser = func(t *Task) { t.serveLoop(Served, d.Flag) }
	}
	if d.When&entry.LastStep != 0 {
		h.Last = func(*amd64.Frame) { t.note(ServedLast, d.Flag) }
	}
	return h
}

// serve is a handler that may sleep.
func (t *Task) serve(what What, f entry.Flag) {
	t.note(what, f)
	t.moment() // while it sleeps
	t.mayPanic()
}

// mayDecide are the duties of the entry that may skip the call, or end the
// task: a tracer may do both, and so may a filter.
const mayDecide = entry.SyscallEmu | entry.SyscallTrace | entry.Seccomp

func (t *Task) serveEntry(f entry.Flag) entry.Verdict {
	t.serve(Entered, f)
	if f&mayDecide == 0 {
		return entry.Proceed
	}
	switch t.choose(2) {
	case 1:
		t.note(Skipped, 0)
		return entry.Skip
	case 2:
		t.leave()
		t.note(Skipped, 0)
		return entry.Skip
	}
	return entry.Proceed
}

// mayEnd are the duties of the loop that may end the task.
const mayEnd = entry.SigPending | entry.Uprobe

func (t *Task) serveLoop(what What, f entry.Flag) {
	t.begun |= f
	t.serve(what, f)
	if f&mayEnd != 0 && t.choose(1) != 0 {
		t.leave()
	}
}
