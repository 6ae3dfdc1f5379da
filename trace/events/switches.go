package events

import (
	"sync"

	"slowpath/task"
	"slowpath/trace"
)

// switches makes sched_switch of what tasks tell: they sleep or yield, and continue. In
// between the scheduler runs, which is shown as the idle thread. A task that moves
// silently, because the Go runtime has preempted it in the kernel, is noticed at the next
// switch on the CPU, so the switches of a CPU always form a chain.
type switches struct {
	kernel *kernel
	cpus   []running
}

// running is what a CPU runs, as the records say.
type running struct {
	// mu is held while a switch of the CPU is recorded, so that the records form a chain.
	mu sync.Mutex
	// thread is nil until the first switch.
	thread trace.Task
}

func (s *switches) init(k *kernel) { s.kernel, s.cpus = k, make([]running, k.Tasks.CPUs()) }

// States of a thread that leaves its CPU (Linux: TASK_REPORT and TASK_REPORT_MAX).
const (
	stateRunnable  = 0
	statePreempted = 0x100
)

// reportStates has the state for each letter of Task.StateLetter.
var reportStates = map[byte]uint64{'R': stateRunnable, 'S': 1, 'D': 2, 'T': 4, 't': 8, 'X': 16, 'Z': 32}

// connectSwitches connects sched_switch.
func connectSwitches(k *kernel, e *event) (disconnect func()) {
	s := &k.switches
	s.forget()
	return all(
		s.forget,
		k.Tasks.OnLeave(func(t *task.Task, why task.Departure) { s.leave(e, t, stateOf(t, why)) }),
		k.Tasks.OnContinue(func(t *task.Task) { s.enter(e, t) }),
	)
}

// stateOf returns the state of a task that leaves its CPU.
func stateOf(t *task.Task, why task.Departure) uint64 {
	if why == task.Yields {
		return statePreempted
	}
	return reportStates[t.StateLetter()]
}

// all returns a function that calls all functions.
func all(functions ...func()) func() {
	return func() {
		for _, f := range functions {
			f()
		}
	}
}

// forget forgets what the CPUs run.
func (s *switches) forget() {
	for i := range s.cpus {
		s.cpus[i].forget()
	}
}

func (c *running) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.thread = nil
}

// leave records that a task leaves the CPU of the caller.
func (s *switches) leave(e *event, t *task.Task, state uint64) {
	cpu := s.kernel.CPU()
	c, next := &s.cpus[cpu], s.kernel.idle[cpu]
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.thread; before != nil && before != trace.Task(t) {
		s.record(e, before, stateOfSilent(before), t)
	}
	c.thread = next
	s.record(e, t, state, next)
}

// enter records that a task continues on the CPU of the caller.
func (s *switches) enter(e *event, t *task.Task) {
	cpu := s.kernel.CPU()
	c := &s.cpus[cpu]
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.thread
	if before == trace.Task(t) {
		return
	}
	if before == nil {
		before = s.kernel.idle[cpu]
	}
	c.thread = t
	s.record(e, before, stateOfSilent(before), t)
}

// stateOfSilent returns the state of a thread that has left its CPU silently.
func stateOfSilent(t trace.Task) uint64 {
	if _, ok := t.(idle); ok {
		return stateRunnable
	}
	return statePreempted
}

func (s *switches) record(e *event, before trace.Task, state uint64, next trace.Task) {
	values := [...]value{
		name(before.Comm()), number(before.TID()), priorityOf(before), number(state),
		name(next.Comm()), number(next.TID()), priorityOf(next),
	}
	e.emitFor(before, next, nil, values[:])
}

// stateText is the text of prev_state (Linux: sched_switch's __print_flags).
func stateText(state uint64) string {
	const letters = "SDTtXZPI"
	text := ""
	for i := range letters {
		if state>>i&1 == 0 {
			continue
		}
		if text != "" {
			text += "|"
		}
		text += letters[i : i+1]
	}
	if text == "" {
		text = "R"
	}
	if state&statePreempted != 0 {
		text += "+"
	}
	return text
}

// connectWakeups connects an event of the class sched_wakeup_template.
func connectWakeups(k *kernel, e *event) (disconnect func()) {
	return k.Tasks.OnWake(func(t *task.Task) { e.wakeup(k.current(), t) })
}

// wakeup records that a thread wakes a task, which continues on the CPU where it ran last
// unless another is free.
func (e *event) wakeup(by trace.Task, t *task.Task) {
	values := [...]value{name(t.Comm()), number(t.TID()), priorityOf(t), number(t.Frame.LastCPU())}
	e.emitFor(by, t, nil, values[:])
}

// state is what the events keep of a task.
type state struct {
	// reported is the CPU time that sched_stat_runtime has reported, in nanoseconds. Only
	// the task's own goroutine uses it.
	reported int64
}

// connectRuntime connects sched_stat_runtime: the CPU time that a task has used since its
// last record, when it leaves the CPU and at interrupts. There are no weights, so the virtual
// runtime is the CPU time of the task.
func connectRuntime(k *kernel, e *event) (disconnect func()) {
	report := func(t *task.Task) {
		s, used := task.SlotOf[state](t), t.Usage()
		total := used.User + used.System
		if ran := total - s.reported; ran > 0 {
			s.reported = total
			e.emit(t, nil, name(t.Comm()), number(t.TID()), number(ran), number(total))
		}
	}
	return all(
		k.Tasks.OnLeave(func(t *task.Task, _ task.Departure) { report(t) }),
		k.Tasks.Tracepoints.Interrupted.Register(func(i task.Interrupted) {
			if !i.Served {
				report(i.Task)
			}
		}),
	)
}
