package elf

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
	"testing"
)

// program32 returns an ELF file for i386 with the given program headers.
func program32(kind uint16, headers ...stdelf.Prog32) []byte {
	h := stdelf.Header32{
		Type: kind, Machine: uint16(stdelf.EM_386), Version: 1, Entry: 0x8049000,
		Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: uint16(len(headers)),
	}
	copy(h.Ident[:], Magic+"\x01\x01\x01") // 32-bit, little-endian, version 1
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, headers)
	return b.Bytes()
}

func TestReadProgramForI386(t *testing.T) {
	load := stdelf.Prog32{Type: loadSegment, Flags: 5, Vaddr: 0x8048000, Filesz: 116, Memsz: 0x1800}
	stack := stdelf.Prog32{Type: gnuStack, Flags: 6}
	image, err := Read(bytes.NewReader(program32(typeExec, load, stack)))
	if err != nil {
		t.Fatal(err)
	}
	if image.Class != Class32 || image.Entry != 0x8049000 || image.Headers != 0x8048034 || image.StackUnspecified || image.ExecutableStack {
		t.Errorf("Read returned %+v", image)
	}
	if start, end, err := image.Span(); start != 0x8048000 || end != 0x804a000 || err != nil {
		t.Errorf("Span returned %#x to %#x, %v", start, end, err)
	}
	if image, err = Read(bytes.NewReader(program32(typeExec, load))); err != nil || !image.StackUnspecified {
		t.Errorf("without PT_GNU_STACK: %+v, %v", image, err)
	}
}

func TestSpanOfI386ProgramEndsBelow4GiB(t *testing.T) {
	for _, s := range []Segment{
		{Address: 0xffffe000, MemorySize: 1},
		{Address: 0xffffd000, MemorySize: 0x1001},
	} {
		image := Image{Class: Class32, Segments: []Segment{s}}
		if start, end, err := image.Span(); err == nil {
			t.Errorf("Span returned %#x to %#x for %+v, want an error", start, end, s)
		}
	}
	image := Image{Class: Class32, Segments: []Segment{{Address: 0xffffd000, MemorySize: 0x1000}}}
	if _, end, err := image.Span(); end != 0xffffe000 || err != nil {
		t.Errorf("the last page ends at %#x, %v", end, err)
	}
}
