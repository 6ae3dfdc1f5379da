package goos

import (
	"unsafe"

	"slowpath/arch/amd64"
)

// vdsoImage is the ELF image of a virtual dynamic shared object (vdso(7)), with
// what the runtime parses: one dynamic symbol, __vdso_clock_gettime, whose code
// is in the kernel's text. Reading the clock takes 120 instructions this way and
// 455 by SYSCALL.
type vdsoImage struct {
	header  elfHeader
	load    programHeader
	dynamic programHeader
	tags    [6][2]uint64
	strings [64]byte
	symbols [2]elfSymbol
	hash    [6]uint32
	version versionDefinition
}

type elfHeader struct {
	ident                            [2]uint64
	kind, machine                    uint16
	version                          uint32
	entry, programOff, sectionOff    uint64
	flags                            uint32
	size, programSize, programCount  uint16
	sectionSize, sections, nameIndex uint16
}

type programHeader struct {
	kind, flags                       uint32
	offset, virtual, physical         uint64
	fileSize, memorySize, alignmentOf uint64
}

type elfSymbol struct {
	name        uint32
	info, other uint8
	section     uint16
	value, size uint64
}

// versionDefinition is Elf64_Verdef with one Elf64_Verdaux. The runtime looks up
// the symbol in version LINUX_2.6.
type versionDefinition struct {
	version, flags, index, count uint16
	hash, auxiliary, next        uint32
	name, nextName               uint32
}

var vdso vdsoImage

const (
	elfMagic        = 0x00010102464c457f
	segmentLoad     = 1
	segmentDynamic  = 2
	tagHash         = 4
	tagStrings      = 5
	tagSymbols      = 6
	tagVersionDef   = 0x6ffffffc
	globalFunction  = 0x12
	linux26Hash     = 0x3ae75f6
	vdsoStrings     = "\x00__vdso_clock_gettime\x00LINUX_2.6\x00"
	clockNameAt     = 1
	versionNameAt   = 22
	auxiliaryOffset = 20
)

// buildVDSO fills the image and returns its address.
func buildVDSO() uint64 {
	v := &vdso
	base := addressOf(v)
	offset := func(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) - base }

	v.header.ident[0] = elfMagic
	v.header.programOff = offset(unsafe.Pointer(&v.load))
	v.header.programSize, v.header.programCount = 56, 2
	v.load.kind, v.load.memorySize = segmentLoad, uint64(unsafe.Sizeof(*v))
	v.dynamic.kind, v.dynamic.offset = segmentDynamic, offset(unsafe.Pointer(&v.tags))
	v.tags = [6][2]uint64{
		{tagStrings, offset(unsafe.Pointer(&v.strings))},
		{tagSymbols, offset(unsafe.Pointer(&v.symbols))},
		{tagHash, offset(unsafe.Pointer(&v.hash))},
		{tagVersionDef, offset(unsafe.Pointer(&v.version))},
	}
	copy(v.strings[:], vdsoStrings)
	s := &v.symbols[1]
	s.name, s.info, s.section = clockNameAt, globalFunction, 1
	s.value = amd64.RuntimeClock() - base
	v.hash = [6]uint32{1, 2, 1} // buckets, symbols, first symbol of bucket 0
	d := &v.version
	d.version, d.index, d.count = 1, 1, 1
	d.hash, d.auxiliary, d.name = linux26Hash, auxiliaryOffset, versionNameAt
	return base
}
