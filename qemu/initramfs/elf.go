package initramfs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The size of the ELF header of a 64-bit file, and limits.
const (
	elfHeaderSize   = 64
	maxSegments     = 1024     // Linux allows 64 KiB of program headers
	maxDynamic      = 64 << 10 // bytes of a dynamic section
	maxStringLength = 4096     // bytes of a path, including the NUL
)

// machines names the architectures that users are likely to try. debug/elf
// names them as the ELF specification does, EM_AARCH64 for example.
var machines = map[elf.Machine]string{
	elf.EM_SPARC: "SPARC", elf.EM_386: "32-bit x86", elf.EM_MIPS: "MIPS", elf.EM_PPC: "PowerPC",
	elf.EM_PPC64: "64-bit PowerPC", elf.EM_S390: "S/390", elf.EM_ARM: "32-bit ARM", elf.EM_AARCH64: "64-bit ARM",
	elf.EM_RISCV: "RISC-V", elf.EM_LOONGARCH: "LoongArch",
}

// classSizes are the sizes of a program header and of an entry of the dynamic section, in
// bytes (System V ABI, chapters 4 and 5).
type classSizes struct{ program, dynamic uint64 }

var sizesOf = map[elf.Class]classSizes{elf.ELFCLASS64: {56, 16}, elf.ELFCLASS32: {32, 8}}

// binaryFile is what a program needs at its start.
type binaryFile struct {
	class       elf.Class
	interpreter string   // PT_INTERP, empty for a static program
	needed      []string // DT_NEEDED
	searchPath  []string // DT_RUNPATH, or DT_RPATH if there is none
}

// errTruncated is the error of a file that ends before the data that its
// headers describe.
var errTruncated = errors.New("is cut short; copy or build it again")

// errDynamic is the error of a dynamic section that makes no sense.
var errDynamic = errors.New("is an ELF file with a damaged dynamic section; build it again")

// readELF checks that a file of the given size is an x86 program and returns what it needs at its start. Each error completes a sentence that
// begins with the file's name. debug/elf may panic on a damaged file; such a
// panic becomes an error.
func readELF(r io.ReaderAt, size int64) (b *binaryFile, err error) {
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, fmt.Errorf("is an ELF file that cannot be parsed (%v); build it again", p)
		}
	}()
	class, segments, err := readSegments(r, size)
	if err != nil {
		return nil, err
	}
	b = &binaryFile{class: class}
	loads := 0
	for _, s := range segments {
		if s.Type <= elf.PT_INTERP && !insideFile(s, size) {
			return nil, errTruncated
		}
		switch s.Type {
		case elf.PT_LOAD:
			loads++
		case elf.PT_INTERP:
			b.interpreter, err = readString(r, s.Off)
		case elf.PT_DYNAMIC:
			err = b.readDynamic(r, s, segments)
		}
		if err != nil {
			return nil, err
		}
	}
	if loads == 0 {
		return nil, errors.New("is an ELF file without anything to load; link it as a program")
	}
	return b, nil
}

// insideFile reports whether the file has all of the segment's bytes.
func insideFile(s *elf.Prog, size int64) bool {
	return s.Filesz == 0 || s.Off <= uint64(size) && s.Filesz <= uint64(size)-s.Off
}

// readSegments checks the file header and returns the class and the program headers.
func readSegments(r io.ReaderAt, size int64) (elf.Class, []*elf.Prog, error) {
	var raw [elfHeaderSize]byte
	if _, err := r.ReadAt(raw[:], 0); err != nil {
		return 0, nil, errTruncated
	}
	header, err := readHeader(raw[:])
	if err != nil {
		return 0, nil, err
	}
	class := elf.Class(header.Ident[elf.EI_CLASS])
	programSize := sizesOf[class].program
	if header.Phnum == 0 || header.Phnum > maxSegments || uint64(header.Phentsize) != programSize {
		return 0, nil, errors.New("is an ELF file with damaged program headers; build it again")
	}
	tableSize := uint64(header.Phnum) * programSize
	if header.Phoff > uint64(size) || tableSize > uint64(size)-header.Phoff {
		return 0, nil, errTruncated
	}
	file, err := elf.NewFile(newLoaderView(r, header))
	if err != nil {
		// The header is checked, so an error is about an offset or a length
		// that no file can have, or about reading.
		return 0, nil, errTruncated
	}
	return class, file.Progs, nil
}

