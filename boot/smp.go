package boot

import (
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/boot/image"
	"slowpath/goos"
)

// arrived is the number of CPUs, besides the first, that finished startOther.
var arrived atomic.Uint32

// startOthers starts the CPUs that ACPI lists, one after the other, because they
// share one stack during their start.
func startOthers() {
	code := physical(Range{image.TrampolineAt, image.TrampolineAt + image.TrampolineSize})
	copy(physical(Range{image.TrampolineRuns, image.TrampolineRuns + image.TrampolineSize}), code)
	for i := 1; i < machine.acpi.cpuCount; i++ {
		amd64.StartCPU(machine.acpi.cpus[i], image.TrampolineRuns, goos.Delay)
		for waited := 0; arrived.Load() != uint32(i); waited++ {
			const limit = 10000 // times 100 microseconds
			if waited == limit {
				goos.Print("boot: A CPU did not start within a second, so the kernel uses only those that did.\n")
				return
			}
			goos.Delay(100)
		}
	}
}

// startOther is the first Go function of every CPU but the first. When it
// returns, the CPU's idle thread is the current one.
func startOther() {
	amd64.LeaveBootRoot()
	goos.StartCPU(int(arrived.Load()) + 1)
	arrived.Add(1)
}

// RouteInterrupt routes a device's interrupt to the first CPU, edge-triggered.
// goos.WaitIRQ waits for it. Interrupts 0 to 15 are those of the ISA bus, 16 to
// 23 the other inputs of the first I/O APIC; it returns false for others. A
// level-triggered line may be routed too, if its driver acknowledges the device's
// interrupt before it looks for work. Goroutines call it, once for each device.
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

// CPUs returns the number of CPUs that run. Any context.
func CPUs() int { return int(arrived.Load()) + 1 }
