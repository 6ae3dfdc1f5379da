package initramfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The parts of the ELF format that are looked at (System V ABI, chapters 4
// and 5, and its x86-64 supplement).
const (
	elfMagic      = "\x7fELF"
	elfHeaderSize = 64
	elfEntrySize  = 56

	class32   = 1
	class64   = 2
	dataLSB   = 1
	typeExec  = 2
	typeDyn   = 3
	machine64 = 62

	segmentLoad        = 1
	segmentDynamic     = 2
	segmentInterpreter = 3

	dynamicNeeded  = 1
	dynamicStrings = 5
	dynamicRPath   = 15
	dynamicRunPath = 29
)

// Limits on what a file can make the reader hold.
const (
	maxSegments     = 1024
	maxDynamicSize  = 64 << 10
	maxStringLength = 4096
)

// machines names the architectures that people are likely to bring.
var machines = map[uint16]string{
	2: "SPARC", 3: "32-bit x86", 8: "MIPS", 20: "PowerPC", 21: "64-bit PowerPC", 22: "S/390", 40: "32-bit ARM",
	183: "64-bit ARM", 243: "RISC-V", 258: "LoongArch",
}

// binaryFile is what starting a program depends on.
type binaryFile struct {
	interpreter string   // PT_INTERP, empty for a static program
	needed      []string // DT_NEEDED
	searchPath  []string // DT_RUNPATH, or else DT_RPATH
}

// segment is a program header.
type segment struct {
	kind                      uint32
	offset, address, fileSize uint64
}

// errTruncated is the error of a file that ends too early.
var errTruncated = errors.New("is cut short; copy or build it again")

// readELF checks that a file of the given size is an x86-64 program that can
// be loaded, and reads what it needs. The errors are ends of a sentence that
// begins with the file's name.
func readELF(r io.ReaderAt, size int64) (*binaryFile, error) {
	segments, err := readSegments(r, size)
	if err != nil {
		return nil, err
	}
	b := new(binaryFile)
	loads := 0
	for _, s := range segments {
		if s.fileSize > 0 && (s.offset > uint64(size) || s.fileSize > uint64(size)-s.offset) && s.kind <= segmentInterpreter {
			return nil, errTruncated
		}
		switch s.kind {
		case segmentLoad:
			loads++
		case segmentInterpreter:
			b.interpreter, err = readString(r, int64(s.offset))
		case segmentDynamic:
			err = b.readDynamic(r, s, segments)
		}
		if err != nil {
			return nil, err
		}
	}
	if loads == 0 {
		return nil, errors.New("is an ELF file without anything to load")
	}
	return b, nil
}

// readSegments checks the file header and reads the program headers.
func readSegments(r io.ReaderAt, size int64) ([]segment, error) {
	var header [elfHeaderSize]byte
	if _, err := r.ReadAt(header[:], 0); err != nil {
		return nil, errTruncated
	}
	if err := checkELFHeader(&header); err != nil {
		return nil, err
	}
	offset := binary.LittleEndian.Uint64(header[32:])
	count := int(binary.LittleEndian.Uint16(header[56:]))
	if count == 0 || count > maxSegments || binary.LittleEndian.Uint16(header[54:]) != elfEntrySize {
		return nil, errors.New("is an ELF file with damaged program headers")
	}
	if offset > uint64(size) {
		return nil, errTruncated
	}
	table := make([]byte, count*elfEntrySize)
	if _, err := r.ReadAt(table, int64(offset)); err != nil && !errors.Is(err, io.EOF) || len(table) > int(size) {
		return nil, errTruncated
	}
	if int64(offset)+int64(len(table)) > size {
		return nil, errTruncated
	}
	segments := make([]segment, count)
	for i := range segments {
		entry := table[i*elfEntrySize:]
		segments[i] = segment{
			kind:     binary.LittleEndian.Uint32(entry),
			offset:   binary.LittleEndian.Uint64(entry[8:]),
			address:  binary.LittleEndian.Uint64(entry[16:]),
			fileSize: binary.LittleEndian.Uint64(entry[32:]),
		}
	}
	return segments, nil
}

// checkELFHeader says whether the program is for this architecture.
func checkELFHeader(header *[elfHeaderSize]byte) error {
	kind := binary.LittleEndian.Uint16(header[16:])
	machine := binary.LittleEndian.Uint16(header[18:])
	switch {
	case header[4] == class32 && machine == machine64:
		return errors.New("is an x32 program; Slowpath runs 64-bit x86 programs")
	case header[4] == class32 && machine == 3:
		return errors.New("is a 32-bit program; Slowpath runs 64-bit x86 programs, so build it without -m32")
	case header[4] != class64 && header[4] != class32 || header[5] == 0 || header[5] > 2:
		return errors.New("is an ELF file with a damaged header")
	case header[5] != dataLSB || header[4] != class64 || machine != machine64:
		return fmt.Errorf("is a program for %s; Slowpath runs 64-bit x86 programs", machineName(machine, header[5]))
	case kind != typeExec && kind != typeDyn:
		return errors.New("is an ELF file but no program: link it first")
	}
	return nil
}

// machineName names an architecture; its number is in the file's byte order.
func machineName(machine uint16, order byte) string {
	if order != dataLSB {
		machine = machine>>8 | machine<<8
	}
	if name, ok := machines[machine]; ok {
		return name
	}
	return fmt.Sprintf("another architecture (ELF machine %d)", machine)
}

// readDynamic reads the dynamic section's needed libraries and search path.
func (b *binaryFile) readDynamic(r io.ReaderAt, dynamic segment, segments []segment) error {
	if dynamic.fileSize > maxDynamicSize {
		return errors.New("is an ELF file with a damaged dynamic section")
	}
	table := make([]byte, dynamic.fileSize&^15)
	if n, _ := r.ReadAt(table, int64(dynamic.offset)); n != len(table) {
		return errTruncated
	}
	values := make(map[uint64][]uint64)
	for ; len(table) > 0; table = table[16:] {
		tag := binary.LittleEndian.Uint64(table)
		if tag == 0 {
			break
		}
		values[tag] = append(values[tag], binary.LittleEndian.Uint64(table[8:]))
	}
	if len(values[dynamicStrings]) == 0 {
		return nil
	}
	stringsAt, ok := fileOffset(values[dynamicStrings][0], segments)
	if !ok {
		return errors.New("is an ELF file with a damaged dynamic section")
	}
	return b.readNames(r, stringsAt, values)
}

// readNames reads the strings that the dynamic section points at.
func (b *binaryFile) readNames(r io.ReaderAt, stringsAt uint64, values map[uint64][]uint64) error {
	for _, offset := range values[dynamicNeeded] {
		name, err := readString(r, int64(stringsAt+offset))
		if err != nil {
			return err
		}
		b.needed = append(b.needed, name)
	}
	search := values[dynamicRunPath]
	if len(search) == 0 {
		search = values[dynamicRPath]
	}
	for _, offset := range search {
		list, err := readString(r, int64(stringsAt+offset))
		if err != nil {
			return err
		}
		b.searchPath = append(b.searchPath, strings.Split(list, ":")...)
	}
	return nil
}

// fileOffset turns an address of the loaded program into a place in the file.
func fileOffset(address uint64, segments []segment) (uint64, bool) {
	for _, s := range segments {
		if s.kind == segmentLoad && address >= s.address && address-s.address < s.fileSize {
			return address - s.address + s.offset, true
		}
	}
	return 0, false
}

// readString reads a string that ends with NUL.
func readString(r io.ReaderAt, offset int64) (string, error) {
	if offset < 0 {
		return "", errTruncated
	}
	buffer := make([]byte, maxStringLength)
	n, _ := r.ReadAt(buffer, offset)
	end := bytes.IndexByte(buffer[:n], 0)
	if end < 0 {
		return "", errTruncated
	}
	return string(buffer[:end]), nil
}
