package task

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// SignalHandlers serve SIGPENDING.
func SignalHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.SigPending, BeforeUserFrame: (*Task).DeliverSignals}
}

// WorkHandlers serve NOTIFY_RESUME: the queue of AddWork.
func WorkHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.NotifyResume, BeforeUser: (*Task).runWork}
}

// RestartableSequenceHandlers serve rseq(2).
func RestartableSequenceHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{
		Flag: entry.RestartableSequence, BeforeUserFrame: func(t *Task, f *amd64.Frame) { t.serveRSeq(f, 0) },
	}
}

// taskWorkSubsystem runs the queue of AddWork a last time. Work that is queued
// later is dropped.
var taskWorkSubsystem = Subsystem{Name: "task work", Exit: (*Task).runWork}

// AddWork queues a function that runs on the task's own goroutine, without
// locks, before it next returns to user mode or ends: task work in Linux.
// Anybody may call it; it does not sleep.
func (t *Task) AddWork(f func(*Task)) {
	t.workMu.Lock()
	t.work = append(t.work, f)
	t.workMu.Unlock()
	t.Raise(entry.NotifyResume)
}

// runWork runs the queue, also what its functions add.
func (t *Task) runWork() {
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
