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
	MCContext      = 1 << 57 // the processor's context is corrupt
)

// MachineCheckRecord is one bank of one machine check.
type MachineCheckRecord struct {
	CPU, Bank       uint64
	GlobalStatus    uint64 // IA32_MCG_STATUS
	Status, Address uint64
	Misc            uint64
}

// machineChecks holds the records until somebody takes them: a ring that the
// CPUs fill with interrupts off. Old ones are lost if nobody does.
var machineChecks struct {
	records [16]MachineCheckRecord
	written atomic.Uint64
	taken   atomic.Uint64
}

// RecordMachineCheck reads the banks of this CPU, keeps what is valid, and
// clears them so that the next check finds them free. Package goos calls it
// for #MC, with interrupts off.
//
//go:nosplit
func RecordMachineCheck() {
	status := readMSR(msrMCGStatus)
	for bank := range uint32(readMSR(msrMCGCap) & mcgCountMask) {
		base := msrMCBank + 4*bank
		s := readMSR(base + 1)
		if s&MCValid == 0 {
			continue
		}
		i := machineChecks.written.Add(1) - 1
		machineChecks.records[i%uint64(len(machineChecks.records))] = MachineCheckRecord{
			CPU: thisCPU().id, Bank: uint64(bank), GlobalStatus: status,
			Status: s, Address: readMSR(base + 2), Misc: readMSR(base + 3),
		}
		writeMSR(base+1, 0)
	}
	writeMSR(msrMCGStatus, 0) // or the next one shuts the machine down
}

// TakeMachineChecks returns the records that nobody has taken yet. Goroutines
// call it.
func TakeMachineChecks() []MachineCheckRecord {
	var out []MachineCheckRecord
	for {
		from, to := machineChecks.taken.Load(), machineChecks.written.Load()
		if from == to {
			return out
		}
		r := machineChecks.records[from%uint64(len(machineChecks.records))]
		if machineChecks.taken.CompareAndSwap(from, from+1) {
			out = append(out, r)
		}
	}
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
