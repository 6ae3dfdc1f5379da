package boot

import (
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/boot/image"
	"slowpath/goos"
)

// arrived counts the other processors that have reached startOther.
var arrived atomic.Uint32

// startOthers starts the processors that ACPI lists, one after the other: they
// share one stack until each has its own.
func startOthers() {
	code := physical(Range{image.TrampolineAt, image.TrampolineAt + image.TrampolineSize})
	copy(physical(Range{image.TrampolineRuns, image.TrampolineRuns + image.TrampolineSize}), code)
	for i := 1; i < machine.acpi.cpuCount; i++ {
		amd64.StartCPU(machine.acpi.cpus[i], image.TrampolineRuns, goos.Delay)
		for waited := 0; arrived.Load() != uint32(i); waited++ {
			const patience = 10000 // times 100 microseconds
			if waited == patience {
				goos.Print("boot: a processor did not start\n")
				return
			}
			goos.Delay(100)
		}
	}
}

// startOther is the first Go function of every other processor. When it
// returns, the processor's idle thread is current.
func startOther() {
	amd64.LeaveBootRoot()
	goos.StartCPU(int(arrived.Load()) + 1)
	arrived.Add(1)
}

// RouteInterrupt lets the interrupt of a device arrive at the first processor,
// edge-triggered; wait for it with goos.WaitIRQ. Interrupts 0 to 15 are the ISA
// bus's, those up to 23 the further inputs of the first I/O APIC; it reports
// false for others. A level-triggered line may be routed so too, if its driver
// quiets the device each time before it looks for work. The kernel's main
// package calls it once a device.
func RouteInterrupt(irq uint32) bool {
	const inputs = 24
	if irq >= inputs {
		return false
	}
	pin := irq
	if irq < uint32(len(machine.acpi.pins)) {
		pin = machine.acpi.pins[irq]
	}
	amd64.RouteInterrupt(machine.acpi.ioapic, pin, irq)
	return true
}

// CPUs returns how many processors run.
func CPUs() int { return int(arrived.Load()) + 1 }
