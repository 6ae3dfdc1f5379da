package amd64

import "unsafe"

// extendedFeatures is what XCR0 enables: x87, SSE and the vector extensions
// that the CPU has. XMM and MXCSR are saved by the trampolines, all else when
// another task needs the registers.
//
// A feature that Go's runtime would use must stay off until the runtime has
// started and chosen its code paths: see EnableExtendedState.
type extendedFeatures struct {
	mask    uint64 // XCR0; 0: the CPU has no XSAVE, or it is not enabled yet
	size    uint64 // bytes of an XSAVE area for mask
	offsets [extendedComponents]struct{ offset, size uint32 }
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

// leaf7 returns EBX and ECX of CPUID leaf 7, zero on a CPU that has no such
// leaf: it would answer for the last that it has (SDM vol. 2A, CPUID).
func leaf7() (ebx, ecx uint32) {
	if highest, _, _, _ := cpuid(0, 0); highest < cpuidLeaf7 {
		return 0, 0
	}
	_, ebx, ecx, _ = cpuid(cpuidLeaf7, 0)
	return ebx, ecx
}

// EnableExtendedState finds out which register state beyond SSE user programs
// may have. It is called once, when the Go runtime runs: had it been before,
// Go would use AVX itself and lose the users' upper halves. Each CPU sets its
// own CR4.OSXSAVE when it first loads a user's state.
func EnableExtendedState() {
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
		extended.offsets[i].offset, extended.offsets[i].size = offset, size
		extended.size = max(extended.size, uint64(offset+size))
	}
	extended.mask = mask
}

// ExtendedMask returns XCR0 as user programs see it, 0 without XSAVE.
func ExtendedMask() uint64 { return extended.mask }

// ExtendedSize returns how many bytes a user's XSAVE area has: the size of
// the buffer for ReadExtended, and what a signal frame needs.
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

//go:nosplit
func saveExtended(f *Frame) {
	if extended.mask == 0 {
		fxsave(f.extended)
		return
	}
	xsave(f.extended, extended.mask&^StateSSE)
}

//go:nosplit
func restoreExtended(f *Frame) {
	if extended.mask == 0 {
		fxrstor(f.extended)
		return
	}
	xrstor(f.extended, extended.mask&^StateSSE)
}

// extendedBytes is the frame's XSAVE area.
func (f *Frame) extendedBytes() []byte {
	skip := f.extended - uint64(uintptr(unsafe.Pointer(&f.area[0])))
	return f.area[skip : skip+extendedStateSize()]
}

// ResetExtended gives f the initial x87, vector and MXCSR state (SDM vol. 1,
// 13.6). f must be live nowhere.
func (f *Frame) ResetExtended() {
	b := f.extendedBytes()
	clear(b)
	le.PutUint16(b, defaultFCW)
	le.PutUint32(b[legacyMXCSR:], DefaultMXCSR)
	f.XMM = [16][16]byte{}
	f.MXCSR = DefaultMXCSR
}

// ReadExtended writes f's x87 and vector state in XSAVE's standard format to
// b, which has ExtendedSize bytes, for a signal frame or ptrace(2). The
// caller is f's goroutine, or f's task is stopped.
func (f *Frame) ReadExtended(b []byte) {
	Release(f)
	copy(b, f.extendedBytes())
	le.PutUint32(b[legacyMXCSR:], f.MXCSR)
	le.PutUint32(b[legacyMXCSRMask:], mxcsrMask)
	for i := range f.XMM {
		copy(b[legacyXMM+16*i:], f.XMM[i][:])
	}
	if extended.mask == 0 {
		return
	}
	state := le.Uint64(b[extendedHeader:])
	if state&StateX87 == 0 {
		initialX87(b)
	}
	le.PutUint64(b[extendedHeader:], state|StateX87|StateSSE)
}

// initialX87 writes the x87 state that XSAVE left out because it was initial.
func initialX87(b []byte) {
	clear(b[:legacyMXCSR])
	clear(b[32:legacyXMM])
	le.PutUint16(b, defaultFCW)
}

// WriteExtended takes x87 and vector state over from b, in XSAVE's standard
// format or, if b has only the 512 bytes of FXSAVE, without what follows it.
// Components beyond what the CPU has are ignored. It reports false, and
// changes nothing, if b is too short, or names components that do not exist or
// MXCSR bits that fault. The caller is f's goroutine, or f's task is stopped.
func (f *Frame) WriteExtended(b []byte) bool {
	if len(b) < legacySize || le.Uint32(b[legacyMXCSR:])&^mxcsrMask != 0 {
		return false
	}
	states := uint64(StateX87 | StateSSE)
	if extended.mask != 0 && uint64(len(b)) >= extended.size {
		states = le.Uint64(b[extendedHeader:])
		reserved := b[extendedHeader+8 : extendedMinimum] // compaction, and zeros
		if states&^extended.mask != 0 || !allZero(reserved) {
			return false
		}
	}
	Release(f)
	f.ResetExtended()
	f.takeStates(b, states)
	return true
}

func (f *Frame) takeStates(b []byte, states uint64) {
	area := f.extendedBytes()
	f.MXCSR = le.Uint32(b[legacyMXCSR:])
	if states&StateX87 != 0 {
		copy(area[:legacyMXCSR], b)
		copy(area[32:legacyXMM], b[32:])
	}
	if states&StateSSE != 0 {
		for i := range f.XMM {
			copy(f.XMM[i][:], b[legacyXMM+16*i:])
		}
	}
	for i := 2; i < extendedComponents; i++ {
		if states>>i&1 != 0 {
			o := extended.offsets[i]
			copy(area[o.offset:o.offset+o.size], b[o.offset:])
		}
	}
	if extended.mask != 0 {
		le.PutUint64(area[extendedHeader:], states&^StateSSE)
	}
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
