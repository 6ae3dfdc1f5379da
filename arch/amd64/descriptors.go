package amd64

import (
	"sync/atomic"
	"unsafe"
)

// Descriptor is a descriptor of a segment (SDM vol. 3A, 3.4.5). The methods that set one
// make it that of a code or data segment of user mode, so a program cannot get a gate
// or a segment of the kernel.
type Descriptor uint64

// Bits of a Descriptor.
const (
	descriptorAccessed   = 1 << 40
	descriptorReadable   = 1 << 41 // of code; writable, of data
	descriptorCode       = 1 << 43
	descriptorNotSystem  = 1 << 44
	descriptorUser       = 3 << 45 // DPL 3
	descriptorPresent    = 1 << 47
	descriptorLong       = 1 << 53 // 64-bit code
	descriptorConforming = 1 << 42 // of code
)

// safe returns the descriptor as one of user mode. The accessed bit is set, because the CPU
// would set it in memory. The long bit is clear, as on Linux: UserCS is the only segment of
// 64-bit code.
func (d Descriptor) safe() Descriptor {
	if d == 0 {
		return 0
	}
	return d&^descriptorLong | descriptorAccessed | descriptorNotSystem | descriptorUser
}

// Base returns the segment's base address.
func (d Descriptor) Base() uint64 { return uint64(d>>16&0xffffff | d>>56<<24) }

// loadsData reports whether a data segment register can load the descriptor, which is that
// of the selector.
//
//go:nosplit
func (d Descriptor) loadsData(selector uint16) bool {
	return d&descriptorPresent != 0 && selector&userRPL == userRPL &&
		d&(descriptorCode|descriptorReadable) != descriptorCode
}

// TLSEntries is the number of segments of set_thread_area(2). TLS segment i has the selector
// TLSSelector + 8*i.
const (
	TLSEntries  = 3
	TLSSelector = tlsBase | userRPL
)

// tlsDescriptors are the segments of set_thread_area(2).
type tlsDescriptors [TLSEntries]Descriptor

// SetTLS sets TLS segment i of f's program (set_thread_area(2)). It is a segment of user
// mode, or none if d is 0. If FS or GS holds its selector, their base changes too. The
// caller is f's own goroutine, or f's task is stopped; interrupts are on.
func (f *Frame) SetTLS(i int, d Descriptor) {
	Release(f)
	d = d.safe()
	f.controls.tls[i] = d
	selector := uint16(TLSSelector + 8*i)
	if f.controls.selectors.fs == selector {
		f.FSBase = d.Base()
	}
	if f.controls.selectors.gs == selector {
		f.GSBase = d.Base()
	}
}

// TLS returns TLS segment i of f's program, or 0. The caller is f's own goroutine, or f's
// task is stopped.
func (f *Frame) TLS(i int) Descriptor { return f.controls.tls[i] }

//go:nosplit
func tlsDiffers(want, have *controls) bool {
	w, h := &want.tls, &have.tls
	return (w[0]^h[0])|(w[1]^h[1])|(w[2]^h[2]) != 0
}

//go:nosplit
func loadTLS(f *Frame) {
	table := &gdt[thisCPU().id%MaxCPUs]
	for i, d := range &f.controls.tls {
		table[tlsBase/8+i] = uint64(d)
	}
}

// MaxLDT is the maximum number of descriptors of an LDT (Linux: LDT_ENTRIES).
const MaxLDT = 8192

// LDT is the local descriptor table of an address space (modify_ldt(2)). It is immutable. Its
// memory is on the Go heap: whoever makes one charges it.
type LDT struct {
	reference   ldtReference
	descriptors []Descriptor
}

// ldtReference says which table a CPU has loaded. The number tells a table from a later one
// at the same address.
type ldtReference struct{ address, size, number uint64 }

var lastLDT atomic.Uint64

// NewLDT returns a table with a copy of at most MaxLDT descriptors, which become segments of
// user mode, or nil if there are none. It allocates, so only a goroutine may call it.
func NewLDT(descriptors []Descriptor) *LDT {
	if len(descriptors) == 0 {
		return nil
	}
	l := &LDT{descriptors: make([]Descriptor, min(len(descriptors), MaxLDT))}
	for i := range l.descriptors {
		l.descriptors[i] = descriptors[i].safe()
	}
	l.reference = ldtReference{
		address: uint64(uintptr(unsafe.Pointer(&l.descriptors[0]))),
		size:    uint64(len(l.descriptors)) * 8,
		number:  lastLDT.Add(1),
	}
	return l
}

// Descriptors returns the table's descriptors, which must not be changed. Any context.
func (l *LDT) Descriptors() []Descriptor {
	if l == nil {
		return nil
	}
	return l.descriptors
}

// SetLDT sets the local descriptor table of f's program, or none if l is nil. It takes effect
// at the next return to user mode: data segment registers with a selector of the table are
// loaded again. The caller is f's own goroutine, or f's task is stopped; interrupts are on.
func (f *Frame) SetLDT(l *LDT) {
	Release(f)
	f.ldt, f.controls.ldt = l, ldtReference{}
	if l != nil {
		f.controls.ldt = l.reference
	}
}

//go:nosplit
func ldtDiffers(want, have *controls) bool {
	w, h := &want.ldt, &have.ldt
	return (w.address^h.address)|(w.size^h.size)|(w.number^h.number) != 0
}

// loadLocalTable loads the LDT. A program without one has the null selector in LDTR: every
// reference to the table raises #GP.
//
//go:nosplit
func loadLocalTable(f *Frame) {
	r := &f.controls.ldt
	if r.size == 0 {
		loadLDT(0)
		return
	}
	const present = 0x82 // a descriptor of an LDT
	table, a, limit := &gdt[thisCPU().id%MaxCPUs], r.address, r.size-1
	table[ldtAt/8] = limit&0xffff | (a&0xffffff)<<16 | present<<40 | (limit>>16)<<48 | (a>>24&0xff)<<56
	table[ldtAt/8+1] = a >> 32
	loadLDT(ldtAt)
}

// StackSegmentServes reports whether SS of the frame is a data segment of user mode that can be
// written, as 64-bit code needs it (Linux: force_valid_ss). The caller is f's own goroutine,
// or f's task is stopped.
func (f *Frame) StackSegmentServes() bool {
	const writableData = descriptorPresent | descriptorReadable
	if f.SS == UserSS {
		return true
	}
	d := descriptorOf(uint16(f.SS), &f.controls, f.ldt)
	return d&(descriptorCode|writableData) == writableData
}

// descriptorOf returns the descriptor of a selector of TLS, of the CPU's number or of the
// LDT, or 0.
//
//go:nosplit
func descriptorOf(selector uint16, c *controls, ldt *LDT) Descriptor {
	index := uint(selector / 8)
	switch {
	case selector&localTable != 0:
		if ldt != nil && index < uint(len(ldt.descriptors)) {
			return ldt.descriptors[index]
		}
	case index-tlsBase/8 < TLSEntries:
		return c.tls[index-tlsBase/8]
	case index == cpuNumber/8:
		return descriptorPresent
	}
	return 0
}
