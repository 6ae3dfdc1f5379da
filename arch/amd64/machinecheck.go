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

	mcContextCorrupt = 1 << 57
)

// MachineCheckRecord is one bank of one machine check.
type MachineCheckRecord struct {
	CPU, Bank       uint64
	GlobalStatus    uint64 // IA32_MCG_STATUS
	Status, Address uint64
	Misc            uint64
}

// machineChecks holds the records until those whose programs the checks
// interrupted take them, which they do on their way out of EnterUser.
var machineChecks machineCheckLog

// machineCheckLog is a set of records. CPUs put records in with interrupts off,
// each victim takes its own; no lock, because #MC has none to wait for.
type machineCheckLog struct {
	slots [64]machineCheckSlot
	full  atomic.Uint32 // records that found no slot since the last take
}

// machineCheckSlot has one record. victim is the address of the frame of the
// program that was interrupted, slotFree, or slotFilling.
type machineCheckSlot struct {
	victim atomic.Uint64
	record MachineCheckRecord
}

const (
	slotFree    = 0
	slotFilling = 1
)

// put keeps a record for a victim.
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

// take returns a victim's records, and how many were dropped, anybody's, since
// the last call.
func (l *machineCheckLog) take(victim uint64) (records []MachineCheckRecord, dropped int) {
	for i := range l.slots {
		if s := &l.slots[i]; s.victim.Load() == victim {
			records = append(records, s.record)
			s.victim.Store(slotFree)
		}
	}
	return records, int(l.full.Swap(0))
}

// RecordMachineCheck reads the banks of this CPU, keeps what is valid for the
// program that the check interrupted, and clears them so that the next check
// finds them free. It reports whether the CPU can go on: not if what it was
// doing is corrupt. Package goos calls it for #MC from user mode, with
// interrupts off, before anything could take the CPU from that program.
//
//go:nosplit
func RecordMachineCheck() (goOn bool) {
	goOn = true
	c := thisCPU()
	status := readMSR(msrMCGStatus)
	for bank := range uint32(readMSR(msrMCGCap) & mcgCountMask) {
		base := msrMCBank + 4*bank
		s := readMSR(base + 1)
		if s&MCValid == 0 {
			continue
		}
		if s&mcContextCorrupt != 0 {
			goOn = false
		}
		machineChecks.put(c.userFrame, &MachineCheckRecord{
			CPU: c.id, Bank: uint64(bank), GlobalStatus: status,
			Status: s, Address: readMSR(base + 2), Misc: readMSR(base + 3),
		})
		writeMSR(base+1, 0)
	}
	writeMSR(msrMCGStatus, 0) // or the next one shuts the machine down
	return goOn
}

// TakeMachineChecks returns the records of the checks that interrupted f's
// program, and how many of anybody's were dropped because too many came at
// once. The caller is f's own goroutine, on the way out of EnterUser: the next
// program at that address must find none.
func TakeMachineChecks(f *Frame) (records []MachineCheckRecord, dropped int) {
	return machineChecks.take(frameAddress(f))
}

// enableMachineChecks turns #MC on, on this CPU, for all banks.
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
