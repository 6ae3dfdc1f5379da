package insn

import (
	"math/bits"

	"slowpath/arch/amd64"
)

func emulateLoadAddress(i *Instruction, f *amd64.Frame, at uint64, _ Memory) (uint64, error) {
	i.setRegister(f, i.reg(), int(i.operandSize()), i.offsetIn(f, at))
	return i.next(at), nil
}

func emulateMoveToOperand(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	size := i.size()
	return i.next(at), i.setOperand(f, at, m, size, i.register(f, i.reg(), size))
}

func emulateMoveToRegister(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	return i.loadRegister(f, at, m, i.size(), i.size(), zeroExtended)
}

// extension widens a value of size bytes.
type extension func(value uint64, size int) uint64

func zeroExtended(value uint64, _ int) uint64 { return value }

// loadRegister moves the operand of size from to the register of ModRM.reg, of size to.
func (i *Instruction) loadRegister(f *amd64.Frame, at uint64, m Memory, from, to int, widen extension) (uint64, error) {
	value, err := i.operand(f, at, m, from)
	if err != nil {
		return 0, err
	}
	i.setRegister(f, i.reg(), to, widen(value, from))
	return i.next(at), nil
}

// sourceSize is the size of the operand of MOVZX and MOVSX.
func (i *Instruction) sourceSize() int { return 1 + int(i.opcode&1) }

func emulateZeroExtend(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	return i.loadRegister(f, at, m, i.sourceSize(), int(i.operandSize()), zeroExtended)
}

func emulateSignExtend(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	return i.loadRegister(f, at, m, i.sourceSize(), int(i.operandSize()), extend)
}

func emulateSignExtendDouble(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	return i.loadRegister(f, at, m, 4, int(i.operandSize()), extend)
}

// emulateMoveAbsolute moves between the accumulator and an absolute address.
func emulateMoveAbsolute(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	const toMemory = 2
	size := i.size()
	address := uint64(i.immediate)
	if i.has(prefixAddressSize) {
		address = uint64(uint32(address))
	}
	address += i.segmentBase(f)
	if i.opcode&toMemory != 0 {
		return i.next(at), store(f, m, address, size, i.register(f, rax, size))
	}
	value, err := load(f, m, address, size)
	if err != nil {
		return 0, err
	}
	i.setRegister(f, rax, size, value)
	return i.next(at), nil
}

func emulateMoveImmediate(i *Instruction, f *amd64.Frame, at uint64, _ Memory) (uint64, error) {
	size := int(i.operandSize())
	if i.opcode < 0xb8 {
		size = 1
	}
	i.setRegister(f, i.opcodeRegister(), size, uint64(i.immediate))
	return i.next(at), nil
}

func emulateMoveImmediateToOperand(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	return i.next(at), i.setOperand(f, at, m, i.size(), uint64(i.immediate))
}

// emulateMoveIf reads the operand even if the condition is not met, and then still clears
// the upper half of a 32-bit register (SDM vol. 2A, CMOVcc).
func emulateMoveIf(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	size := int(i.operandSize())
	value, err := i.operand(f, at, m, size)
	if err != nil {
		return 0, err
	}
	if !i.condition(f) {
		value = i.register(f, i.reg(), size)
	}
	i.setRegister(f, i.reg(), size, value)
	return i.next(at), nil
}

func emulateSetIf(i *Instruction, f *amd64.Frame, at uint64, m Memory) (uint64, error) {
	var value uint64
	if i.condition(f) {
		value = 1
	}
	return i.next(at), i.setOperand(f, at, m, 1, value)
}

func emulateExchange(i *Instruction, f *amd64.Frame, at uint64, _ Memory) (uint64, error) {
	i.exchangeRegisters(f, i.reg(), i.rm(), i.size())
	return i.next(at), nil
}

func emulateExchangeAccumulator(i *Instruction, f *amd64.Frame, at uint64, _ Memory) (uint64, error) {
	i.exchangeRegisters(f, rax, i.opcodeRegister(), int(i.operandSize()))
	return i.next(at), nil
}

func (i *Instruction) exchangeRegisters(f *amd64.Frame, a, b uint8, size int) {
	valueA, valueB := i.register(f, a, size), i.register(f, b, size)
	i.setRegister(f, a, size, valueB)
	i.setRegister(f, b, size, valueA)
}

func emulateSwapBytes(i *Instruction, f *amd64.Frame, at uint64, _ Memory) (uint64, error) {
	size := int(i.operandSize())
	r := i.opcodeRegister()
	i.setRegister(f, r, size, bits.ReverseBytes64(i.register(f, r, size))>>(64-8*size))
	return i.next(at), nil
}

// emulateWidenAccumulator executes CBW, CWDE and CDQE.
func emulateWidenAccumulator(i *Instruction, f *amd64.Frame, at uint64, _ Memory) (uint64, error) {
	size := int(i.operandSize())
	i.setRegister(f, rax, size, extend(f.RAX, size/2))
	return i.next(at), nil
}

// emulateFillWithSign executes CWD, CDQ and CQO.
func emulateFillWithSign(i *Instruction, f *amd64.Frame, at uint64, _ Memory) (uint64, error) {
	size := int(i.operandSize())
	i.setRegister(f, rdx, size, uint64(int64(extend(f.RAX, size))>>63))
	return i.next(at), nil
}
