package amd64

import (
	"sync/atomic"
	"unsafe"
)

// The extended state of a program is in its frame's XSAVE area or, while the
// frame is a CPU's fpregsOwner, in that CPU's registers. Then the area is out of
// date. A reader has the CPU save the registers to the area first. A writer
// loads the registers at once: if it changed the area, the CPU's next save would
// overwrite the change.

//go:nosplit
func saveExtended(area uint64) {
	if extended.mask == 0 {
		fxsave(area)
		return
	}
	xsave(area, extended.mask&^StateSSE)
}

//go:nosplit
func restoreExtended(area uint64) {
	if extended.mask == 0 {
		fxrstor(area)
		return
	}
	xrstor(area, extended.mask&^StateSSE)
}

// AlignedBuffer returns size zero bytes with the alignment of an XSAVE area.
func AlignedBuffer(size int) []byte { return aligned(make([]byte, size+extendedAlign))[:size] }

// alignedArea returns the first address in b with the alignment of an XSAVE area.
func alignedArea(b []byte) uint64 {
	return (uint64(uintptr(unsafe.Pointer(&b[0]))) + extendedAlign - 1) &^ (extendedAlign - 1)
}

// aligned returns b from that address.
func aligned(b []byte) []byte {
	return b[alignedArea(b)-uint64(uintptr(unsafe.Pointer(&b[0]))):]
}

// extendedBytes is the frame's XSAVE area.
func (f *Frame) extendedBytes() []byte { return aligned(f.area)[:extendedStateSize()] }

// initialState is an XSAVE area from which XRSTOR loads the initial state (SDM vol.
// 1, 13.6). It consists of the legacy region and a header without components.
var initialState [extendedMinimum + extendedAlign]byte

func setInitialState() { writeInitial(aligned(initialState[:])) }

// readMXCSRMask returns the bits of MXCSR that this CPU has (SDM vol. 1, 11.6.6).
func readMXCSRMask() uint32 {
	b := AlignedBuffer(legacySize)
	fxsave(alignedArea(b))
	if mask := le.Uint32(b[legacyMXCSRMask:]); mask != 0 {
		return mask
	}
	return defaultMXCSRMask
}

// writeInitial writes an XSAVE area of the initial state to b.
func writeInitial(b []byte) {
	clear(b)
	le.PutUint16(b, defaultFCW)
	le.PutUint32(b[legacyMXCSR:], DefaultMXCSR)
}

// ResetExtended sets f's x87, vector and MXCSR state to the initial one. The caller
// is f's own goroutine, or f's task is stopped.
func (f *Frame) ResetExtended() {
	f.XMM = [16][16]byte{}
	f.MXCSR = DefaultMXCSR
	if f.loadExtended(alignedArea(initialState[:])) {
		return
	}
	writeInitial(f.extendedBytes())
}

// loadExtended loads an XSAVE area of the kernel's into the registers that hold
// f's state. It returns false if no CPU's registers hold it, which stays so until
// f's task runs again: the state is in the frame's own area.
func (f *Frame) loadExtended(area uint64) bool {
	for {
		switch tryRegisters(f, area, load) {
		case inRegisters:
			return true
		case inMemory:
			return false
		}
		Pause()
	}
}

// storeExtended stores the registers that hold f's state in an XSAVE area of the kernel's,
// and continues to hold the state there. It returns false if no CPU's registers hold it: the
// state is in the frame's own area.
func (f *Frame) storeExtended(area uint64) bool {
	for {
		switch tryRegisters(f, area, store) {
		case inRegisters:
			return true
		case inMemory:
			return false
		}
		Pause()
	}
}

// transfer is the direction in which tryRegisters moves a state.
type transfer bool

const (
	load  transfer = false // from the area to the registers
	store transfer = true  // from the registers to the area
)

// stateLocation says where a frame's state is.
type stateLocation int

const (
	inMemory stateLocation = iota
	inRegisters
	onOtherCPU // which was requested to save it
)

