package task

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/signal"
)

// MachineCheckHandlers serve MCE_NOTIFY.
func MachineCheckHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.MCENotify, BeforeUser: (*Task).serveMachineChecks}
}

// machineCheckSubsystem logs the records of machine checks that a task has not
// served when it exits.
var machineCheckSubsystem = Subsystem{
	Name: "machine checks",
	Exit: func(t *Task) { t.takeMachineChecks() },
}

// pageShift is log2 of the page that a machine check takes from a program
// (sigaction(2), si_addr_lsb).
const pageShift = 12

// machineCheck takes what the CPU has recorded of a machine check that
// interrupted the task, and raises MCE_NOTIFY for the rest.
func (t *Task) machineCheck(f *amd64.Frame, _ int) {
	records, dropped := amd64.TakeMachineChecks(f)
	if dropped > 0 {
		t.kernel.Logf("%d records of machine checks are lost, because too many came at once; one of them may have interrupted %s.", dropped, t)
		records = append(records, amd64.MachineCheckRecord{Status: amd64.MCUncorrected}) // as bad as it can be
	}
	t.machineChecks = append(t.machineChecks, records...)
	entry.Raise(&f.ThreadFlags, entry.MCENotify)
}

// takeMachineChecks logs the records of the checks that interrupted the task,
// and returns and removes them.
func (t *Task) takeMachineChecks() []amd64.MachineCheckRecord {
	records := t.machineChecks
	t.machineChecks = nil
	for _, r := range records {
		t.kernel.Logf("Machine check on CPU %d, bank %d: status %#x, address %#x, misc %#x, global status %#x; it interrupted %s.",
			r.CPU, r.Bank, r.Status, r.Address, r.Misc, r.GlobalStatus, t)
	}
	return records
}

// serveMachineChecks serves MCE_NOTIFY: it sends the task SIGBUS if memory of
// its own is lost.
func (t *Task) serveMachineChecks() {
	lost, address := false, uint64(0)
	for _, r := range t.takeMachineChecks() {
		if r.Status&amd64.MCUncorrected == 0 {
			continue
		}
		lost = true
		if r.Status&amd64.MCAddressValid != 0 {
			address = r.Address
		}
	}
	if lost {
		t.ForceSignal(signal.MemoryErrorInfo(address, pageShift))
	}
}
