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

	"slowpath/mm"
)

// Clock has the parameters of the clocks. The time since boot in nanoseconds is
// (TSC - Start) * Scale / 2^32, and CLOCK_REALTIME is the time since boot plus Wall.
type Clock struct {
	Start uint64 // the TSC at boot
	Scale uint64 // nanoseconds per TSC tick, times 2^32
	Wall  uint64 // CLOCK_REALTIME at boot, in nanoseconds since 1970-01-01 00:00:00 UTC
}

// The offsets in the data page. No sequence lock is needed: start and scale never
// change, and the wall clock is one aligned word, which is accessed atomically.
const (
	dataStart = 0
	dataScale = 8
	dataWall  = 16
)

// VDSO is the object and its data page.
type VDSO struct {
	data *mm.Special
	code *mm.Special
}

// New builds the object. It fails with ENOMEM.
func New(memory *mm.Memory, c Clock) (*VDSO, error) {
	data, err := memory.NewSpecial(1)
	if err != nil {
		return nil, err
	}
	code, err := memory.NewSpecial(1)
	if err != nil {
		data.Free()
		return nil, err
	}
	copy(data.Bytes(0), c.page())
	copy(code.Bytes(0), Image())
	return &VDSO{data, code}, nil
}

// page returns the contents of the data page.
func (c Clock) page() []byte {
	page := make([]byte, 24)
	binary.LittleEndian.PutUint64(page[dataStart:], c.Start)
	binary.LittleEndian.PutUint64(page[dataScale:], c.Scale)
	binary.LittleEndian.PutUint64(page[dataWall:], c.Wall)
	return page
}

// SetWall sets the difference between CLOCK_REALTIME and the time since boot, in
// nanoseconds, after the clock was set. It does not sleep.
func (v *VDSO) SetWall(wall uint64) { v.data.StoreUint64(dataWall, wall) }

// Map maps data and code into an address space and returns the address of the
// ELF header, for AT_SYSINFO_EHDR. It fails with ENOMEM.
func (v *VDSO) Map(as *mm.AddressSpace) (uint64, error) {
	at, err := as.MapSpecial(0,
		mm.SpecialPart{Special: v.data, Prot: mm.ProtRead, Name: "[vvar]"},
		mm.SpecialPart{Special: v.code, Prot: mm.ProtRead | mm.ProtExec, Name: "[vdso]"})
	if err != nil {
		return 0, err
	}
	return at + mm.PageSize, nil
}

// Free frees the pages. No address space may still map them.
func (v *VDSO) Free() {
	v.data.Free()
	v.code.Free()
}
