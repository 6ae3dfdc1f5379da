// Package vdso builds the virtual dynamic shared object (vdso(7)): an ELF image that
// the kernel maps into every program, with functions that read the clock without
// entering the kernel. glibc, musl and the Go runtime find the object through
// AT_SYSINFO_EHDR and call its functions instead of the system calls.
//
// The package assembles the image when the kernel starts. The data page is directly
// below the image. The code reads it relative to RIP.
package vdso

import (
	"encoding/binary"
	"sync"

	"slowpath/clock"
	"slowpath/mm"
)

// Clock has the parameters of the clocks, which never change. CLOCK_MONOTONIC_RAW in nanoseconds
// is (TSC - Start) * Scale / 2^32.
type Clock struct {
	Start uint64 // the TSC at boot
	Scale uint64 // nanoseconds per TSC tick, times 2^32
}

// The offsets in the data page. The code computes the clocks as package clock does: from
// dataRaw on there are clock.Parameters. The number dataSequence changes whenever they do, and is odd
// while they do: the code then reads them again (Linux: vdso_data.seq).
const (
	dataStart    = 0
	dataScale    = 8
	dataSequence = 16
	dataRaw      = 24
	dataRatio    = 32
	dataMono     = 40
	dataWall     = 48
	dataTAI      = 56
	dataSize     = 64
)

// VDSO is the objects and their data page.
type VDSO struct {
	mu       sync.Mutex // taken to change the parameters
	sequence uint64

	data    *mm.Special
	code    [objectCount]*mm.Special
	symbols Symbols
}

// Symbols are the offsets of functions of Object32 from its ELF header.
type Symbols struct {
	// Vsyscall is __kernel_vsyscall, SigReturn and RTSigReturn are __kernel_sigreturn and
	// __kernel_rt_sigreturn.
	Vsyscall, SigReturn, RTSigReturn uint64
	// LandingPad is the instruction to which SYSCALL and SYSENTER return.
	LandingPad uint64
}

// New builds the objects. The instruction is that of system calls in 32-bit code. It fails
// with ENOMEM.
func New(memory *mm.Memory, c Clock, p clock.Parameters, i Instruction) (*VDSO, error) {
	narrow := Object32.build(i)
	v := &VDSO{symbols: narrow.kernelSymbols()}
	for _, page := range [...]struct {
		to   **mm.Special
		with []byte
	}{
		{&v.data, c.page(p)},
		{&v.code[Object64], Object64.Image(i)},
		{&v.code[Object32], narrow.finish()},
	} {
		special, err := memory.NewSpecial(1)
		if err != nil {
			v.Free()
			return nil, err
		}
		copy(special.Bytes(0), page.with)
		*page.to = special
	}
	return v, nil
}

// kernelSymbols returns the offsets of the functions of Object32 that the kernel uses.
func (b *builder) kernelSymbols() Symbols {
	entry := b.symbol(kernelVsyscall)
	return Symbols{
		Vsyscall:    entry,
		SigReturn:   b.symbol("__kernel_sigreturn"),
		RTSigReturn: b.symbol("__kernel_rt_sigreturn"),
		LandingPad:  entry + landingOffset,
	}
}

// Symbols returns the offsets of the functions of Object32. Any context.
func (v *VDSO) Symbols() Symbols { return v.symbols }

// word is a word of the data page.
type word struct {
	offset int
	value  uint64
}

// words returns the words of the parameters.
func words(p clock.Parameters) [5]word {
	return [...]word{
		{dataRaw, uint64(p.Rate.Raw)}, {dataRatio, p.Rate.Ratio}, {dataMono, uint64(p.Rate.Mono)},
		{dataWall, uint64(p.Wall)}, {dataTAI, uint64(p.TAI)},
	}
}

// page returns the contents of the data page.
func (c Clock) page(p clock.Parameters) []byte {
	page := make([]byte, dataSize)
	binary.LittleEndian.PutUint64(page[dataStart:], c.Start)
	binary.LittleEndian.PutUint64(page[dataScale:], c.Scale)
	for _, w := range words(p) {
		binary.LittleEndian.PutUint64(page[w.offset:], w.value)
	}
	return page
}

// Set sets the parameters of the clocks. It does not sleep.
func (v *VDSO) Set(p clock.Parameters) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.data.StoreUint64(dataSequence, v.sequence+1)
	for _, w := range words(p) {
		v.data.StoreUint64(w.offset, w.value)
	}
	v.sequence += 2
	v.data.StoreUint64(dataSequence, v.sequence)
}

// Map maps data and the code of an object into an address space and returns the address of
// the ELF header, for AT_SYSINFO_EHDR. It fails with ENOMEM.
func (v *VDSO) Map(as *mm.AddressSpace, o Object) (uint64, error) {
	at, err := as.MapSpecial(0,
		mm.SpecialPart{Special: v.data, Prot: mm.ProtRead, Name: "[vvar]"},
		mm.SpecialPart{Special: v.code[o], Prot: mm.ProtRead | mm.ProtExec, Name: "[vdso]"})
	if err != nil {
		return 0, err
	}
	return at + mm.PageSize, nil
}

// IsMapped reports whether the code of an object is mapped at an address.
func (v *VDSO) IsMapped(as *mm.AddressSpace, o Object, at uint64) bool {
	return as.IsSpecialAt(v.code[o], at)
}

// Free frees the pages. No address space may still map them.
func (v *VDSO) Free() {
	for _, special := range [...]*mm.Special{v.data, v.code[Object64], v.code[Object32]} {
		if special != nil {
			special.Free()
		}
	}
}
