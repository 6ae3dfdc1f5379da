package vdso

import "encoding/binary"

// assembler emits instructions. Each method is named after an instruction and its
// operands (Intel SDM, volume 2). It needs its offset in the image to address the data
// page.
type assembler struct {
	code  []byte
	start int // offset of code[0] in the image
	// instruction is that of system calls in 32-bit code.
	instruction Instruction
	count       int // the number of instructions
}

// jump is a forward jump without a target yet. Its value is the offset of the jump's
// displacement in the code.
type jump int

// emit appends an instruction.
func (a *assembler) emit(bytes ...byte) {
	a.code = append(a.code, bytes...)
	a.count++
}

// immediate appends an instruction that ends with a 32-bit constant.
func (a *assembler) immediate(value uint32, opcode ...byte) {
	a.emit(binary.LittleEndian.AppendUint32(opcode, value)...)
}

// data appends an instruction that ends with the RIP-relative address of a word in the
// data page.
func (a *assembler) data(offset int, opcode ...byte) {
	next := a.start + len(a.code) + len(opcode) + 4
	a.immediate(uint32(int32(offset-dataPage-next)), opcode...)
}

// dataPage is the distance from the data page to the image in bytes.
const dataPage = 4096

// short appends a conditional jump. land sets its target.
func (a *assembler) short(opcode byte) jump {
	a.emit(opcode, 0)
	return jump(len(a.code) - 1)
}

// land makes the current position the target of the jump. It panics if the position is out
// of the range of a short jump, 127 bytes.
func (a *assembler) land(j jump) { a.code[j] = shortDistance(len(a.code) - int(j) - 1) }

// shortDistance returns the displacement of a short jump.
func shortDistance(distance int) byte {
	if distance < -128 || distance > 127 {
		panic("the target of a short jump is out of range")
	}
	return byte(distance)
}

func (a *assembler) ja() jump  { return a.short(0x77) }
func (a *assembler) jnc() jump { return a.short(0x73) }
func (a *assembler) jz() jump  { return a.short(0x74) }
func (a *assembler) jnz() jump { return a.short(0x75) }

func (a *assembler) lfence()       { a.emit(0x0f, 0xae, 0xe8) }
func (a *assembler) rdtsc()        { a.emit(0x0f, 0x31) }
func (a *assembler) syscall()      { a.emit(0x0f, 0x05) }
func (a *assembler) ret()          { a.emit(0xc3) }
func (a *assembler) shlRDX32()     { a.emit(0x48, 0xc1, 0xe2, 32) }       // SHL RDX, 32
func (a *assembler) orRAXRDX()     { a.emit(0x48, 0x09, 0xd0) }           // OR RAX, RDX
func (a *assembler) shrdRAXRDX32() { a.emit(0x48, 0x0f, 0xac, 0xd0, 32) } // SHRD RAX, RDX, 32
func (a *assembler) divRCX()       { a.emit(0x48, 0xf7, 0xf1) }           // RAX = RDX:RAX / RCX, RDX = remainder
func (a *assembler) divECX()       { a.emit(0xf7, 0xf1) }                 // EAX = EDX:EAX / ECX, EDX = remainder
func (a *assembler) xorEAXEAX()    { a.emit(0x31, 0xc0) }                 // EAX = 0
func (a *assembler) xorEDXEDX()    { a.emit(0x31, 0xd2) }                 // EDX = 0
func (a *assembler) btECXEDI()     { a.emit(0x0f, 0xa3, 0xf9) }           // CF = bit EDI of ECX
func (a *assembler) testRDI()      { a.emit(0x48, 0x85, 0xff) }           // ZF = (RDI == 0)
func (a *assembler) testRSI()      { a.emit(0x48, 0x85, 0xf6) }           // ZF = (RSI == 0)
func (a *assembler) movEAXEDX()    { a.emit(0x89, 0xd0) }                 // EAX = EDX
func (a *assembler) movAtRSIRAX()  { a.emit(0x48, 0x89, 0x06) }           // [RSI] = RAX
func (a *assembler) movAtRSI8RDX() { a.emit(0x48, 0x89, 0x56, 8) }        // [RSI+8] = RDX
func (a *assembler) movAtRDIRAX()  { a.emit(0x48, 0x89, 0x07) }           // [RDI] = RAX
func (a *assembler) movAtRDI8RAX() { a.emit(0x48, 0x89, 0x47, 8) }        // [RDI+8] = RAX

// cmpEDI compares EDI with a constant below 128.
func (a *assembler) cmpEDI(value byte) { a.emit(0x83, 0xff, value) }

func (a *assembler) movEAX(value uint32)    { a.immediate(value, 0xb8) }                // EAX = value
func (a *assembler) movECX(value uint32)    { a.immediate(value, 0xb9) }                // ECX = value
func (a *assembler) movAtRSI(value uint32)  { a.immediate(value, 0x48, 0xc7, 0x06) }    // [RSI] = value
func (a *assembler) movAtRSI8(value uint32) { a.immediate(value, 0x48, 0xc7, 0x46, 8) } // [RSI+8] = value

func (a *assembler) movR8DData(offset int) { a.data(offset, 0x44, 0x8b, 0x05) } // R8D = data
func (a *assembler) cmpR8DData(offset int) { a.data(offset, 0x44, 0x3b, 0x05) } // flags of R8D - data
func (a *assembler) andR8DMinus2()         { a.emit(0x41, 0x83, 0xe0, 0xfe) }   // R8D &= -2

func (a *assembler) addRAXData(offset int) { a.data(offset, 0x48, 0x03, 0x05) } // RAX += data
func (a *assembler) subRAXData(offset int) { a.data(offset, 0x48, 0x2b, 0x05) } // RAX -= data
func (a *assembler) mulData(offset int)    { a.data(offset, 0x48, 0xf7, 0x25) } // RDX:RAX = RAX * data
