package amd64

import "sync/atomic"

// The local APIC's registers, as offsets from its base (SDM vol. 3A, 12.4.1).
const (
	apicPhysical  = 0xfee00000
	apicID        = 0x20
	apicEOI       = 0xb0
	apicSpurious  = 0xf0
	apicICRLow    = 0x300
	apicICRHigh   = 0x310
	apicTimer     = 0x320
	apicLINT1     = 0x360
	apicInitCount = 0x380
	apicNowCount  = 0x390
	apicDivide    = 0x3e0

	icrPending   = 1 << 12
	icrAssert    = 1 << 14
	deliverNMI   = 4 << 8 // SDM vol. 3A, 12.5.1: delivery mode
	icrInit      = 5 << 8
	icrStartup   = 6 << 8
	spuriousOn   = 1 << 8
	divideByOne  = 0xb
	ioapicSelect = 0x00
	ioapicWindow = 0x10
	ioapicTable  = 0x10 // first redirection register
)

//go:nosplit
func apicRegister(r uint64) *uint32 { return (*uint32)(pointer(DirectMap + apicPhysical + r)) }

//go:nosplit
func apicWrite(r uint64, v uint32) { atomic.StoreUint32(apicRegister(r), v) }

//go:nosplit
func apicRead(r uint64) uint32 { return atomic.LoadUint32(apicRegister(r)) }

// sendICR sends an inter-processor interrupt. Interrupts must be off, because the
// command is written to two registers.
//
//go:nosplit
func sendICR(apic, command uint32) {
	for apicRead(apicICRLow)&icrPending != 0 {
		Pause()
	}
	apicWrite(apicICRHigh, apic<<24)
	apicWrite(apicICRLow, command)
}

//go:nosplit
func sendIPI(c *perCPU) { sendICR(uint32(c.apicID), icrAssert|VectorIPI) }

// SendIPI interrupts CPU i, which then looks at the run queue and at its requests.
// Interrupts must be off.
//
//go:nosplit
func SendIPI(i int) { sendIPI(cpuBlock(uint64(i))) }

// StartCPU sends the INIT and startup IPIs (SDM vol. 3A, 9.4.4.1) to the CPU with a
// local APIC ID. The CPU starts in real mode at the given physical page below
// 1 MiB. wait delays for the given number of microseconds. Boot only.
func StartCPU(apic uint32, page uint64, wait func(us uint64)) {
	sendICR(apic, icrAssert|icrInit)
	wait(10000)
	for range 2 {
		sendICR(apic, icrAssert|icrStartup|uint32(page>>PageShift))
		wait(200)
	}
}

// EndOfInterrupt acknowledges an interrupt to the local APIC. Interrupts must be
// off.
//
//go:nosplit
func EndOfInterrupt() { apicWrite(apicEOI, 0) }

// SetTimer makes this CPU's timer interrupt once, after the given number of its
// ticks; 0 stops it. Interrupts must be off.
//
//go:nosplit
func SetTimer(ticks uint32) { apicWrite(apicInitCount, ticks) }

// ArmTimer makes a CPU's timer interrupt after at most the given number of its ticks, at least
// 1. Another CPU than the caller's is interrupted, and arms its timer itself. Interrupts are on.
//
//go:nosplit
func ArmTimer(cpu int, ticks uint32) {
	interruptsOff()
	if int(thisCPU().id) != cpu {
		SendIPI(cpu)
	} else if left := TimerLeft(); left == 0 || ticks < left {
		SetTimer(ticks)
	}
	interruptsOn()
}

// TimerLeft returns the timer's remaining ticks. Interrupts must be off.
//
//go:nosplit
func TimerLeft() uint32 { return apicRead(apicNowCount) }

// initAPIC enables this CPU's local APIC, its one-shot timer and its NMI input. A
// PC's NMI is connected to LINT1 of every local APIC (ACPI, 5.2.12.7), which is
// masked at reset.
func initAPIC(c *perCPU) {
	apicWrite(apicSpurious, spuriousOn|VectorSpurious)
	apicWrite(apicDivide, divideByOne)
	apicWrite(apicTimer, VectorTimer)
	apicWrite(apicLINT1, deliverNMI)
	c.apicID = uint64(apicRead(apicID) >> 24)
}

// RouteInterrupt routes a device's interrupt, edge-triggered, to the first CPU as
// vector VectorDevice+irq. ioapic is the I/O APIC's physical address, pin its
// input, from ACPI's MADT. The caller serialises calls.
func RouteInterrupt(ioapic uint64, pin, irq uint32) {
	sel := (*uint32)(pointer(DirectMap + ioapic + ioapicSelect))
	window := (*uint32)(pointer(DirectMap + ioapic + ioapicWindow))
	write := func(register, v uint32) {
		atomic.StoreUint32(sel, register)
		atomic.StoreUint32(window, v)
	}
	write(ioapicTable+2*pin+1, uint32(cpuBlock(0).apicID)<<24)
	write(ioapicTable+2*pin, VectorDevice+irq)
}

// DisablePIC masks the two 8259 interrupt controllers. Before, it moves their
// vectors away from those of exceptions, because a spurious interrupt may still
// arrive. Boot only.
func DisablePIC() {
	const master, slave = 0x20, 0xa0
	for _, pic := range [...]struct {
		port  uint16
		words [4]uint8
	}{
		{master, [4]uint8{0x11, 0xf0, 4, 1}},
		{slave, [4]uint8{0x11, 0xf8, 2, 1}},
	} {
		Out8(pic.port, pic.words[0])
		for _, w := range pic.words[1:] {
			Out8(pic.port+1, w)
		}
		Out8(pic.port+1, 0xff)
	}
}
