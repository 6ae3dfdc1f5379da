// Package vdso makes the virtual dynamic shared object: an ELF image that the
// kernel maps into every program, with functions that read the clock without
// entering the kernel (vdso(7)). glibc, musl and the Go runtime find it through
// AT_SYSINFO_EHDR and call it in place of the system calls.
//
// The image is built here, instruction by instruction, when the kernel starts.
// Right below it lies a page of data, which the code reads relative to RIP.
package vdso

import (
	"encoding/binary"

	"slowpath/mm"
)

// Clock says how nanoseconds since boot are made of the time-stamp counter:
// (TSC - Start) * Scale / 2^32. CLOCK_REALTIME is that plus Wall.
type Clock struct {
	Start uint64 // TSC at boot
	Scale uint64 // nanoseconds in a tick, times 2^32
	Wall  uint64 // time of day at boot, in nanoseconds since 1970
}

// The page of data, by offset. Start and scale never change, and the wall
// clock is one aligned word, which is written and read in one piece: so there
// is no sequence lock to go around.
const (
	dataStart = 0
	dataScale = 8
	dataWall  = 16
)

// VDSO is the object and its data, ready to be mapped.
type VDSO struct {
	data *mm.Special
	code *mm.Special
}

// New makes the object. It fails with ENOMEM.
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

// page returns the beginning of the page of data.
func (c Clock) page() []byte {
	page := make([]byte, 24)
	binary.LittleEndian.PutUint64(page[dataStart:], c.Start)
	binary.LittleEndian.PutUint64(page[dataScale:], c.Scale)
	binary.LittleEndian.PutUint64(page[dataWall:], c.Wall)
	return page
}

// SetWall changes what CLOCK_REALTIME adds to the time since boot, in
// nanoseconds, when somebody has set the clock. It does not sleep.
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

// Free gives the pages back. No address space maps them any more.
func (v *VDSO) Free() {
	v.data.Free()
	v.code.Free()
}
