package task

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/signal"
)

// SignalHandlers serve SIGPENDING.
func SignalHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.SigPending, WorkFrame: (*Task).DeliverSignals}
}

// WorkHandlers serve NOTIFY_RESUME: the queue of AddWork.
func WorkHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.NotifyResume, Work: (*Task).runWork}
}

// RestartableSequenceHandlers serve rseq(2).
func RestartableSequenceHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{
		Flag: entry.RestartableSequence, WorkFrame: func(t *Task, f *amd64.Frame) { t.serveRSeq(f, 0) },
	}
}

// MachineCheckHandlers serve MCE_NOTIFY.
func MachineCheckHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.MCENotify, Work: (*Task).serveMachineChecks}
}

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

// pageShift is log2 of the page that a machine check takes from a program
// (sigaction(2), si_addr_lsb).
const pageShift = 12

// serveMachineChecks logs what the CPUs have recorded, and sends the task,
// which a check interrupted, the signal of memory that is lost.
func (t *Task) serveMachineChecks() {
	lost, address := false, uint64(0)
	for _, r := range amd64.TakeMachineChecks() {
		t.kernel.Logf("Machine check on CPU %d, bank %d: status %#x, address %#x, misc %#x, global status %#x; it interrupted %s.",
			r.CPU, r.Bank, r.Status, r.Address, r.Misc, r.GlobalStatus, t)
		if r.Status&amd64.MCUncorrected != 0 {
			lost = true
			if r.Status&amd64.MCAddressValid != 0 {
				address = r.Address
			}
		}
	}
	if lost {
		t.ForceSignal(signal.MemoryErrorInfo(address, pageShift))
	}
}
