package amd64

import "sync/atomic"

// MachineCheck registers (SDM vol. 3B, 16.3).
const (
	msrMCGCap    = 0x179
	msrMCGStatus = 0x17a
	msrMCBank    = 0x400 // then four for each bank: control, status, address, misc

	mcgCountMask = 0xff
)

// Bits of a bank's status register (SDM vol. 3B, 16.3.2.2).
const (
	MCValid        = 1 << 63
	MCUncorrected  = 1 << 61
	MCAddressValid = 1 << 58

	mcMiscValid = 1 << 59

	mcContextCorrupt = 1 << 57
)

// MachineCheckRecord is one bank of one machine check.
type MachineCheckRecord struct {
	CPU, Bank       uint64
	GlobalStatus    uint64 // IA32_MCG_STATUS
	Status, Address uint64
	Misc            uint64
}

// machineChecks holds the records until the tasks that the checks interrupted take
// them, after EnterUser has returned.
var machineChecks machineCheckLog

// machineCheckLog is a set of records. CPUs put records into it with interrupts
// off, and each victim takes its own. It has no lock, because #MC must not wait.
type machineCheckLog struct {
	slots [64]machineCheckSlot
	full  atomic.Uint32 // records that found no slot since the last take
}

// machineCheckSlot holds one record. victim is the address of the interrupted
// program's frame, slotFree or slotFilling.
type machineCheckSlot struct {
	victim atomic.Uint64
	record MachineCheckRecord
}

const (
	slotFree    = 0
	slotFilling = 1
)

// put stores a record for a victim.
//
//go:nosplit
func (l *machineCheckLog) put(victim uint64, r *MachineCheckRecord) {
	for i := range l.slots {
		if s := &l.slots[i]; s.victim.CompareAndSwap(slotFree, slotFilling) {
			s.record = *r
			s.victim.Store(victim)
			return
		}
	}
	l.full.Add(1)
}

// take removes and returns a victim's records, and returns how many records, of any
// victim, were dropped since the last call.
func (l *machineCheckLog) take(victim uint64) (records []MachineCheckRecord, dropped int) {
	for i := range l.slots {
		if s := &l.slots[i]; s.victim.Load() == victim {
			records = append(records, s.record)
			s.victim.Store(slotFree)
		}
	}
	return records, int(l.full.Swap(0))
}

// RecordMachineCheck stores the valid banks of this CPU for the program that the
// check interrupted, and clears the banks for the next check. It returns false if
// the processor context is corrupt, so that the CPU cannot continue. Package goos
// calls it for #MC from user mode, with interrupts off, before another CPU can
// take the program's state.
//
//go:nosplit
func RecordMachineCheck() (canContinue bool) {
	canContinue = true
	c := thisCPU()
	status := readMSR(msrMCGStatus)
	for bank := range uint32(readMSR(msrMCGCap) & mcgCountMask) {
		base := msrMCBank + 4*bank
		s := readMSR(base + 1)
		if s&MCValid == 0 {
			continue
		}
		if s&mcContextCorrupt != 0 {
			canContinue = false
		}
		record := MachineCheckRecord{CPU: c.id, Bank: uint64(bank), GlobalStatus: status, Status: s}
		// A bank may lack these two. Then a read raises #GP (SDM vol. 3B, 16.3.2.3).
		if s&MCAddressValid != 0 {
			record.Address = readMSR(base + 2)
		}
		if s&mcMiscValid != 0 {
			record.Misc = readMSR(base + 3)
		}
		machineChecks.put(c.userFrame, &record)
		writeMSR(base+1, 0)
	}
	writeMSR(msrMCGStatus, 0) // or the next one shuts the machine down
	return canContinue
}

// TakeMachineChecks removes and returns the records of the checks that interrupted
// f's program, and returns how many records of any program were dropped because
// there was no room. The caller is f's own goroutine, when EnterUser returns
// MachineCheck: a later frame at the same address must find none.
func TakeMachineChecks(f *Frame) (records []MachineCheckRecord, dropped int) {
	return machineChecks.take(frameAddress(f))
}

// enableMachineChecks enables #MC on this CPU, for all banks.
func enableMachineChecks() {
	const featureMCE, featureMCA = 1 << 7, 1 << 14 // of leaf 1, EDX
	_, _, _, d := cpuid(cpuidFeatures, 0)
	if d&featureMCE == 0 || d&featureMCA == 0 {
		return
	}
	for bank := range uint32(readMSR(msrMCGCap) & mcgCountMask) {
		writeMSR(msrMCBank+4*bank, ^uint64(0))
		writeMSR(msrMCBank+4*bank+1, 0)
	}
	writeCR4(readCR4() | cr4MCE)
}