// tryRegisters loads f's extended state from an area, or stores it there, if this CPU's
// registers hold it.
//
//go:nosplit
func tryRegisters(f *Frame, area uint64, t transfer) stateLocation {
	if atomic.LoadUint64(&f.cpu) == 0 {
		return inMemory
	}
	where := inMemory
	interruptsOff()
	if c := thisCPU(); c.fpregsOwner == frameAddress(f) {
		where = inRegisters
		if t == load {
			restoreExtended(area)
		} else {
			saveExtended(area)
		}
	} else if other := atomic.LoadUint64(&f.cpu); other != 0 {
		where = onOtherCPU
		requestSave((*perCPU)(pointer(other)))
	}
	interruptsOn()
	return where
}

// vectors returns XMM0 to XMM15 in an XSAVE area.
func vectors(b []byte) *[16][16]byte {
	return (*[16][16]byte)(unsafe.Pointer((*[256]byte)(b[legacyXMM:])))
}

// ReadExtended writes f's x87 and vector state in XSAVE's standard format to b,
// which AlignedBuffer made and which has ExtendedSize bytes, for a signal frame or
// ptrace(2). Bytes between the components keep their contents. The caller is f's own
// goroutine, or f's task is stopped.
func (f *Frame) ReadExtended(b []byte) {
	if !f.storeExtended(uint64(uintptr(unsafe.Pointer(&b[0])))) {
		copy(b, f.extendedBytes())
	}
	// The instructions do not write the reserved bytes.
	*(*[legacySize - legacyReserved]byte)(b[legacyReserved:]) = [legacySize - legacyReserved]byte{}
	le.PutUint32(b[legacyMXCSR:], f.MXCSR)
	le.PutUint32(b[legacyMXCSRMask:], mxcsrMask)
	*vectors(b) = f.XMM
	if extended.mask == 0 {
		return
	}
	state := le.Uint64(b[extendedHeader:])
	if state&StateX87 == 0 {
		initialX87(b)
	}
	*(*[extendedMinimum - extendedHeader]byte)(b[extendedHeader:]) = [extendedMinimum - extendedHeader]byte{}
	le.PutUint64(b[extendedHeader:], state|StateX87|StateSSE)
}

// headerIsPlain reports whether the header of an XSAVE area has zeros behind the
// component bits: the area is in the standard format, not the compacted one.
func headerIsPlain(b []byte) bool {
	r := b[extendedHeader+8 : extendedMinimum]
	return le.Uint64(r)|le.Uint64(r[8:])|le.Uint64(r[16:])|le.Uint64(r[24:])|
		le.Uint64(r[32:])|le.Uint64(r[40:])|le.Uint64(r[48:]) == 0
}

// initialX87 writes the initial x87 state, which XSAVE leaves out.
func initialX87(b []byte) {
	clear(b[:legacyMXCSR])
	clear(b[32:legacyXMM])
	le.PutUint16(b, defaultFCW)
}

// WriteExtended takes x87 and vector state over from b, which AlignedBuffer
// made and which has ExtendedSize bytes: in XSAVE's standard format or, if
// legacy is set, in that of FXSAVE, with nothing in what follows its 512 bytes.
// It reports false, and changes nothing, if b is too short, or names components
// that do not exist or MXCSR bits that fault; else b is no more what it was. The
// caller is f's goroutine, or f's task is stopped.
func (f *Frame) WriteExtended(b []byte, legacy bool) bool {
	if len(b) < ExtendedSize() || le.Uint32(b[legacyMXCSR:])&^mxcsrMask != 0 {
		return false
	}
	states := uint64(StateX87 | StateSSE)
	switch {
	case extended.mask == 0:
	case legacy:
		clear(b[extendedHeader:])
	default:
		states = le.Uint64(b[extendedHeader:])
		if states&^extended.mask != 0 || !headerIsPlain(b) {
			return false
		}
	}
	f.MXCSR = le.Uint32(b[legacyMXCSR:])
	if states&StateSSE != 0 {
		f.XMM = *vectors(b)
	} else {
		f.XMM = [16][16]byte{}
	}
	le.PutUint32(b[legacyMXCSR:], DefaultMXCSR) // the kernel's own, until EnterUser loads the frame's
	if extended.mask != 0 {
		le.PutUint64(b[extendedHeader:], states&^StateSSE)
	}
	if !f.loadExtended(uint64(uintptr(unsafe.Pointer(&b[0])))) {
		copy(f.extendedBytes(), b)
	}
	return true
}
