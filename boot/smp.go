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

// RouteISA lets an ISA interrupt arrive at the first processor; wait for it
// with goos.WaitIRQ. The kernel's main package calls it once a device.
func RouteISA(irq uint32) { amd64.RouteISA(machine.acpi.ioapic, machine.acpi.pins[irq], irq) }

// CPUs returns how many processors run.
func CPUs() int { return int(arrived.Load()) + 1 }
