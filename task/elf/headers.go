package elf

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
)

// Headers returns the start of an ELF file for x86-64: the ELF header and the program
// headers. Any context.
func Headers(kind stdelf.Type, entry uint64, programs ...stdelf.Prog64) []byte {
	h := stdelf.Header64{
		Type: uint16(kind), Machine: uint16(stdelf.EM_X86_64), Version: 1, Entry: entry,
		Phoff: FileHeaderSize, Ehsize: FileHeaderSize, Phentsize: HeaderSize, Phnum: uint16(len(programs)),
	}
	copy(h.Ident[:], Magic+"\x02\x01\x01") // 64-bit, little-endian, version 1
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, programs)
	return b.Bytes()
}
