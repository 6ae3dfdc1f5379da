package vdso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// The indices of the version definitions (Linux Standard Base, "Symbol Versioning"):
// the object itself, and the versions of functions, from versionFirst on.
const (
	versionBase  = 1
	versionFirst = 2
)

// builder builds the image. Its sections follow each other in one readable and
// executable segment.
type builder struct {
	bytes.Buffer
	*description
	instruction Instruction
	sections    []elf.Section64
	names       stringTable          // the names of sections
	titles      [sectionCount]uint32 // the offset of each section's name
	strings     stringTable          // the names of symbols
	symbols     []elf.Sym64
}

// stringTable is a section of NUL-terminated strings. A string is identified by its
// offset.
type stringTable struct{ text strings.Builder }

// add appends a string and returns its offset.
func (t *stringTable) add(s string) uint32 {
	if t.text.Len() == 0 {
		t.text.WriteByte(0)
	}
	offset := t.text.Len()
	t.text.WriteString(s)
	t.text.WriteByte(0)
	return uint32(offset)
}

// The indices of the sections, in the order of the image.
const (
	sectionNull = iota
	sectionText
	sectionSymbols
	sectionStrings
	sectionHash
	sectionVersions
	sectionDefinitions
	sectionDynamic
	sectionNames
	sectionFrameHeader
	sectionFrames
	sectionCount
)

// sectionTitles are the names of the sections. The last two exist if the object has
// unwind tables.
var sectionTitles = [sectionCount]string{
	"", ".text", ".dynsym", ".dynstr", ".hash", ".gnu.version", ".gnu.version_d", ".dynamic", ".shstrtab",
	".eh_frame_hdr", ".eh_frame",
}

// Image returns the object. It is at most one page long. The instruction is that of system
// calls in 32-bit code. Every call with the same instruction returns the same bytes.
func (o Object) Image(i Instruction) []byte { return o.build(i).finish() }

// build returns the builder of the object with all sections.
func (o Object) build(i Instruction) *builder {
	b := &builder{description: &objects[o], instruction: i, sections: make([]elf.Section64, 1), symbols: make([]elf.Sym64, 1)}
	for i, title := range sectionTitles[1:] {
		b.titles[1+i] = b.names.add(title)
	}
	size := &b.sizes
	b.Write(make([]byte, size.header+b.programs()*size.program))
	b.addText()
	base := b.strings.add(b.soName)
	definitions := b.definitions(base)
	b.addSection(elf.SHT_DYNSYM, elf.Section64{Link: sectionStrings, Info: 1, Entsize: uint64(size.symbol)}, b.encode(b.symbols))
	b.addSection(elf.SHT_STRTAB, elf.Section64{}, []byte(b.strings.text.String()))
	b.addSection(elf.SHT_HASH, elf.Section64{Link: sectionSymbols, Entsize: 4}, encode(b.hash()))
	b.addSection(elf.SHT_GNU_VERSYM, elf.Section64{Link: sectionSymbols, Entsize: 2}, encode(b.symbolVersions()))
	b.addSection(elf.SHT_GNU_VERDEF, elf.Section64{Link: sectionStrings, Info: uint32(len(definitions))}, encode(definitions))
	b.addSection(elf.SHT_DYNAMIC, elf.Section64{Link: sectionStrings, Entsize: uint64(size.dynamic)}, b.encode(b.dynamic(base)))
	b.addSection(elf.SHT_STRTAB, elf.Section64{}, []byte(b.names.text.String()))
	if b.frames != nil {
		b.addFrames()
	}
	return b
}

// programs returns the number of program headers.
func (b *builder) programs() int {
	if b.frames != nil {
		return 3
	}
	return 2
}

// symbol returns the address of a function in the image.
func (b *builder) symbol(name string) uint64 {
	for _, s := range b.symbols[1:] {
		if b.name(s) == name {
			return s.Value
		}
	}
	return 0
}

// encode returns a structure as little-endian bytes.
func encode(value any) []byte {
	var buf bytes.Buffer
	binary.Write(&buf, binary.LittleEndian, value) // never fails for a Buffer and these types
	return buf.Bytes()
}

// align appends zeros up to a multiple of n.
func (b *builder) align(n int) {
	b.Write(make([]byte, (n-b.Len()%n)%n))
}

// addSection appends the contents of the next section and its header. It sets the
// header's name, type, address and size.
func (b *builder) addSection(kind elf.SectionType, s elf.Section64, contents []byte) {
	b.align(16)
	s.Name, s.Type, s.Addralign = b.titles[len(b.sections)], uint32(kind), 16
	s.Flags |= uint64(elf.SHF_ALLOC)
	s.Off, s.Addr, s.Size = uint64(b.Len()), uint64(b.Len()), uint64(len(contents))
	b.Write(contents)
	b.sections = append(b.sections, s)
}

// addText emits all functions and adds their symbols.
func (b *builder) addText() {
	b.align(16)
	a := &assembler{start: b.Len(), instruction: b.instruction}
	for _, f := range b.functions {
		start := len(a.code)
		f.emit(a)
		symbol := elf.Sym64{
			Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: sectionText,
			Value: uint64(a.start + start), Size: uint64(len(a.code) - start),
		}
		symbol.Name = b.strings.add(f.name)
		b.symbols = append(b.symbols, symbol)
		if b.aliases {
			symbol.Name = b.strings.add(strings.TrimPrefix(f.name, "__vdso_"))
			symbol.Info = elf.ST_INFO(elf.STB_WEAK, elf.STT_FUNC)
			b.symbols = append(b.symbols, symbol)
		}
		for len(a.code)%16 != 0 {
			a.code = append(a.code, 0xcc) // INT3 as padding
		}
	}
	b.addSection(elf.SHT_PROGBITS, elf.Section64{Flags: uint64(elf.SHF_EXECINSTR)}, a.code)
}

