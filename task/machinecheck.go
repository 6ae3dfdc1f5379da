package task

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/signal"
)

// MachineCheckHandlers returns the handlers of MCE_NOTIFY.
func MachineCheckHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{Flag: entry.MCENotify, BeforeUser: (*Task).serveMachineChecks}
}

// machineCheckSubsystem logs the machine-check records that are left when a task
// exits.
var machineCheckSubsystem = Subsystem{
	Name: "machine checks",
	Exit: func(t *Task) { t.takeMachineChecks() },
}

// lostPageShift is si_addr_lsb of the SIGBUS for a lost page: log2 of the page
// size (sigaction(2)).
const lostPageShift = 12

// machineCheck handles #MC. It takes the CPU's machine-check records and raises
// MCE_NOTIFY, whose handler logs them and sends the signal.
func (t *Task) machineCheck(f *amd64.Frame, _ int) {
	records, dropped := amd64.TakeMachineChecks(f)
	if dropped > 0 {
		t.kernel.Logf("%d machine-check records are lost, because too many arrived at once. One of these machine checks may have interrupted %s.", dropped, t)
		records = append(records, amd64.MachineCheckRecord{Status: amd64.MCUncorrected}) // assume the worst: memory is lost
	}
	t.machineChecks = append(t.machineChecks, records...)
	entry.Raise(&f.ThreadFlags, entry.MCENotify)
}

// takeMachineChecks logs, removes and returns the records of the machine checks
// that interrupted the task.
func (t *Task) takeMachineChecks() []amd64.MachineCheckRecord {
	records := t.machineChecks
	t.machineChecks = nil
	for _, r := range records {
		t.kernel.Logf("Machine check on CPU %d, bank %d: status %#x, address %#x, misc %#x, global status %#x. It interrupted %s.",
			r.CPU, r.Bank, r.Status, r.Address, r.Misc, r.GlobalStatus, t)
	}
	return records
}

// serveMachineChecks is the handler of MCE_NOTIFY. It sends the task SIGBUS if an
// error was not corrected.
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
		t.ForceSignal(signal.MemoryErrorInfo(address, lostPageShift))
	}
}
