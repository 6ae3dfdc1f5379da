package vdso

import (
	"debug/elf"
	"encoding/binary"
)

// Unwind tables of Object32, by which debuggers and C++ exceptions find the callers of a
// program that is in a system call or in a signal handler (DWARF 4, section 6.4; Linux
// Standard Base, "Exception Frames").

// frameEntry is a frame description entry: how to unwind from a range of code.
type frameEntry struct {
	start, size uint64
	signal      bool   // the code is the return address of a signal handler
	program     []byte // DW_CFA instructions
}

// The instructions of DWARF that the tables use (DWARF 4, sections 7.7.1 and 7.23).
const (
	cfaAdvance       = 0x40 // + bytes
	cfaOffset        = 0x80 // + register
	cfaRestore       = 0xc0 // + register
	cfaDefCFA        = 0x0c
	cfaDefCFAOffset  = 0x0e
	cfaDefExpression = 0x0f
	cfaExpression    = 0x10
	opBregESP        = 0x74 // ESP + operand
	opDeref          = 0x06
	pcRelative4      = 0x1b // DW_EH_PE_pcrel | DW_EH_PE_sdata4
)

// The registers of i386 in DWARF (System V ABI for i386, table 2.14).
const (
	dwarfEAX = iota
	dwarfECX
	dwarfEDX
	dwarfEBX
	dwarfESP
	dwarfEBP
	dwarfESI
	dwarfEDI
	dwarfEIP
)

// The offsets of the registers in struct sigcontext_32, and where the structure is above
// ESP when a handler has returned (arch/x86/include/asm/sigframe.h).
var contextOffsets = [...]int{
	dwarfEAX: 44, dwarfECX: 40, dwarfEDX: 36, dwarfEBX: 32, dwarfESP: 28, dwarfEBP: 24, dwarfESI: 20, dwarfEDI: 16, dwarfEIP: 56,
}

const (
	contextAtSigReturn   = 4   // of struct sigframe: above the signal number
	contextAtRTSigReturn = 160 // of struct rt_sigframe: above its arguments, siginfo_t, and the start of ucontext_t
)

// frames32 returns the entries for the functions of the object that have no frame of the C
// compiler.
func frames32(b *builder) []frameEntry {
	const nop, pop = 1, 1 // a signal frame's entry begins before the function; POP EAX is one byte
	sigreturn, rt := b.symbol("__kernel_sigreturn"), b.symbol("__kernel_rt_sigreturn")
	return []frameEntry{
		{start: b.symbol(kernelVsyscall), size: vsyscallSize, program: vsyscallFrame()},
		{start: sigreturn - nop, size: nop + sigReturnSize, signal: true, program: append(append(
			signalFrame(contextAtSigReturn), cfaAdvance+nop+pop), signalFrame(contextAtSigReturn-4)...)},
		{start: rt - nop, size: nop + rtSigReturnSize, signal: true, program: signalFrame(contextAtRTSigReturn)},
	}
}

// vsyscallFrame returns the unwind instructions of __kernel_vsyscall, which pushes ECX, EDX
// and EBP, and pops them again.
func vsyscallFrame() []byte {
	pushed := [...]byte{dwarfECX, dwarfEDX, dwarfEBP}
	var program []byte
	for i, register := range pushed {
		words := byte(i + 2)
		program = append(program, cfaAdvance+1, cfaDefCFAOffset, 4*words, cfaOffset+register, words)
	}
	program = append(program, cfaAdvance+vsyscallPop-3)
	for i := len(pushed) - 1; i >= 0; i-- {
		program = append(program, cfaRestore+pushed[i], cfaDefCFAOffset, byte(4*(i+1)), cfaAdvance+1)
	}
	return program[:len(program)-1]
}

// signalFrame returns the instructions that find the registers of the interrupted program
// in a struct sigcontext_32 at an offset from ESP.
func signalFrame(context int) []byte {
	at := func(offset int) []byte { return append([]byte{opBregESP}, signed(offset)...) }
	cfa := append(at(context+contextOffsets[dwarfESP]), opDeref)
	program := append([]byte{cfaDefExpression, byte(len(cfa))}, cfa...)
	for register, offset := range contextOffsets {
		if register == dwarfESP {
			continue
		}
		expression := at(context + offset)
		program = append(program, cfaExpression, byte(register), byte(len(expression)))
		program = append(program, expression...)
	}
	return program
}

// signed returns a number as SLEB128 (DWARF 4, section 7.6).
func signed(n int) []byte {
	var bytes []byte
	for n < -64 || n > 63 {
		bytes = append(bytes, byte(n)|0x80)
		n >>= 7
	}
	return append(bytes, byte(n)&0x7f)
}

// addFrames adds the sections .eh_frame_hdr and .eh_frame.
func (b *builder) addFrames() {
	const headerSize = 12
	entries := b.frames(b)
	b.align(16)
	header := b.Len()
	frames := header + (headerSize+8*len(entries)+15)&^15
	text, offsets := encodeFrames(entries, frames)
	table := append([]byte{1, pcRelative4, 0x03, 0x3b}, encode([]uint32{uint32(frames - header - 4), uint32(len(entries))})...)
	for i, e := range entries {
		table = binary.LittleEndian.AppendUint32(table, uint32(e.start)-uint32(header))
		table = binary.LittleEndian.AppendUint32(table, uint32(frames+offsets[i]-header))
	}
	b.addSection(elf.SHT_PROGBITS, elf.Section64{}, table)
	b.addSection(elf.SHT_PROGBITS, elf.Section64{}, text)
}

// encodeFrames returns the section .eh_frame, which is at an offset of the image, and the
// offset of each entry in it.
func encodeFrames(entries []frameEntry, at int) (text []byte, offsets []int) {
	common := map[bool]int{}
	for _, signal := range [...]bool{false, true} {
		common[signal] = len(text)
		text = appendFrame(text, 0, commonEntry(signal))
	}
	for _, e := range entries {
		offsets = append(offsets, len(text))
		body := at + len(text) + 8
		entry := encode([]uint32{uint32(e.start) - uint32(body), uint32(e.size)})
		text = appendFrame(text, uint32(len(text)+4-common[e.signal]), append(append(entry, 0), e.program...))
	}
	return append(text, 0, 0, 0, 0), offsets
}

// commonEntry returns a common information entry, without its length and id.
func commonEntry(signal bool) []byte {
	augmentation := "zR\x00"
	if signal {
		augmentation = "zRS\x00"
	}
	entry := append([]byte{1}, augmentation...)
	entry = append(entry, 1, 0x7c, dwarfEIP, 1, pcRelative4) // factors 1 and -4, the return address, the encoding of addresses
	if signal {
		return entry
	}
	return append(entry, cfaDefCFA, dwarfESP, 4, cfaOffset+dwarfEIP, 1)
}

// appendFrame appends an entry: its length, its id, its contents, and padding.
func appendFrame(text []byte, id uint32, contents []byte) []byte {
	for len(contents)%4 != 0 {
		contents = append(contents, 0) // DW_CFA_nop
	}
	text = append(text, encode([]uint32{uint32(4 + len(contents)), id})...)
	return append(text, contents...)
}
