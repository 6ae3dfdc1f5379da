package function

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// The structures of the file are those of elf(5) for 64 bits.

var (
	errNotELF    = errors.New("the file is not a 64-bit ELF program of x86-64")
	errTruncated = errors.New("a table is beyond the end of the file")
	errTooMany   = errors.New("a table has too many entries")
)

// Limits of the tables, far above those of real programs. maxFunctions bounds an Image's
// memory.
const (
	maxSegments  = 512
	maxSections  = 4096
	maxFunctions = 1 << 19
)

// file is a file with its size.
type file struct {
	io.ReaderAt
	size uint64
}

// bytes reads a part of the file.
func (f file) bytes(offset, size uint64) ([]byte, error) {
	if offset > f.size || size > f.size-offset {
		return nil, errTruncated
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, int64(offset)); n < len(data) {
		return nil, err
	}
	return data, nil
}

// stream reads a part of the file in order, with little memory.
func (f file) stream(offset, size uint64) (*bufio.Reader, error) {
	if offset > f.size || size > f.size-offset {
		return nil, errTruncated
	}
	const buffer = 32 << 10
	return bufio.NewReaderSize(io.NewSectionReader(f, int64(offset), int64(size)), buffer), nil
}

// text reads a string that ends with 0, up to a limit.
func (f file) text(offset uint64) (string, error) {
	const limit = 512
	if offset >= f.size {
		return "", errTruncated
	}
	data, err := f.bytes(offset, min(limit, f.size-offset))
	if err != nil {
		return "", err
	}
	name, _, _ := bytes.Cut(data, []byte{0})
	return string(name), nil
}

// header is what is needed of Elf64_Ehdr.
type header struct {
	entry                                 uint64
	segments, sections                    uint64
	segmentCount, sectionCount, nameIndex uint16
}

var le = binary.LittleEndian

func (f file) header() (header, error) {
	const size = 64
	e, err := f.bytes(0, size)
	if err != nil {
		return header{}, errNotELF
	}
	const exec, dyn, machine = 2, 3, 62
	kind := le.Uint16(e[16:])
	if string(e[:6]) != "\x7fELF\x02\x01" || kind != exec && kind != dyn || le.Uint16(e[18:]) != machine {
		return header{}, errNotELF
	}
	return header{
		entry:        le.Uint64(e[24:]),
		segments:     le.Uint64(e[32:]),
		sections:     le.Uint64(e[40:]),
		segmentCount: le.Uint16(e[56:]),
		sectionCount: le.Uint16(e[60:]),
		nameIndex:    le.Uint16(e[62:]),
	}, nil
}

// segment is a part of the file that programs map.
type segment struct{ address, offset, size uint64 }

// Types of segments.
const (
	load = 1
	note = 4
)

// segments returns the executable segments that are loaded, and those with notes.
func (f file) segments(h header) (code, notes []segment, err error) {
	const entry, executable = 56, 1
	if h.segmentCount > maxSegments {
		return nil, nil, errTooMany
	}
	table, err := f.bytes(h.segments, entry*uint64(h.segmentCount))
	if err != nil {
		return nil, nil, err
	}
	for ; len(table) >= entry; table = table[entry:] {
		s := segment{address: le.Uint64(table[16:]), offset: le.Uint64(table[8:]), size: le.Uint64(table[32:])}
		if s.offset > f.size || s.size > f.size-s.offset {
			return nil, nil, errTruncated
		}
		switch kind, flags := le.Uint32(table), le.Uint32(table[4:]); {
		case kind == load && flags&executable != 0:
			code = append(code, s)
		case kind == note:
			notes = append(notes, s)
		}
	}
	return code, notes, nil
}

// hasGoNote reports whether a segment with notes has the build ID of Go, which a file without
// section headers still has.
func (f file) hasGoNote(notes []segment) bool {
	const longest = 4096
	for _, s := range notes {
		data, err := f.bytes(s.offset, min(s.size, longest))
		if err == nil && bytes.Contains(data, []byte("\x04\x00\x00\x00Go\x00\x00")) { // type, name
			return true
		}
	}
	return false
}

// section is what is needed of Elf64_Shdr.
type section struct {
	name                  string
	kind                  uint32
	flags                 uint64
	address, offset, size uint64
	link                  uint32
}

// Types and flags of sections.
const (
	symtab     = 2
	nobits     = 8
	dynsym     = 11
	executable = 4
)

// isStubs reports whether the section has the stubs through which calls leave the file.
func (s *section) isStubs() bool {
	return s.flags&executable != 0 && (strings.HasPrefix(s.name, ".plt") || s.name == ".iplt")
}

type sections []section

func (f file) sections(h header) (sections, error) {
	const entry = 64
	if h.sectionCount > maxSections {
		return nil, errTooMany
	}
	table, err := f.bytes(h.sections, entry*uint64(h.sectionCount))
	if err != nil {
		return nil, err
	}
	var all sections
	var names []uint32
	for ; len(table) >= entry; table = table[entry:] {
		names = append(names, le.Uint32(table))
		all = append(all, section{
			kind: le.Uint32(table[4:]), flags: le.Uint64(table[8:]), address: le.Uint64(table[16:]),
			offset: le.Uint64(table[24:]), size: le.Uint64(table[32:]), link: le.Uint32(table[40:]),
		})
	}
	return all, f.nameSections(all, names, h.nameIndex)
}

func (f file) nameSections(all sections, names []uint32, nameIndex uint16) error {
	if int(nameIndex) >= len(all) {
		return nil // a file without names
	}
	table := all[nameIndex]
	data, err := f.bytes(table.offset, min(table.size, 1<<20))
	if err != nil {
		return err
	}
	for n, start := range names {
		if uint64(start) < uint64(len(data)) {
			name, _, _ := bytes.Cut(data[start:], []byte{0})
			all[n].name = string(name[:min(len(name), 64)])
		}
	}
	return nil
}

// named returns the first section with a name that has bytes in the file, or nil.
func (s sections) named(name string) *section {
	for n := range s {
		if s[n].name == name && s[n].kind != nobits {
			return &s[n]
		}
	}
	return nil
}

// ofKind returns the first section of a type, or nil.
func (s sections) ofKind(kind uint32) *section {
	for n := range s {
		if s[n].kind == kind {
			return &s[n]
		}
	}
	return nil
}
