package vdso

import "encoding/binary"

// The methods below emit instructions of 32-bit code.

// near appends a conditional jump with a 32-bit displacement. landNear sets its target.
func (a *assembler) near(condition byte) jump {
	a.immediate(0, 0x0f, 0x80|condition)
	return jump(len(a.code) - 4)
}

// landNear makes the current position the target of the jump.
func (a *assembler) landNear(j jump) {
	binary.LittleEndian.PutUint32(a.code[j:], uint32(len(a.code)-int(j)-4))
}

// Conditions of jumps (SDM vol. 2D, appendix B, table B-10).
const (
	ifNoCarry = 3
	ifZero    = 4
	ifNotZero = 5
	ifAbove   = 7
)

// here returns the current position as the target of a jump back.
func (a *assembler) here() int { return len(a.code) }

// jnzBack appends JNZ to an earlier position.
func (a *assembler) jnzBack(target int) { a.emit(0x75, shortDistance(target-len(a.code)-2)) }

// jnzBackNear is jnzBack for a target that is farther away.
func (a *assembler) jnzBackNear(target int) {
	a.immediate(uint32(int32(target-len(a.code)-6)), 0x0f, 0x80|ifNotZero)
}

func (a *assembler) int80()    { a.emit(0xcd, 0x80) }
func (a *assembler) sysenter() { a.emit(0x0f, 0x34) }

func (a *assembler) pushECX() { a.emit(0x51) }
func (a *assembler) pushEDX() { a.emit(0x52) }
func (a *assembler) pushEBX() { a.emit(0x53) }
func (a *assembler) pushEBP() { a.emit(0x55) }
func (a *assembler) pushESI() { a.emit(0x56) }
func (a *assembler) pushEDI() { a.emit(0x57) }
func (a *assembler) pushEAX() { a.emit(0x50) }
func (a *assembler) popEAX()  { a.emit(0x58) }
func (a *assembler) popECX()  { a.emit(0x59) }
func (a *assembler) popEDX()  { a.emit(0x5a) }
func (a *assembler) popEBX()  { a.emit(0x5b) }
func (a *assembler) popEBP()  { a.emit(0x5d) }
func (a *assembler) popESI()  { a.emit(0x5e) }
func (a *assembler) popEDI()  { a.emit(0x5f) }

func (a *assembler) movEBPECX()        { a.emit(0x89, 0xcd) } // EBP = ECX
func (a *assembler) movEBPESP()        { a.emit(0x89, 0xe5) } // EBP = ESP
func (a *assembler) movESIEAX()        { a.emit(0x89, 0xc6) } // ESI = EAX
func (a *assembler) movEDIEDX()        { a.emit(0x89, 0xd7) } // EDI = EDX
func (a *assembler) movEDIEAX()        { a.emit(0x89, 0xc7) } // EDI = EAX
func (a *assembler) movEAXESI()        { a.emit(0x89, 0xf0) } // EAX = ESI
func (a *assembler) movEAXEDI()        { a.emit(0x89, 0xf8) } // EAX = EDI
func (a *assembler) movEAXECX()        { a.emit(0x89, 0xc8) } // EAX = ECX
func (a *assembler) movECXEDX()        { a.emit(0x89, 0xd1) } // ECX = EDX
func (a *assembler) movEBPEDX()        { a.emit(0x89, 0xd5) } // EBP = EDX
func (a *assembler) movEDXEBP()        { a.emit(0x89, 0xea) } // EDX = EBP
func (a *assembler) addECXEAX()        { a.emit(0x01, 0xc1) } // ECX += EAX
func (a *assembler) adcEDX0()          { a.emit(0x83, 0xd2, 0) }
func (a *assembler) adcEBPEDX()        { a.emit(0x11, 0xd5) } // EBP += EDX + CF
func (a *assembler) addEBPEAX()        { a.emit(0x01, 0xc5) } // EBP += EAX
func (a *assembler) andEAXMinus2()     { a.emit(0x83, 0xe0, 0xfe) }
func (a *assembler) btEAXECX()         { a.emit(0x0f, 0xa3, 0xc8) }
func (a *assembler) testECXECX()       { a.emit(0x85, 0xc9) }
func (a *assembler) movAtECX()         { a.emit(0x89, 0x01) }                      // [ECX] = EAX
func (a *assembler) movAtECX4()        { a.emit(0x89, 0x41, 4) }                   // [ECX+4] = EAX
func (a *assembler) movEDXAt4()        { a.emit(0x89, 0x51, 4) }                   // [ECX+4] = EDX
func (a *assembler) movEDXAt8()        { a.emit(0x89, 0x51, 8) }                   // [ECX+8] = EDX
func (a *assembler) movEDIAt4()        { a.emit(0x89, 0x79, 4) }                   // [ECX+4] = EDI
func (a *assembler) zeroAt(n int)      { a.emit(0xc7, 0x41, byte(n), 0, 0, 0, 0) } // dword [ECX+n] = 0
func (a *assembler) cmpECX(value byte) { a.emit(0x83, 0xf9, value) }

// setAt stores a constant: dword [ECX+n] = value.
func (a *assembler) setAt(n int, value byte) { a.emit(0xc7, 0x41, byte(n), value, 0, 0, 0) }

// movECXStack loads ECX from the stack: ECX = [ESP+offset]. movEBXStack does so for EBX.
func (a *assembler) movECXStack(offset byte) { a.emit(0x8b, 0x4c, 0x24, offset) }
func (a *assembler) movEBXStack(offset byte) { a.emit(0x8b, 0x5c, 0x24, offset) }

// baseEBX makes EBX the address of the next instruction, and returns its offset in the
// image. The methods with a base address the data page relative to it.
func (a *assembler) baseEBX() (base int) {
	a.immediate(0, 0xe8) // CALL the next instruction
	base = a.start + len(a.code)
	a.popEBX()
	return base
}

// dataEBX appends an instruction that ends with the displacement of a word in the data
// page from EBX.
func (a *assembler) dataEBX(base, offset int, opcode ...byte) {
	a.immediate(uint32(int32(offset-dataPage-base)), opcode...)
}

func (a *assembler) subEAXData(base, offset int) { a.dataEBX(base, offset, 0x2b, 0x83) } // EAX -= data
func (a *assembler) sbbEDXData(base, offset int) { a.dataEBX(base, offset, 0x1b, 0x93) } // EDX -= data + CF
func (a *assembler) mulEAXData(base, offset int) { a.dataEBX(base, offset, 0xf7, 0xa3) } // EDX:EAX = EAX * data
func (a *assembler) addEAXData(base, offset int) { a.dataEBX(base, offset, 0x03, 0x83) } // EAX += data
func (a *assembler) adcEDXData(base, offset int) { a.dataEBX(base, offset, 0x13, 0x93) } // EDX += data + CF
func (a *assembler) movEAXData(base, offset int) { a.dataEBX(base, offset, 0x8b, 0x83) } // EAX = data
func (a *assembler) cmpESIData(base, offset int) { a.dataEBX(base, offset, 0x3b, 0xb3) } // flags of ESI - data
