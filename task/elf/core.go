package elf

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
)

// CoreNote is a note of a core file (core(5), elf(5)).
type CoreNote struct {
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

// CoreHeader returns the start of a core file: the ELF header, the program headers and
// the notes. The contents of the segments follow it, one after another.
func CoreHeader(notes []CoreNote, segments []CoreSegment) []byte {
	segments = segments[:min(len(segments), maxProgramHeaders-1)]
	text := encodeNotes(notes)
	notesAt := uint64(FileHeaderSize + HeaderSize*(1+len(segments)))
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
	core := append(Headers(stdelf.ET_CORE, 0, programs...), text...)
	return append(core, make([]byte, dataAt-uint64(len(core)))...)
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

// encodeNotes returns the notes in the format of elf(5), each with the name "CORE".
func encodeNotes(notes []CoreNote) []byte {
	const name = "CORE\x00"
	var b bytes.Buffer
	align := func() { b.Write(make([]byte, -b.Len()&3)) }
	for _, n := range notes {
		binary.Write(&b, binary.LittleEndian, [3]uint32{uint32(len(name)), uint32(len(n.Data)), n.Type})
		b.WriteString(name)
		align()
		b.Write(n.Data)
		align()
	}
	return b.Bytes()
}
