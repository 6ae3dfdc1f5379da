package task

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/signal"
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

// MachineCheckHandlers serve MCE_NOTIFY.
func MachineCheckHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.MCENotify, BeforeUser: (*Task).serveMachineChecks}
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

// machineCheck takes what the CPU has recorded of a machine check that
// interrupted the task, whose frame f is, and raises MCE_NOTIFY for the rest.
func (t *Task) machineCheck(f *amd64.Frame, _ int) {
	records, dropped := amd64.TakeMachineChecks(f)
	if dropped > 0 {
		t.kernel.Logf("%d records of machine checks are lost, because too many came at once; one of them may have interrupted %s.", dropped, t)
		records = append(records, amd64.MachineCheckRecord{Status: amd64.MCUncorrected}) // as bad as it can be
	}
	t.machineChecks = append(t.machineChecks, records...)
	entry.Raise(&f.ThreadFlags, entry.MCENotify)
}

// serveMachineChecks logs the records of the checks that interrupted the task,
// and sends it the signal of memory that is lost.
func (t *Task) serveMachineChecks() {
	lost, address := false, uint64(0)
	for _, r := range t.machineChecks {
		t.kernel.Logf("Machine check on CPU %d, bank %d: status %#x, address %#x, misc %#x, global status %#x; it interrupted %s.",
			r.CPU, r.Bank, r.Status, r.Address, r.Misc, r.GlobalStatus, t)
		if r.Status&amd64.MCUncorrected == 0 {
			continue
		}
		lost = true
		if r.Status&amd64.MCAddressValid != 0 {
			address = r.Address
		}
	}
	t.machineChecks = nil
	if lost {
		t.ForceSignal(signal.MemoryErrorInfo(address, pageShift))
	}
}
