package elf

import (
	"bytes"
	"cmp"
	stdelf "debug/elf"
	"encoding/binary"
)

// CoreNote is a note of a core file (core(5), elf(5)).
type CoreNote struct {
	Name string // empty: "CORE"
	Type uint32 // NT_
	Data []byte
}

// CoreSegment is an area of memory in a core file. FileSize is 0 for an area whose
// contents are not in the file.
type CoreSegment struct {
	Address, FileSize, MemorySize uint64
	Read, Write, Execute          bool
}

// maxProgramHeaders is the greatest number of program headers (PN_XNUM - 1).
const maxProgramHeaders = 0xfffe

// CoreHeader returns the start of a core file of a class: the ELF header, the program headers
// and the notes. The contents of the segments follow it, one after another.
func CoreHeader(class Class, notes []CoreNote, segments []CoreSegment) []byte {
	segments = segments[:min(len(segments), maxProgramHeaders-1)]
	text := encodeNotes(notes)
	notesAt := uint64(class.fileHeaderSize() + class.HeaderSize()*(1+len(segments)))
	dataAt := (notesAt + uint64(len(text)) + PageSize - 1) &^ (PageSize - 1)

	programs := []stdelf.Prog64{{Type: uint32(stdelf.PT_NOTE), Off: notesAt, Filesz: uint64(len(text)), Align: 4}}
	at := dataAt
	for i := range segments {
		s := &segments[i]
		programs = append(programs, stdelf.Prog64{
			Type: uint32(stdelf.PT_LOAD), Flags: s.flags(), Off: at, Vaddr: s.Address,
			Filesz: s.FileSize, Memsz: s.MemorySize, Align: PageSize,
		})
		at += s.FileSize
	}
	core := append(class.headers(stdelf.ET_CORE, programs), text...)
	return append(core, make([]byte, dataAt-uint64(len(core)))...)
}

// fileHeaderSize returns the size of the ELF header in bytes.
func (c Class) fileHeaderSize() int {
	if c == Class32 {
		return fileHeaderSize32
	}
	return FileHeaderSize
}

// fileHeaderSize32 is the size of the ELF header of Class32 in bytes.
const fileHeaderSize32 = 52

// headers returns the ELF header and the program headers of a file without an entry. Class32
// has the low half of each number.
func (c Class) headers(kind stdelf.Type, programs []stdelf.Prog64) []byte {
	if c != Class32 {
		return Headers(kind, 0, programs...)
	}
	h := stdelf.Header32{
		Type: uint16(kind), Machine: uint16(stdelf.EM_386), Version: 1,
		Phoff: fileHeaderSize32, Ehsize: fileHeaderSize32, Phentsize: uint16(c.HeaderSize()), Phnum: uint16(len(programs)),
	}
	copy(h.Ident[:], Magic+"\x01\x01\x01") // 32-bit, little-endian, version 1
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, h)
	for _, p := range programs {
		binary.Write(&b, binary.LittleEndian, stdelf.Prog32{
			Type: p.Type, Flags: p.Flags, Off: uint32(p.Off), Vaddr: uint32(p.Vaddr),
			Filesz: uint32(p.Filesz), Memsz: uint32(p.Memsz), Align: uint32(p.Align),
		})
	}
	return b.Bytes()
}

func (s *CoreSegment) flags() (flags uint32) {
	for _, f := range []struct {
		on   bool
		flag stdelf.ProgFlag
	}{{s.Read, stdelf.PF_R}, {s.Write, stdelf.PF_W}, {s.Execute, stdelf.PF_X}} {
		if f.on {
			flags |= uint32(f.flag)
		}
	}
	return flags
}

// encodeNotes returns the notes in the format of elf(5).
func encodeNotes(notes []CoreNote) []byte {
	var b bytes.Buffer
	align := func() { b.Write(make([]byte, -b.Len()&3)) }
	for _, n := range notes {
		name := cmp.Or(n.Name, "CORE") + "\x00"
		binary.Write(&b, binary.LittleEndian, [3]uint32{uint32(len(name)), uint32(len(n.Data)), n.Type})
		b.WriteString(name)
		align()
		b.Write(n.Data)
		align()
	}
	return b.Bytes()
}
