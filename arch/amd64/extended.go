package amd64

// extendedFeatures is what XCR0 enables: x87, SSE and the CPU's vector extensions.
// The trampolines save XMM and MXCSR; the rest is saved when another task needs the
// registers (takecpu.go).
//
// A feature that the Go runtime could use must be off until the runtime has chosen
// its code paths: see EnableExtendedState.
type extendedFeatures struct {
	mask uint64 // XCR0; 0: the CPU has no XSAVE, or it is not enabled yet
	size uint64 // bytes of an XSAVE area for mask
}

// Components of XCR0 (SDM vol. 1, 13.1).
const (
	StateX87       = 1 << 0
	StateSSE       = 1 << 1
	StateAVX       = 1 << 2
	StateOpmask    = 1 << 5
	StateZMMHigh   = 1 << 6
	StateHigh16ZMM = 1 << 7

	extendedComponents = 8
	avx512States       = StateOpmask | StateZMMHigh | StateHigh16ZMM
)

// The legacy region and the header of an XSAVE area (SDM vol. 1, 13.4).
const (
	extendedAlign     = 64
	legacySize        = 512
	legacyMXCSR       = 24
	legacyMXCSRMask   = 28
	legacyXMM         = 160
	legacyReserved    = 416 // to the end: reserved bytes, and those of software
	extendedHeader    = 512
	extendedMinimum   = 576
	defaultFCW        = 0x37f
	cpuidExtended     = 0xd
	cpuidFeatures     = 1
	featureXSAVE      = 1 << 26 // of leaf 1, ECX
	featureRDRAND     = 1 << 30
	featureHypervisor = 1 << 31
	cpuidLeaf7        = 7
	feature7SMEP      = 1 << 7 // of leaf 7, EBX
	feature7SMAP      = 1 << 20
	feature7FSGSBASE  = 1 << 0
	feature7UMIP      = 1 << 2 // of leaf 7, ECX
)

var extended extendedFeatures

// leaf7 returns EBX and ECX of CPUID leaf 7, or zero on a CPU without it, which
// would return the values of its last leaf (SDM vol. 2A, CPUID).
func leaf7() (ebx, ecx uint32) {
	if highest, _, _, _ := cpuid(0, 0); highest < cpuidLeaf7 {
		return 0, 0
	}
	_, ebx, ecx, _ = cpuid(cpuidLeaf7, 0)
	return ebx, ecx
}

// EnableExtendedState determines the extended state of user programs. It is called
// once, when the Go runtime runs. If OSXSAVE were set before, the runtime would use
// AVX and overwrite the users' upper halves. Each CPU sets CR4.OSXSAVE when it first
// loads a program's state.
func EnableExtendedState() {
	setInitialState()
	mxcsrMask = readMXCSRMask()
	if _, _, c, _ := cpuid(cpuidFeatures, 0); c&featureXSAVE == 0 {
		return
	}
	lo, _, _, _ := cpuid(cpuidExtended, 0)
	mask := uint64(lo) & (StateX87 | StateSSE | StateAVX | avx512States)
	if mask&avx512States != avx512States || mask&StateAVX == 0 {
		mask &^= avx512States // all three or none, and only with AVX
	}
	extended.size = extendedMinimum
	for i := uint32(2); i < extendedComponents; i++ {
		if mask>>i&1 == 0 {
			continue
		}
		size, offset, _, _ := cpuid(cpuidExtended, i)
		extended.size = max(extended.size, uint64(offset+size))
	}
	extended.mask = mask
}

// ExtendedMask returns XCR0 as user programs see it, or 0 without XSAVE. Any
// context.
func ExtendedMask() uint64 { return extended.mask }

// ExtendedSize returns the size in bytes of a user's XSAVE area: of the buffer for
// ReadExtended, and of the area in a signal frame. Any context.
func ExtendedSize() int { return int(extendedStateSize()) }

func extendedStateSize() uint64 { return max(extended.size, legacySize) }

// enableExtendedState sets XCR0 on this CPU.
//
//go:nosplit
func enableExtendedState(c *perCPU) {
	if c.extended != 0 || extended.mask == 0 {
		return
	}
	c.extended = 1
	writeCR4(readCR4() | cr4OSXSAVE)
	writeXCR0(extended.mask)
}