// name returns the name of a symbol.
func (b *builder) name(s elf.Sym64) string {
	text := b.strings.text.String()[s.Name:]
	return text[:strings.IndexByte(text, 0)]
}

// hash returns the hash table in which loaders look up symbols (System V ABI, chapter
// 5, "Hash Table").
func (b *builder) hash() []uint32 {
	const buckets = 4
	table := make([]uint32, 2+buckets+len(b.symbols))
	table[0], table[1] = buckets, uint32(len(b.symbols))
	heads, chains := table[2:2+buckets], table[2+buckets:]
	for i := 1; i < len(b.symbols); i++ {
		bucket := hashName(b.name(b.symbols[i])) % buckets
		chains[i] = heads[bucket]
		heads[bucket] = uint32(i)
	}
	return table
}

// hashName is the hash function of ELF.
func hashName(s string) uint32 {
	var h uint32
	for _, c := range []byte(s) {
		h = h<<4 + uint32(c)
		h ^= h >> 24 & 0xf0
		h &= 0x0fffffff
	}
	return h
}

// symbolVersions returns the version of each symbol.
func (b *builder) symbolVersions() []uint16 {
	versions := make([]uint16, 1, len(b.symbols))
	for _, f := range b.functions {
		versions = append(versions, versionFirst+f.version)
		if b.aliases {
			versions = append(versions, versionFirst+f.version)
		}
	}
	return versions
}

// definition is Elf64_Verdef followed by its only Elf64_Verdaux.
type definition struct {
	Version, Flags, Index, Count uint16
	Hash, Auxiliary, Next        uint32
	Name, NextName               uint32
}

// definitions returns the versions: that of the object, whose name is at offset base of
// the strings, and those of functions.
func (b *builder) definitions(base uint32) []definition {
	const size, auxiliary, flagBase = 28, 20, 1
	all := []definition{{1, flagBase, versionBase, 1, hashName(b.soName), auxiliary, size, base, 0}}
	for i, v := range b.versions {
		all = append(all, definition{1, 0, uint16(versionFirst + i), 1, hashName(v), auxiliary, size, b.strings.add(v), 0})
	}
	all[len(all)-1].Next = 0
	return all
}

// dynamic returns the dynamic table, which loaders read instead of section headers.
func (b *builder) dynamic(base uint32) []elf.Dyn64 {
	at := func(section int) uint64 { return b.sections[section].Addr }
	return []elf.Dyn64{
		{Tag: int64(elf.DT_SONAME), Val: uint64(base)},
		{Tag: int64(elf.DT_HASH), Val: at(sectionHash)},
		{Tag: int64(elf.DT_STRTAB), Val: at(sectionStrings)},
		{Tag: int64(elf.DT_SYMTAB), Val: at(sectionSymbols)},
		{Tag: int64(elf.DT_STRSZ), Val: b.sections[sectionStrings].Size},
		{Tag: int64(elf.DT_SYMENT), Val: uint64(b.sizes.symbol)},
		{Tag: int64(elf.DT_VERSYM), Val: at(sectionVersions)},
		{Tag: int64(elf.DT_VERDEF), Val: at(sectionDefinitions)},
		{Tag: int64(elf.DT_VERDEFNUM), Val: uint64(1 + len(b.versions))},
		{Tag: int64(elf.DT_NULL)},
	}
}

// finish appends the section headers, writes the file header and the program headers,
// and returns the image.
func (b *builder) finish() []byte {
	b.align(8)
	size := &b.sizes
	header := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(b.machine), Version: uint32(elf.EV_CURRENT),
		Phoff: uint64(size.header), Shoff: uint64(b.Len()), Ehsize: uint16(size.header),
		Phentsize: uint16(size.program), Phnum: uint16(b.programs()),
		Shentsize: uint16(size.section), Shnum: uint16(len(b.sections)), Shstrndx: sectionNames,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS] = byte(b.class)
	header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	if entry := b.symbol(kernelVsyscall); entry != 0 {
		header.Entry = entry
	}
	b.Write(b.encode(b.sections))
	image := b.Bytes()
	copy(image, b.encode(header))
	copy(image[size.header:], b.encode(b.segments(uint64(len(image)))))
	return image
}

// segments returns the program headers: one for the whole image, one for the dynamic
// table, and one for the unwind tables if there are any.
func (b *builder) segments(size uint64) []elf.Prog64 {
	segments := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Filesz: size, Memsz: size, Align: 4096},
		b.segmentOf(elf.PT_DYNAMIC, sectionDynamic),
	}
	if b.frames != nil {
		segments = append(segments, b.segmentOf(elf.PT_GNU_EH_FRAME, sectionFrameHeader))
	}
	return segments
}

// segmentOf returns the program header of a section.
func (b *builder) segmentOf(kind elf.ProgType, section int) elf.Prog64 {
	s := b.sections[section]
	return elf.Prog64{
		Type: uint32(kind), Flags: uint32(elf.PF_R), Off: s.Off, Vaddr: s.Addr, Paddr: s.Addr,
		Filesz: s.Size, Memsz: s.Size, Align: 16,
	}
}
