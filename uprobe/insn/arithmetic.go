package insn

import (
	"math/bits"

	"slowpath/arch/amd64"
)

// statusFlags are the flags that arithmetic writes.
const statusFlags = amd64.FlagCF | amd64.FlagPF | amd64.FlagAF | amd64.FlagZF | amd64.FlagSF | amd64.FlagOF

// result is the result of an arithmetic operation and its status flags.
type result struct{ value, flags uint64 }

// resultFlags returns PF, ZF and SF of a result (SDM vol. 1, 3.4.3.1).
func resultFlags(value uint64, size int) (flags uint64) {
	if bits.OnesCount8(uint8(value))&1 == 0 {
		flags |= amd64.FlagPF
	}
	if value == 0 {
		flags |= amd64.FlagZF
	}
	if value&signOf(size) != 0 {
		flags |= amd64.FlagSF
	}
	return flags
}

// carryFlags returns CF, AF and OF. A bit of carries is set where the operation carries or
// borrows out of that bit, a bit of overflow where the signs do not fit.
func carryFlags(carries, overflow uint64, size int) (flags uint64) {
	if carries&signOf(size) != 0 {
		flags |= amd64.FlagCF
	}
	if carries&8 != 0 {
		flags |= amd64.FlagAF
	}
	if overflow&signOf(size) != 0 {
		flags |= amd64.FlagOF
	}
	return flags
}

func addition(a, b, carry uint64, size int) result {
	r := (a + b + carry) & maskOf(size)
	carries := a&b | (a|b)&^r
	return result{r, resultFlags(r, size) | carryFlags(carries, (a^r)&(b^r), size)}
}

func subtraction(a, b, borrow uint64, size int) result {
	r := (a - b - borrow) & maskOf(size)
	borrows := ^a&b | (^a|b)&r
	return result{r, resultFlags(r, size) | carryFlags(borrows, (a^b)&(a^r), size)}
}

// logic returns a result of AND, OR and XOR. They clear CF and OF, and, on all CPUs, AF,
// which the manuals leave undefined.
func logic(value uint64, size int) result { return result{value, resultFlags(value, size)} }

// arithmetic has the operations of the opcodes 00 to 3F and of group 1, by their number.
// carry is CF before. Operands have no bits above their size.
var arithmetic = [8]func(a, b, carry uint64, size int) result{
	0:       func(a, b, _ uint64, size int) result { return addition(a, b, 0, size) },
	1:       func(a, b, _ uint64, size int) result { return logic(a|b, size) },
	2:       addition,
	3:       subtraction,
	4:       func(a, b, _ uint64, size int) result { return logic(a&b, size) },
	5:       func(a, b, _ uint64, size int) result { return subtraction(a, b, 0, size) },
	6:       func(a, b, _ uint64, size int) result { return logic(a^b, size) },
	compare: func(a, b, _ uint64, size int) result { return subtraction(a, b, 0, size) },
}

// compare is CMP, whose result is not written.
const compare = 7

// setStatus writes the status flags.
func setStatus(f *amd64.Frame, flags uint64) { f.RFLAGS = f.RFLAGS&^statusFlags | flags }

// compute computes the operation with a number, and writes the flags.
func compute(f *amd64.Frame, number uint8, a, b uint64, size int) uint64 {
	r := arithmetic[number](a, b, f.RFLAGS&amd64.FlagCF, size)
	setStatus(f, r.flags)
	return r.value
}

// arithmeticNumber is the operation of an opcode from 00 to 3F.
func (i *Instruction) arithmeticNumber() uint8 { return i.opcode >> 3 }

func emulateArithmeticToOperand(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	size := i.size()
	return i.arithmeticOnOperand(f, at, m, i.arithmeticNumber(), i.registerValue(f, i.register, size))
}

func emulateArithmeticImmediate(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.arithmeticOnOperand(f, at, m, i.extension(), uint64(i.immediate)&maskOf(i.size()))
}

// arithmeticOnOperand computes with the operand of ModRM.rm, which is a register unless the
// operation is CMP.
func (i *Instruction) arithmeticOnOperand(f *amd64.Frame, at uint64, m Memory, number uint8, b uint64) error {
	size := i.size()
	a, err := i.operand(f, at, m, size)
	if err != nil {
		return err
	}
	i.finish(f, i.operandRegister, number, a, b, size)
	return i.done(f, at)
}

// finish computes, and writes the register unless the operation is CMP.
func (i *Instruction) finish(f *amd64.Frame, register, number uint8, a, b uint64, size int) {
	value := compute(f, number, a, b, size)
	if number != compare {
		i.setRegister(f, register, size, value)
	}
}

func emulateArithmeticToRegister(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	size := i.size()
	b, err := i.operand(f, at, m, size)
	if err != nil {
		return err
	}
	i.finish(f, i.register, i.arithmeticNumber(), i.registerValue(f, i.register, size), b, size)
	return i.done(f, at)
}

func emulateArithmeticAccumulator(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	size := i.size()
	i.finish(f, rax, i.arithmeticNumber(), i.registerValue(f, rax, size), uint64(i.immediate)&maskOf(size), size)
	return i.done(f, at)
}

func emulateTest(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.testOperand(f, at, m, i.registerValue(f, i.register, i.size()))
}

func emulateTestImmediate(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.testOperand(f, at, m, uint64(i.immediate))
}

func (i *Instruction) testOperand(f *amd64.Frame, at uint64, m Memory, b uint64) error {
	size := i.size()
	a, err := i.operand(f, at, m, size)
	if err != nil {
		return err
	}
	setStatus(f, logic(a&b, size).flags)
	return i.done(f, at)
}

func emulateTestAccumulator(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	size := i.size()
	setStatus(f, logic(i.registerValue(f, rax, size)&uint64(i.immediate), size).flags)
	return i.done(f, at)
}

// emulateIncrement executes INC and DEC, which leave CF.
func emulateIncrement(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	size := i.size()
	a := i.registerValue(f, i.operandRegister, size)
	r := addition(a, 1, 0, size)
	if i.extension() == 1 {
		r = subtraction(a, 1, 0, size)
	}
	setStatus(f, r.flags&^amd64.FlagCF|f.RFLAGS&amd64.FlagCF)
	i.setRegister(f, i.operandRegister, size, r.value)
	return i.done(f, at)
}

func emulateComplement(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	size := i.size()
	i.setRegister(f, i.operandRegister, size, ^i.registerValue(f, i.operandRegister, size))
	return i.done(f, at)
}

func emulateNegate(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	size := i.size()
	r := subtraction(0, i.registerValue(f, i.operandRegister, size), 0, size)
	setStatus(f, r.flags)
	i.setRegister(f, i.operandRegister, size, r.value)
	return i.done(f, at)
}

// emulateChangeFlag executes CMC, CLC, STC, CLD and STD.
func emulateChangeFlag(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	switch i.opcode {
	case 0xf5:
		f.RFLAGS ^= amd64.FlagCF
	case 0xf8:
		f.RFLAGS &^= amd64.FlagCF
	case 0xf9:
		f.RFLAGS |= amd64.FlagCF
	case 0xfc:
		f.RFLAGS &^= amd64.FlagDF
	case 0xfd:
		f.RFLAGS |= amd64.FlagDF
	}
	return i.done(f, at)
}
