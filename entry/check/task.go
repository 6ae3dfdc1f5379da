package check

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// Task is the model of a task: a frame, and the plan of its current run. Runs do
// not allocate. Only one goroutine may use a Task.
type Task struct {
	entry.Thread
	frame amd64.Frame
	loop  *entry.Loop[*Task]
	table *entry.Table[*Task]

	plan     Plan
	moments  int // number of moments so far
	choices  int // number of alternative outcomes so far
	handling int // number of handlers and calls that started so far

	reported entry.Flag // duties that the visits report as served
	begun    entry.Flag // duties of the loop with a handler that started in this run
	owed     pendings

	admissions map[entry.Flag]*entry.Admission // of the sets of duties that can have one

	admittedAt int // the moment after a duty admitted the call, or -1

	arrived      bool // EnterUser has returned the first event
	elsewhere    bool // another CPU has the task's state
	interrupts   bool // interrupts are on
	leaving      bool // the task is exiting
	stuck        bool // the run exceeded its bound
	recorder     *entry.Recorder
	recorded     bool       // the visit in which a call was requested is in the recorder
	servedBefore [32]uint64 // of the recorder before that visit

	hit       bool // the task has hit a breakpoint of a probe, which UPROBE has not served
	requested bool // UPROBE has requested a call, which has not begun
	killed    bool // the task was killed while duties were put off
	panicked  bool // the model panicked because of the plan
	failed    bool // the code under test panicked

	want  registers // the registers that user mode must have
	found registers // the registers that it has
	trace Trace

	handlers, tests int // of the last run, as counted by judge
}

// maxMoments is larger than the number of moments of any correct run.
const maxMoments = 64

// pendings has, for each moment of a run, the duties that were raised and not
// served yet. Raising one of them again would have no effect.
type pendings [maxMoments]entry.Flag

// registers are the registers that SYSRET and IRETQ restore differently.
type registers struct{ rip, rcx, r11, rflags uint64 }

// NewTask returns a task that runs the code of package entry.
func NewTask() *Task {
	t := new(Task)
	t.admissions = make(map[entry.Flag]*entry.Admission)
	for set := admissible; set != 0; set = (set - 1) & admissible {
		t.admissions[set] = t.newAdmission(set)
	}
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
	}, entry.ExceptionHandler[*Task]{
		Owner: entry.ByUprobe, Vectors: []int{amd64.Breakpoint}, Handle: (*Task).breakpoint,
	})
	if err != nil {
		panic(err)
	}
	t.recorder = entry.NewRecorder(1, 1)
	t.loop = entry.NewLoop(entry.LoopConfig[*Task]{
		Calls: entry.Dispatch[*Task]{0: (*Task).call},
		Calls32: &entry.Dispatch32[*Task]{
			0:                  {Handler: (*Task).call},
			listedNumber:       {Handler: (*Task).call},
			sixArgumentsNumber: {Handler: (*Task).call, Arguments: 6},
		},
		Duties: t.table, Exceptions: exceptions, Recorder: t.recorder,
	})
	t.loop.SetModel(t.enterUser)
	return t
}

// Run executes a plan and returns the first property that it violates, or Right.
// The trace is valid until the next call.
func (t *Task) Run(p Plan) Property {
	t.plan = p
	t.Frame, t.Call, t.Visit = &t.frame, entry.Call{}, entry.Visit{}
	t.Reset()
	t.SetAdmission(t.admissions[p.Word&admissible])
	t.moments, t.choices, t.handling, t.begun, t.reported = 0, 0, 0, 0, 0
	t.interrupts, t.admittedAt = true, -1
	t.arrived, t.elsewhere, t.leaving, t.stuck, t.panicked, t.failed = false, false, false, false, false, false
	t.hit, t.requested, t.killed, t.recorded = false, false, false, false
	t.trace.n = 0
	t.run()
	return t.judge()
}

// run runs the user loop. A panic ends the task, as in the kernel.
func (t *Task) run() {
	defer func() {
		if v := recover(); v != nil && v != planned {
			t.failed = true
		}
	}()
	t.loop.Run(t)
	t.report()
}

// report adds what the visit and the fast path have served. A requested call is a visit of
// its own, so the recorder has the one before it.
func (t *Task) report() {
	t.reported |= t.Visit.Served
	if t.recorded {
		for bit, n := range t.recorder.Served() {
			if n != t.servedBefore[bit] {
				t.reported |= 1 << bit
			}
		}
	}
	t.reported |= t.ServedFast()
}

// planned is the value of a panic of the plan.
var planned any = new(struct{ _ int })

// mayPanic panics if the plan has a panic at this handler or call.
func (t *Task) mayPanic() {
	t.handling++
	if t.handling == t.plan.Panic {
		t.panicked, t.leaving = true, true
		t.note(Panicked, 0)
		panic(planned)
	}
}

// Table returns the table of duties of the task.
func (t *Task) Table() *entry.Table[*Task] { return t.table }

// Trace returns the trace of the last run. It is valid until the next run.
func (t *Task) Trace() *Trace { return &t.trace }

// note adds an event to the trace.
func (t *Task) note(what What, flag entry.Flag) {
	if t.trace.n == maxEvents {
		t.giveUp()
		return
	}
	e := &t.trace.events[t.trace.n]
	e.What, e.Flag, e.Word = what, flag, entry.Pending(&t.frame.ThreadFlags)
	e.Interrupts, e.Settled = t.interrupts, t.frame.Complete()
	e.Arguments = t.frame.HasArguments()
	e.CallOver = t.frame.Flags&amd64.CallOver != 0
	t.trace.n++
}

