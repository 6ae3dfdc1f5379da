package insn

import "slowpath/arch/amd64"

// size is the size of the operands in bytes.
func (i *Instruction) size() int { return int(i.width) }

// maskOf has the bits of an operand of size bytes.
func maskOf(size int) uint64 { return ^uint64(0) >> unusedBits(size) }

// unusedBits is the number of bits above an operand. The mask tells the compiler that the
// shift is short.
func unusedBits(size int) int { return (64 - 8*size) & 63 }

// signOf is the sign bit of an operand of size bytes.
func signOf(size int) uint64 { return 1 << ((8*size - 1) & 63) }

// extend extends the sign of an operand of size bytes.
func extend(value uint64, size int) uint64 {
	return uint64(int64(value<<unusedBits(size)) >> unusedBits(size))
}

// highByte reports whether the number of a byte register means AH, CH, DH or BH (SDM vol.
// 2A, table 2-2).
func (i *Instruction) highByte(number uint8, size int) bool {
	return size == 1 && i.rex == 0 && number >= 4
}

// registerValue returns the value of a register, zero-extended.
func (i *Instruction) registerValue(f *amd64.Frame, number uint8, size int) uint64 {
	if size == 8 {
		return *f.Register(number)
	}
	if i.highByte(number, size) {
		return *f.Register(number - 4) >> 8 & 0xff
	}
	return *f.Register(number) & maskOf(size)
}

// setRegister writes a register. A 32-bit write clears the upper half (SDM vol. 1, 3.4.1.1).
func (i *Instruction) setRegister(f *amd64.Frame, number uint8, size int, value uint64) {
	if size == 8 {
		*f.Register(number) = value
		return
	}
	i.setPart(f, number, size, value)
}

// setPart writes a register of 1, 2 or 4 bytes.
func (i *Instruction) setPart(f *amd64.Frame, number uint8, size int, value uint64) {
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
	a := uint64(i.displacement)
	switch i.base {
	case noBase:
	case ripBase:
		a += i.next(at)
	default:
		a += *f.Register(i.base)
	}
	if i.index != noIndex {
		a += *f.Register(i.index) << (i.shift & 3)
	}
	if i.has(prefixAddressSize) {
		a = uint64(uint32(a))
	}
	return a
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
		return i.registerValue(f, i.operandRegister, size), nil
	}
	return load(f, m, i.address(f, at), size)
}

// setOperand writes the operand of ModRM.rm.
func (i *Instruction) setOperand(f *amd64.Frame, at uint64, m Memory, size int, value uint64) error {
	if !i.memory() {
		i.setRegister(f, i.operandRegister, size, value)
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
	return m.Store(address, size, value)
}

// unaligned reports whether the access causes #AC (SDM vol. 3A, 6.15).
func unaligned(f *amd64.Frame, address uint64, size int) bool {
	return f.RFLAGS&amd64.FlagAC != 0 && address&uint64(size-1) != 0
}
