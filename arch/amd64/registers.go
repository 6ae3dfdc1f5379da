package amd64

import "unsafe"

// Out8 writes v to an I/O port. Any context.
//
//go:noescape
func Out8(port uint16, v uint8)

// In8 reads an I/O port. Any context.
//
//go:noescape
func In8(port uint16) uint8

// Out32 writes v to an I/O port. Any context.
//
//go:noescape
func Out32(port uint16, v uint32)

// In32 reads an I/O port. Any context.
//
//go:noescape
func In32(port uint16) uint32

//go:noescape
func outString(port uint16, p *byte, n int)

// OutBytes writes all of p to an I/O port, in order. Any context.
func OutBytes(port uint16, p []byte) {
	if len(p) > 0 {
		outString(port, &p[0], len(p))
	}
}

// TSC reads the time-stamp counter (SDM vol. 3B, 18.17). Any context.
//
//go:noescape
func TSC() uint64

//go:noescape
func rdrand() (v uint64, ok bool)

// Random returns 64 bits from the CPU's random number generator, mixed with
// the time-stamp counter, which is all there is on a CPU without one (SDM vol.
// 1, 7.3.17). Any context.
func Random() uint64 {
	const tries = 10 // the manual's advice
	v := TSC() * 0x9e3779b97f4a7c15
	if _, _, c, _ := cpuid(cpuidFeatures, 0); c&featureRDRAND == 0 {
		return v
	}
	for range tries {
		if r, ok := rdrand(); ok {
			return r ^ v
		}
	}
	return v
}

// Pause tells the CPU that it is in a spin loop. Any context.
//
//go:noescape
func Pause()

//go:noescape
func writeMSR(msr uint32, v uint64)

//go:noescape
func readMSR(msr uint32) uint64

//go:noescape
func cpuid(leaf, sub uint32) (eax, ebx, ecx, edx uint32)

//go:noescape
func loadCR3(v uint64)

// FaultAddress returns CR2, the address of the last page fault. Interrupts
// must be off.
//
//go:noescape
func FaultAddress() uint64

//go:noescape
func readDR6() uint64

//go:noescape
func writeDR6(v uint64)

//go:noescape
func writeDebugRegisters(dr0, dr1, dr2, dr3, dr7 uint64)

//go:noescape
func readCR4() uint64

//go:noescape
func writeCR4(v uint64)

//go:noescape
func invlpg(va uint64)

//go:noescape
func loadIDT(descriptor unsafe.Pointer)

//go:noescape
func loadGDT(descriptor unsafe.Pointer)

//go:noescape
func loadTaskRegister(selector uint64)

//go:noescape
func loadLDT(selector uint16)

//go:noescape
func taskRegister() uint64

//go:noescape
func interruptsOff()

//go:noescape
func interruptsOn()

//go:noescape
func rdgsbase() uint64

//go:noescape
func wrgsbase(v uint64)

//go:noescape
func writeXCR0(v uint64)

//go:noescape
func xsave(area, mask uint64)

//go:noescape
func xrstor(area, mask uint64)

//go:noescape
func fxsave(area uint64)

//go:noescape
func fxrstor(area uint64)

// Model-specific registers (SDM vol. 4).
const (
	msrSysenterCS  = 0x174
	msrSysenterESP = 0x175
	msrSysenterEIP = 0x176
	msrDebugctl    = 0x1d9
	msrEFER        = 0xc0000080
	msrSTAR        = 0xc0000081
	msrLSTAR       = 0xc0000082
	msrCSTAR       = 0xc0000083
	msrSFMASK      = 0xc0000084
	msrFSBase      = 0xc0000100
	msrGSBase      = 0xc0000101
	msrTSCAux      = 0xc0000103
)

// debugctlBTF is IA32_DEBUGCTL.BTF, single-step on branches (SDM vol. 3B,
// 18.4.1).
const debugctlBTF = 1 << 1

// Bits of CR4 (SDM vol. 3A, 2.5).
const (
	cr4TSD      = 1 << 2
	cr4MCE      = 1 << 6
	cr4FSGSBASE = 1 << 16
	cr4OSXSAVE  = 1 << 18
	cr4UMIP     = 1 << 11
	cr4SMEP     = 1 << 20
	cr4SMAP     = 1 << 21
)
