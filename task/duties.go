package task

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// RescheduleHandlers returns the handler of NEED_RESCHED. It gets no register frame,
// because it needs none.
func RescheduleHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.NeedResched, BeforeUser: func(t *Task) {
		if s := t.kernel.config.Scheduler; s.NeedsReschedule(&t.Scheduling.entity) {
			s.Reschedule(&t.Scheduling.entity)
		}
	}}
}

// SignalHandlers returns the handlers of SIGPENDING: they deliver signals.
func SignalHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.SigPending, BeforeUserFrame: (*Task).DeliverSignals}
}

// WorkHandlers returns the handlers of NOTIFY_RESUME: they run the queue of
// AddWork.
func WorkHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.NotifyResume, BeforeUser: (*Task).runWork}
}

// RestartableSequenceHandlers returns the handlers of the duty of rseq(2).
func RestartableSequenceHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{
		Flag: entry.RestartableSequence, BeforeUserFrame: func(t *Task, f *amd64.Frame) {
			if !t.Defer(entry.RestartableSequence) {
				t.serveRSeq(f, 0)
			}
		},
	}
}

// taskWorkSubsystem runs the queue of AddWork once more when the task exits.
// Functions that are queued after that never run.
var taskWorkSubsystem = Subsystem{Name: "task work", Exit: (*Task).runWork}

// AddWork queues f. The task's own goroutine calls f, without locks, before it
// next returns to user mode or exits (Linux: task_work_add). Any goroutine may
// call AddWork; it does not sleep.
func (t *Task) AddWork(f func(*Task)) {
	t.workMu.Lock()
	t.work = append(t.work, f)
	t.workMu.Unlock()
	t.Raise(entry.NotifyResume)
}

// runWork runs the queue, including the functions that are added meanwhile. If a tick
// has found the task in the kernel, it does the tick's work first.
func (t *Task) runWork() {
	if t.Accounting.CPU.TakeTick() {
		t.ChargeTicks(InKernel)
	}
	for {
		t.workMu.Lock()
		queue := t.work
		t.work = nil
		t.workMu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, f := range queue {
			f(t)
		}
	}
}
