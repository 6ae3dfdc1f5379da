// Package image is the post-link step. It converts a Linux executable from the stock Go
// linker to a kernel that QEMU, Firecracker and Cloud Hypervisor boot with the PVH
// protocol.
//
// The input is linked at ImageBase+2 MiB. The output has what a boot loader reads: the
// input's segments with physical addresses, an additional segment at 1 MiB, and the
// note with the 32-bit entry point. The additional segment has what Go's 64-bit
// assembler cannot produce or what needs a known address: the 32-bit entry code, the
// first page tables, the real-mode entry code of the other processors, the entry stubs
// of the 256 vectors, and the page of the per-CPU blocks.
package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"slowpath/arch/amd64"
)

// The physical layout of the segment that Link adds.
const (
	// Base is the segment's physical address.
	Base = 0x100000
	// Size is the segment's size in bytes.
	Size = 0xa000

	gdtAt         = Base + 0x400
	gdtPointerAt  = Base + 0x4f0
	pml4At        = Base + 0x1000
	lowPDPTAt     = Base + 0x2000
	highPDPTAt    = Base + 0x3000
	directoriesAt = Base + 0x4000 // four directories for 4 GiB

	// TrampolineAt is the physical address of the other processors' entry code.
	// It must be copied to TrampolineRuns before they start.
	TrampolineAt = Base + 0x600
	// TrampolineSize is the maximum size of that code in bytes.
	TrampolineSize = 0x200
	// TrampolineRuns is the physical address of the page, below 1 MiB, in which
	// that code runs.
	TrampolineRuns = 0x8000

	// trampolineGDT is the address of the operand of LGDT in that page.
	trampolineGDT = TrampolineRuns + 0x180
)

// The segment selectors of the boot GDT. The kernel's own GDT, which replaces it, has
// the same 64-bit selectors.
const (
	bootCode32 = 0x08
	bootCode64 = amd64.KernelCS
	bootData   = amd64.KernelSS
)

var le = binary.LittleEndian

// The linker's names of the entry points of the Go image.
const (
	bootEntry    = "slowpath/boot.entry"
	otherEntry   = "slowpath/boot.entryOther"
	trapCode     = "slowpath/arch/amd64.trap"
	paranoidCode = "slowpath/arch/amd64.paranoidTrap"
)

// Link returns the bootable form of a linked kernel. It fails, with a sentence for the
// user, if the input is not an ELF file, lacks symbols, or is linked at a wrong
// address.
func Link(raw []byte) ([]byte, error) {
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("the linked kernel is not an ELF file: %w", err)
	}
	symbols, err := entryPoints(f)
	if err != nil {
		return nil, err
	}
	var out output
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Vaddr < amd64.ImageBase+Base+Size || p.Off+p.Filesz > uint64(len(raw)) {
			return nil, fmt.Errorf("the kernel has a segment at %#x; link it with -ldflags=-T=-0x7fe00000", p.Vaddr)
		}
		out.add(elf.Prog64{
			Type: uint32(elf.PT_LOAD), Flags: uint32(p.Flags),
			Vaddr: p.Vaddr, Paddr: p.Vaddr - amd64.ImageBase, Memsz: p.Memsz, Align: amd64.PageSize,
		}, raw[p.Off:p.Off+p.Filesz])
	}
	out.add(elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X),
		Vaddr: amd64.ImageBase + Base, Paddr: Base, Memsz: Size, Align: amd64.PageSize,
	}, segment(symbols))
	out.add(elf.Prog64{Type: uint32(elf.PT_NOTE), Flags: uint32(elf.PF_R), Align: 4}, note(Base))
	return out.file(f.Entry), nil
}

// entryPoints looks up the symbols to which the added code jumps.
func entryPoints(f *elf.File) (map[string]uint64, error) {
	all, err := f.Symbols()
	if err != nil {
		return nil, errors.New("the linked kernel has no symbols; link it without -s")
	}
	found := map[string]uint64{}
	for _, s := range all {
		found[strings.TrimSuffix(s.Name, ".abi0")] = s.Value
	}
	for _, name := range []string{bootEntry, otherEntry, trapCode, paranoidCode} {
		if found[name] == 0 {
			return nil, fmt.Errorf("the linked kernel has no symbol %s; link ./cmd/kernel of the same source", name)
		}
	}
	return found, nil
}

// segment returns the contents of the added segment.
func segment(symbols map[string]uint64) []byte {
	b := make([]byte, Size)
	put := func(address int, code []byte) { copy(b[address-Base:], code) }
	put(Base, firstProcessor(symbols[bootEntry]))
	put(gdtAt, bootGDT())
	put(gdtPointerAt, gdtPointer())
	put(TrampolineAt, otherProcessor(symbols[otherEntry]))
	put(TrampolineAt+trampolineGDT-TrampolineRuns, gdtPointer())
	pageTables(b)
	put(amd64.StubBase-amd64.ImageBase, vectorStubs(symbols[trapCode], symbols[paranoidCode]))
	return b
}