// loaderView is an ELF file in which the fields that Linux's loader ignores
// have neutral values: the versions and the section headers. debug/elf would
// refuse a file for them that Linux runs, for example one whose section headers
// were cut off.
type loaderView struct {
	io.ReaderAt
	header []byte
}

func newLoaderView(r io.ReaderAt, header elf.Header64) *loaderView {
	header.Ident[elf.EI_VERSION], header.Version = byte(elf.EV_CURRENT), uint32(elf.EV_CURRENT)
	header.Shoff, header.Shnum, header.Shentsize, header.Shstrndx = 0, 0, 0, 0
	var b bytes.Buffer
	if elf.Class(header.Ident[elf.EI_CLASS]) == elf.ELFCLASS32 {
		binary.Write(&b, binary.LittleEndian, elf.Header32{
			Ident: header.Ident, Type: header.Type, Machine: header.Machine, Version: header.Version,
			Entry: uint32(header.Entry), Phoff: uint32(header.Phoff), Flags: header.Flags,
			Ehsize: header.Ehsize, Phentsize: header.Phentsize, Phnum: header.Phnum,
		})
	} else {
		binary.Write(&b, binary.LittleEndian, header)
	}
	return &loaderView{r, b.Bytes()}
}

// ReadAt reads from the file and replaces what it read of the header.
func (v *loaderView) ReadAt(p []byte, offset int64) (int, error) {
	n, err := v.ReaderAt.ReadAt(p, offset)
	if offset >= 0 && offset < int64(len(v.header)) {
		copy(p[:n], v.header[offset:])
	}
	return n, err
}