// moment is called at each moment. It makes the raises that the plan has there.
func (t *Task) moment() {
	for _, r := range &t.plan.Raises {
		if r.At == t.moments && r.Flag != 0 {
			t.change(r.Flag)
		}
	}
	t.owed[t.moments%maxMoments] = entry.Pending(&t.frame.ThreadFlags) & claimed &^ t.begun
	t.moments++
}

// change changes a flag as another CPU would: it raises a duty, or switches a
// level.
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

// choose returns the outcome that the plan selects: 0 for the ordinary one, or
// 1 to alternatives.
func (t *Task) choose(alternatives int) int {
	first := t.choices
	t.choices += alternatives
	if t.plan.Choice >= first && t.plan.Choice < t.choices {
		return t.plan.Choice - first + 1
	}
	return 0
}

// leave makes the task exit.
func (t *Task) leave() {
	t.leaving = true
	t.SetExiting()
	t.note(Left, 0)
}

// giveUp ends a run that exceeded its bound.
func (t *Task) giveUp() {
	t.stuck = true
	t.SetExiting()
}

// handlersOf returns the model's handlers of a duty.
func handlersOf(t *Task, d entry.Duty) entry.Handlers[*Task] {
	h := entry.Handlers[*Task]{Flag: d.Flag}
	if d.When&entry.AtSyscallEntry != 0 {
		h.Entry = func(t *Task, _ *entry.Call) entry.Verdict { return t.serveEntry(d.Flag) }
	}
	if d.Observes {
		h.Watch = func(t *Task, _ *amd64.Frame) bool { return t.watch(d.Flag) }
	}
	if d.When&entry.AtSyscallExit != 0 {
		h.Exit = func(t *Task, _ *entry.Call) { t.serveExit(d.Flag) }
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

// serve is the common part of the handlers that may sleep.
func (t *Task) serve(what What, f entry.Flag) {
	t.note(what, f)
	t.moment() // the handler may sleep here
	t.mayPanic()
}

// mayDecide has the duties of the entry that stop for a tracer. It can skip the call,
// end the task, and cancel the call by its number while it changes the registers. A
// seccomp filter can do the first two, and stop for a tracer. User dispatch can do the
// first two, and roll the call back.
const mayDecide = entry.SyscallEmu | entry.SyscallTrace | entry.Seccomp | entry.UserDispatch

// admissible has the duties that can admit calls.
const admissible = entry.UserDispatch | entry.Seccomp | entry.SyscallTracepoint | entry.SyscallAudit

// newAdmission returns the admission of a set of duties. Ask and Ask32 are the plan's choice.
func (t *Task) newAdmission(f entry.Flag) *entry.Admission {
	ask := func(*amd64.Frame, uint32) bool { return t.ask(f) }
	a := &entry.Admission{Flag: f, Ask: ask, Ask32: ask}
	a.Admit32(listedNumber)
	return a
}

// ask is the method Ask of an admission.
func (t *Task) ask(f entry.Flag) bool {
	admitted := t.choose(1) != 0
	if admitted {
		t.note(Admitted, f)
		t.admittedAt = t.moments
		t.moment() // another CPU may change the flags after they were read
	}
	return admitted
}

func (t *Task) serveEntry(f entry.Flag) entry.Verdict {
	t.serve(Entered, f)
	if f&mayDecide == 0 {
		return entry.Proceed
	}
	switch t.choose(3) {
	case 1:
		t.note(Skipped, 0)
		return entry.Skip
	case 2:
		t.leave()
		t.note(Skipped, 0)
		return entry.Skip
	case 3:
		if f == entry.UserDispatch {
			t.note(RolledBack, 0)
			return entry.RollBack
		}
		t.frame.OrigRAX = amd64.NotInSyscall
		t.changeRegisters()
		t.note(Cancelled, 0)
	}
	return entry.Proceed
}

// watch is the handler of the entry on the fast path. It may want no exit.
func (t *Task) watch(f entry.Flag) (exit bool) {
	t.serveEntry(f)
	if t.choose(1) == 0 {
		return true
	}
	t.note(Dismissed, f)
	return false
}

// serveExit is the handler of a duty of the exit. Two of them stop for a tracer, which can
// end the task or change the registers. One duty has each outcome, which halves the
// number of runs.
func (t *Task) serveExit(f entry.Flag) {
	t.serve(Exited, f)
	switch {
	case f == entry.SingleStep && t.choose(1) != 0:
		t.leave()
	case f == entry.SyscallTrace && t.choose(1) != 0:
		t.changeRegisters()
	}
}

// changeRegisters gives the frame registers that SYSRET cannot restore, as a tracer
// can.
func (t *Task) changeRegisters() {
	f := &t.frame
	f.RIP, f.RCX, f.R11, f.RFLAGS = elsewhere, userRCX, userR11, otherFlags
	t.want = registers{elsewhere, userRCX, userR11, otherFlags}
}

// mayEnd has the duties of the loop that may end the task.
const mayEnd = entry.SigPending | entry.Uprobe

func (t *Task) serveLoop(what What, f entry.Flag) {
	t.begun |= f
	t.serve(what, f)
	if f&putOff != 0 && t.Defer(f) {
		t.note(Deferred, f)
		t.begun &^= f
		if f == entry.SigPending && t.choose(1) != 0 {
			t.killed = true
			t.raise(entry.Uprobe)
		}
		return
	}
	if f == entry.Uprobe && t.serveUprobe() {
		return
	}
	if f&mayEnd != 0 && t.choose(1) != 0 {
		t.leave()
	}
}