// pageTables writes page tables that map physical memory with 2 MiB pages: the first
// 4 GiB at 0, for the code that enables paging, and at DirectMap, and the first GiB at
// ImageBase.
func pageTables(b []byte) {
	set := func(table, i int, e amd64.PTE) { le.PutUint64(b[table-Base+8*i:], uint64(e)) }
	const table = amd64.Present | amd64.Writable
	set(pml4At, 0, lowPDPTAt|table)
	set(pml4At, amd64.Index(amd64.DirectMap, amd64.LevelPML4), lowPDPTAt|table)
	set(pml4At, amd64.Index(amd64.ImageBase, amd64.LevelPML4), highPDPTAt|table)
	set(highPDPTAt, amd64.Index(amd64.ImageBase, amd64.LevelPDPT), directoriesAt|table)
	for i := range 4 {
		directory := directoriesAt + amd64.PageSize*i
		set(lowPDPTAt, i, amd64.PTE(directory)|table)
		for j := range 512 {
			set(directory, j, amd64.PTE(i<<30|j<<21)|table|amd64.Large)
		}
	}
}

// bootGDT returns a GDT with flat segments: 32-bit code, 64-bit code and data (SDM vol.
// 3A, 3.4.5).
func bootGDT() []byte {
	var b []byte
	for _, d := range []uint64{0, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff} {
		b = le.AppendUint64(b, d)
	}
	return b
}

// gdtPointer returns the operand of LGDT.
func gdtPointer() []byte {
	return le.AppendUint64(le.AppendUint16(nil, 4*8-1), gdtAt)
}

// vectorStubs returns the entry stubs. A stub pushes the error code 0 if the CPU pushes
// none, and then the vector, so that all vectors have the same frame.
func vectorStubs(trap, paranoid uint64) []byte {
	b := make([]byte, 0, 256*16)
	for v := range 256 {
		a := assembler{at: amd64.StubBase + uint64(16*v)}
		if !pushesError(v) {
			a.pushByte(0)
		}
		a.pushLong(uint32(reported(v)))
		switch v {
		case amd64.Debug, amd64.NMI, amd64.DoubleFault, amd64.MachineCheck:
			a.jump(paranoid)
		default:
			a.jump(trap)
		}
		b = append(b, a.code...)
		b = append(b, make([]byte, 16-len(a.code))...)
	}
	return b
}

// reported returns the vector that a stub pushes.
func reported(vector int) int {
	if vector == amd64.SyscallVector {
		return amd64.Int80
	}
	return vector
}

// pushesError reports whether the CPU pushes an error code (SDM vol. 3A,
// table 6-1; APM vol. 2, 8.2 for 28 to 30).
func pushesError(vector int) bool {
	switch vector {
	case 8, 10, 11, 12, 13, 14, 17, 21, 29, 30:
		return true
	}
	return false
}

// note returns the ELF note with the entry point of PVH, XEN_ELFNOTE_PHYS32_ENTRY (Xen,
// docs/misc/pvh.pandoc).
func note(entry uint32) []byte {
	const physicalEntry32 = 18
	b := le.AppendUint32(nil, 4) // length of the name
	b = le.AppendUint32(b, 4)    // length of the value
	b = le.AppendUint32(b, physicalEntry32)
	b = append(b, "Xen\x00"...)
	return le.AppendUint32(b, entry)
}

// output is the file under construction.
type output struct {
	headers []elf.Prog64
	data    []byte // the contents of the file from dataAt
}

// dataAt is the file offset of the first segment, after the headers.
const dataAt = amd64.PageSize

// add appends a segment. It sets the header's offset and file size.

func (o *output) add(p elf.Prog64, data []byte) {
	for len(o.data)%amd64.PageSize != 0 {
		o.data = append(o.data, 0)
	}
	p.Off = dataAt + uint64(len(o.data))
	p.Filesz = uint64(len(data))
	p.Memsz = max(p.Memsz, p.Filesz)
	o.headers = append(o.headers, p)
	o.data = append(o.data, data...)
}

// file returns the finished ELF file.
func (o *output) file(entry uint64) []byte {
	var b bytes.Buffer
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1,
		Entry: entry, Phoff: 64, Ehsize: 64,
		Phentsize: 56, Phnum: uint16(len(o.headers)), Shentsize: 64,
	}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01")
	// Writes to a bytes.Buffer never fail.
	_ = binary.Write(&b, le, header)
	_ = binary.Write(&b, le, o.headers)
	b.Write(make([]byte, dataAt-b.Len()))
	b.Write(o.data)
	return b.Bytes()
}