// readHeader decodes the header of an x86 program. For other files it
// returns an error that says what they are. Type and machine have the same
// offsets in 32-bit and 64-bit files.
func readHeader(raw []byte) (elf.Header64, error) {
	var header elf.Header64
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(raw[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	if _, err := binary.Decode(raw, order, &header); err != nil {
		return header, errTruncated
	}
	if err := checkHeader(&header); err != nil {
		return header, err
	}
	if elf.Class(header.Ident[elf.EI_CLASS]) == elf.ELFCLASS32 {
		return widenedHeader(raw)
	}
	return header, nil
}

// widenedHeader decodes the header of a 32-bit program.
func widenedHeader(raw []byte) (elf.Header64, error) {
	var narrow elf.Header32
	if _, err := binary.Decode(raw, binary.LittleEndian, &narrow); err != nil {
		return elf.Header64{}, errTruncated
	}
	return elf.Header64{
		Ident: narrow.Ident, Type: narrow.Type, Machine: narrow.Machine, Version: narrow.Version,
		Entry: uint64(narrow.Entry), Phoff: uint64(narrow.Phoff), Flags: narrow.Flags,
		Ehsize: narrow.Ehsize, Phentsize: narrow.Phentsize, Phnum: narrow.Phnum,
	}, nil
}

// checkHeader reports why Slowpath cannot run a program.
func checkHeader(header *elf.Header64) error {
	class, data := elf.Class(header.Ident[elf.EI_CLASS]), elf.Data(header.Ident[elf.EI_DATA])
	machine, kind := elf.Machine(header.Machine), elf.Type(header.Type)
	switch {
	case class == elf.ELFCLASS32 && machine == elf.EM_X86_64:
		return errors.New("is an x32 program; Slowpath runs 32-bit and 64-bit x86 programs, so build it without -mx32")
	case class != elf.ELFCLASS64 && class != elf.ELFCLASS32 || data != elf.ELFDATA2LSB && data != elf.ELFDATA2MSB:
		return errors.New("is an ELF file with a damaged header; build it again")
	case data != elf.ELFDATA2LSB || machine != machineOf[class]:
		return fmt.Errorf("is a program for %s; Slowpath runs 32-bit and 64-bit x86 programs", machineName(machine))
	case kind != elf.ET_EXEC && kind != elf.ET_DYN:
		return errors.New("is an ELF file but not a program; link it first")
	}
	return nil
}

// machineOf has the machine of the programs of each class.
var machineOf = map[elf.Class]elf.Machine{elf.ELFCLASS64: elf.EM_X86_64, elf.ELFCLASS32: elf.EM_386}

// machineName names an architecture for an error message.
func machineName(machine elf.Machine) string {
	if name, ok := machines[machine]; ok {
		return name
	}
	return fmt.Sprintf("another architecture (ELF machine %d)", uint16(machine))
}

// readDynamic reads the needed libraries and the search path from the dynamic
// section.
func (b *binaryFile) readDynamic(r io.ReaderAt, dynamic *elf.Prog, segments []*elf.Prog) error {
	if dynamic.Filesz > maxDynamic {
		return errDynamic
	}
	entries, err := b.dynamicEntries(r, dynamic)
	if err != nil {
		return err
	}
	values := make(map[elf.DynTag][]uint64)
	for _, e := range entries {
		if elf.DynTag(e.Tag) == elf.DT_NULL {
			break
		}
		values[elf.DynTag(e.Tag)] = append(values[elf.DynTag(e.Tag)], e.Val)
	}
	if len(values[elf.DT_STRTAB]) == 0 {
		return nil
	}
	table, ok := fileOffset(values[elf.DT_STRTAB][0], segments)
	if !ok {
		return errDynamic
	}
	return b.readNames(r, table, values)
}

// dynamicEntries reads the entries of the dynamic section.
func (b *binaryFile) dynamicEntries(r io.ReaderAt, dynamic *elf.Prog) ([]elf.Dyn64, error) {
	size := sizesOf[b.class].dynamic
	entries := make([]elf.Dyn64, dynamic.Filesz/size)
	section := io.NewSectionReader(r, int64(dynamic.Off), int64(uint64(len(entries))*size))
	var err error
	if b.class == elf.ELFCLASS32 {
		narrow := make([]elf.Dyn32, len(entries))
		err = binary.Read(section, binary.LittleEndian, narrow)
		for i, e := range narrow {
			entries[i] = elf.Dyn64{Tag: int64(e.Tag), Val: uint64(e.Val)}
		}
	} else {
		err = binary.Read(section, binary.LittleEndian, entries)
	}
	if err != nil {
		return nil, errTruncated
	}
	return entries, nil
}

// readNames reads the strings of the dynamic section from the string table at
// the given file offset.
func (b *binaryFile) readNames(r io.ReaderAt, table uint64, values map[elf.DynTag][]uint64) error {
	for _, offset := range values[elf.DT_NEEDED] {
		name, err := readString(r, table+offset)
		if err != nil {
			return err
		}
		b.needed = append(b.needed, name)
	}
	search := values[elf.DT_RUNPATH]
	if len(search) == 0 {
		search = values[elf.DT_RPATH]
	}
	for _, offset := range search {
		list, err := readString(r, table+offset)
		if err != nil {
			return err
		}
		b.searchPath = append(b.searchPath, strings.Split(list, ":")...)
	}
	return nil
}

// fileOffset converts a virtual address of the program to a file offset. The
// result is false if no segment has the address.
func fileOffset(address uint64, segments []*elf.Prog) (uint64, bool) {
	for _, s := range segments {
		if s.Type == elf.PT_LOAD && address >= s.Vaddr && address-s.Vaddr < s.Filesz {
			return address - s.Vaddr + s.Off, true
		}
	}
	return 0, false
}

// readString reads a NUL-terminated string.
func readString(r io.ReaderAt, offset uint64) (string, error) {
	if int64(offset) < 0 {
		return "", errTruncated
	}
	buffer := make([]byte, maxStringLength)
	n, _ := r.ReadAt(buffer, int64(offset)) // the NUL may come before the end of the file
	end := bytes.IndexByte(buffer[:n], 0)
	if end < 0 {
		return "", errTruncated
	}
	return string(buffer[:end]), nil
}
