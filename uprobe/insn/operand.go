package insn

import "slowpath/arch/amd64"

// size is the operand size of an opcode whose bit 0 distinguishes it from bytes.
func (i *Instruction) size() int {
	if i.opcode&1 == 0 {
		return 1
	}
	return int(i.operandSize())
}

// opcodeRegister is the register in the low three bits of the opcode.
func (i *Instruction) opcodeRegister() uint8 { return i.opcode&7 | i.rex&rexB<<3 }

// maskOf has the bits of an operand of size bytes.
func maskOf(size int) uint64 { return ^uint64(0) >> (64 - 8*size) }

// signOf is the sign bit of an operand of size bytes.
func signOf(size int) uint64 { return 1 << (8*size - 1) }

// extend extends the sign of an operand of size bytes.
func extend(value uint64, size int) uint64 {
	unused := 64 - 8*size
	return uint64(int64(value<<unused) >> unused)
}

// highByte reports whether the number of a byte register means AH, CH, DH or BH (SDM vol.
// 2A, table 2-2).
func (i *Instruction) highByte(number uint8, size int) bool {
	return size == 1 && i.rex == 0 && number >= 4
}

// register returns the value of a register, zero-extended.
func (i *Instruction) register(f *amd64.Frame, number uint8, size int) uint64 {
	if i.highByte(number, size) {
		return *f.Register(number - 4) >> 8 & 0xff
	}
	return *f.Register(number) & maskOf(size)
}

// setRegister writes a register. A 32-bit write clears the upper half (SDM vol. 1, 3.4.1.1).
func (i *Instruction) setRegister(f *amd64.Frame, number uint8, size int, value uint64) {
	if i.highByte(number, size) {
		r := f.Register(number - 4)
		*r = *r&^0xff00 | value&0xff<<8
		return
	}
	r, mask := f.Register(number), maskOf(size)
	if size == 4 {
		*r = value & mask
		return
	}
	*r = *r&^mask | value&mask
}

// offsetIn returns the effective address of the memory operand, without the segment's base
// (SDM vol. 2A, 2.1.5).
func (i *Instruction) offsetIn(f *amd64.Frame, at uint64) uint64 {
	a := i.base(f, at) + i.index(f) + uint64(i.displacement)
	if i.has(prefixAddressSize) {
		return uint64(uint32(a))
	}
	return a
}

func (i *Instruction) base(f *amd64.Frame, at uint64) uint64 {
	if i.ripRelative() {
		return i.next(at)
	}
	if base := i.baseRegister(); base != NoRegister {
		return *f.Register(base)
	}
	return 0
}

// baseRegister is the base of an operand that is not relative to RIP, or NoRegister.
func (i *Instruction) baseRegister() uint8 {
	base := i.modRM & 7
	if base == 4 {
		base = i.sib & 7
		if base == 5 && i.modRM < 0x40 {
			return NoRegister
		}
	}
	return base | i.rex&rexB<<3
}

// indexRegister is the index register of SIB. RSP means that there is none.
func (i *Instruction) indexRegister() uint8 { return i.sib>>3&7 | i.rex&rexX<<2 }

func (i *Instruction) index(f *amd64.Frame) uint64 {
	index := i.indexRegister()
	if i.modRM&7 != 4 || index == rsp {
		return 0
	}
	return *f.Register(index) << (i.sib >> 6)
}

// segmentBase is the base of the operand's segment. That of GS is in the frame when no CPU
// has the frame's state.
func (i *Instruction) segmentBase(f *amd64.Frame) uint64 {
	switch {
	case i.has(prefixFS):
		return f.FSBase
	case i.has(prefixGS):
		amd64.Release(f)
		return f.GSBase
	}
	return 0
}

// address returns the linear address of the memory operand.
func (i *Instruction) address(f *amd64.Frame, at uint64) uint64 {
	return i.offsetIn(f, at) + i.segmentBase(f)
}

// operand returns the value of the operand of ModRM.rm.
func (i *Instruction) operand(f *amd64.Frame, at uint64, m Memory, size int) (uint64, error) {
	if !i.memory() {
		return i.register(f, i.rm(), size), nil
	}
	return load(f, m, i.address(f, at), size)
}

// setOperand writes the operand of ModRM.rm.
func (i *Instruction) setOperand(f *amd64.Frame, at uint64, m Memory, size int, value uint64) error {
	if !i.memory() {
		i.setRegister(f, i.rm(), size, value)
		return nil
	}
	return store(f, m, i.address(f, at), size, value)
}

func load(f *amd64.Frame, m Memory, address uint64, size int) (uint64, error) {
	if unaligned(f, address, size) {
		return 0, ErrAlignment
	}
	return m.Load(address, size)
}

func store(f *amd64.Frame, m Memory, address uint64, size int, value uint64) error {
	if unaligned(f, address, size) {
		return ErrAlignment
	}
	return m.Store(address, size, value&maskOf(size))
}

// unaligned reports whether the access causes #AC (SDM vol. 3A, 6.15).
func unaligned(f *amd64.Frame, address uint64, size int) bool {
	return f.RFLAGS&amd64.FlagAC != 0 && address&uint64(size-1) != 0
}
