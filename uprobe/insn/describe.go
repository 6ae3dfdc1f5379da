package insn

import "slowpath/arch/amd64"

// NoRegister is a Base or Index that an Operand does not have.
const NoRegister = 0xff

// Operand describes the operand of an instruction in memory that the encoding names.
type Operand struct {
	Base, Index uint8 // numbers of registers, or NoRegister
	Scale       uint8 // what the index is multiplied with: 1, 2, 4 or 8
	// RIPRelative is set if the address is relative to the end of the instruction.
	RIPRelative bool
	// DisplacementAt is the place of a displacement of 32 bits in the code, or 0.
	DisplacementAt uint8
	// AbsoluteAt is the place of an absolute address of AddressSize bytes, or 0. There are
	// no registers then.
	AbsoluteAt  uint8
	AddressSize uint8 // 4 or 8 bytes
}

// Operand returns the instruction's operand in memory. It reports false if it has none that
// the encoding names. The vector index of a gather is described as if it was a general
// register.
func (i *Instruction) Operand() (Operand, bool) {
	o := Operand{Base: NoRegister, Index: NoRegister, Scale: 1, AddressSize: i.addressSize()}
	switch {
	case i.layout == offset:
		o.AbsoluteAt = i.immediateAt
		return o, true
	case !i.memory():
		return o, false
	}
	o.DisplacementAt = i.displacementAt()
	o.RIPRelative = i.ripRelative()
	o.Index, o.Scale = i.index, 1<<i.shift
	if !o.RIPRelative {
		o.Base = i.base
	}
	return o, true
}

// displacementAt returns the place of a displacement of 32 bits, or 0.
func (i *Instruction) displacementAt() uint8 {
	sib := onlyIf(i.modRM&7 == 4, 1)
	if i.modRM>>6 == 2 || i.modRM < 0x40 && (i.modRM&7 == 5 || sib == 1 && i.sib&7 == 5) {
		return i.modRMAt + 1 + sib
	}
	return 0
}

// Address returns the linear address of the operand of ModRM, for an instruction at the
// address at. f is settled, and its owner calls. The value has no meaning for another
// instruction.
func (i *Instruction) Address(f *amd64.Frame, at uint64) uint64 { return i.address(f, at) }

// Opcode returns the table of the opcode (0 is that of one byte, 1 that of 0F, 2 that of 0F 38,
// 3 that of 0F 3A, as in VEX) and the opcode.
func (i *Instruction) Opcode() (table, opcode uint8) { return uint8(i.opcodes), i.opcode }

// Vector reports whether the encoding is VEX or EVEX.
func (i *Instruction) Vector() bool { return i.encoding != legacy }

// ModRM returns the byte ModRM. It reports false if there is none.
func (i *Instruction) ModRM() (uint8, bool) { return i.modRM, i.modRMAt != 0 }

// RelativeAt returns the place of the operand of a relative branch in the code, and its size
// of 1 or 4 bytes. The size is 0 for another instruction.
func (i *Instruction) RelativeAt() (at, size uint8) {
	if !i.Relative() {
		return 0, 0
	}
	return i.immediateAt, i.length - i.immediateAt
}
