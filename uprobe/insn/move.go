package insn

import (
	"math/bits"

	"slowpath/arch/amd64"
)

// emulateLoadBaseAddress executes the most frequent LEA: 64 bits, of a register and a
// displacement.
func emulateLoadBaseAddress(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	*f.Register(i.register) = *f.Register(i.base) + uint64(i.displacement)
	return i.done(f, at)
}

func emulateLoadAddress(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	i.setRegister(f, i.register, i.size(), i.offsetIn(f, at))
	return i.done(f, at)
}

func emulateMoveToOperand(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	size := i.size()
	return i.complete(f, at, i.setOperand(f, at, m, size, i.registerValue(f, i.register, size)))
}

func emulateMoveToRegister(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.loadRegister(f, at, m, i.size(), i.size(), zeroExtended)
}

// extension widens a value of size bytes.
type extension func(value uint64, size int) uint64

func zeroExtended(value uint64, _ int) uint64 { return value }

// loadRegister moves the operand of size from to the register of ModRM.reg, of size to.
func (i *Instruction) loadRegister(f *amd64.Frame, at uint64, m Memory, from, to int, widen extension) error {
	value, err := i.operand(f, at, m, from)
	if err != nil {
		return err
	}
	i.setRegister(f, i.register, to, widen(value, from))
	return i.done(f, at)
}

// sourceSize is the size of the operand of MOVZX and MOVSX.
func (i *Instruction) sourceSize() int { return 1 + int(i.opcode&1) }

func emulateZeroExtend(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.loadRegister(f, at, m, i.sourceSize(), i.size(), zeroExtended)
}

func emulateSignExtend(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.loadRegister(f, at, m, i.sourceSize(), i.size(), extend)
}

func emulateSignExtendDouble(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.loadRegister(f, at, m, 4, i.size(), extend)
}

// emulateMoveAbsolute moves between the accumulator and an absolute address.
func emulateMoveAbsolute(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	const toMemory = 2
	size := i.size()
	address := uint64(i.immediate)
	if i.has(prefixAddressSize) {
		address = uint64(uint32(address))
	}
	address += i.segmentBase(f)
	if i.opcode&toMemory != 0 {
		return i.complete(f, at, store(f, m, address, size, i.registerValue(f, rax, size)))
	}
	value, err := load(f, m, address, size)
	if err != nil {
		return err
	}
	i.setRegister(f, rax, size, value)
	return i.done(f, at)
}

func emulateMoveImmediate(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	i.setRegister(f, i.register, i.size(), uint64(i.immediate))
	return i.done(f, at)
}

func emulateMoveImmediateToOperand(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.complete(f, at, i.setOperand(f, at, m, i.size(), uint64(i.immediate)))
}

// emulateMoveIf reads the operand even if the condition is not met, and then still clears
// the upper half of a 32-bit register (SDM vol. 2A, CMOVcc).
func emulateMoveIf(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	size := i.size()
	value, err := i.operand(f, at, m, size)
	if err != nil {
		return err
	}
	if !i.condition(f) {
		value = i.registerValue(f, i.register, size)
	}
	i.setRegister(f, i.register, size, value)
	return i.done(f, at)
}

func emulateSetIf(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	var value uint64
	if i.condition(f) {
		value = 1
	}
	return i.complete(f, at, i.setOperand(f, at, m, 1, value))
}

func emulateExchange(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	i.exchangeRegisters(f, i.register, i.operandRegister, i.size())
	return i.done(f, at)
}

func emulateExchangeAccumulator(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	i.exchangeRegisters(f, rax, i.register, i.size())
	return i.done(f, at)
}

func (i *Instruction) exchangeRegisters(f *amd64.Frame, a, b uint8, size int) {
	valueA, valueB := i.registerValue(f, a, size), i.registerValue(f, b, size)
	i.setRegister(f, a, size, valueB)
	i.setRegister(f, b, size, valueA)
}

func emulateSwapBytes(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	size := i.size()
	r := i.register
	i.setRegister(f, r, size, bits.ReverseBytes64(i.registerValue(f, r, size))>>(64-8*size))
	return i.done(f, at)
}

// emulateWidenAccumulator executes CBW, CWDE and CDQE.
func emulateWidenAccumulator(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	size := i.size()
	i.setRegister(f, rax, size, extend(f.RAX, size/2))
	return i.done(f, at)
}

// emulateFillWithSign executes CWD, CDQ and CQO.
func emulateFillWithSign(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	size := i.size()
	i.setRegister(f, rdx, size, uint64(int64(extend(f.RAX, size))>>63))
	return i.done(f, at)
}
