package insn

import (
	"errors"

	"slowpath/arch/amd64"
)

// Memory is the memory of a program. Addresses are linear; the size is 1, 2, 4 or 8 bytes;
// values are little-endian, and the bytes of a stored value above its size have no meaning. An
// error means that the access would fault, and that nothing
// has changed.
type Memory interface {
	Load(address uint64, size int) (uint64, error)
	Store(address uint64, size int, value uint64) error
}

// Errors of Emulate, besides those of Memory.
var (
	// ErrNotEmulated says that only the CPU can execute the instruction.
	ErrNotEmulated = errors.New("the instruction is not emulated")
	// ErrNotCanonical says that a branch goes to an address that RIP cannot have.
	ErrNotCanonical = errors.New("the target of the branch is not canonical")
	// ErrAlignment says that the access is not aligned and that the program has set
	// RFLAGS.AC.
	ErrAlignment = errors.New("the access is not aligned")
)

// Numbers of registers.
const (
	rax = iota
	rcx
	rdx
	rbx
	rsp
	rbp
	rsi
	rdi
)

// Emulated reports whether Emulate can execute the instruction.
func (i *Instruction) Emulated() bool { return i.operation != notEmulated }

// Emulate executes the instruction, which the program has at the address at: registers,
// flags and RIP. f is settled, and its owner calls. On an error nothing has changed: the
// caller lets the CPU execute the instruction out of line, which faults as the program
// expects. Nothing is written below RSP but what the instruction itself pushes. The trap
// of a single step, if TF was set before, is the caller's.
func (i *Instruction) Emulate(f *amd64.Frame, at uint64, m Memory) error {
	return emulators[i.operation&(maxOperations-1)](i, f, at, m)
}

// done makes the program continue after the instruction.
func (i *Instruction) done(f *amd64.Frame, at uint64) error {
	f.RIP = i.next(at)
	return nil
}

// complete does what done does, unless there is an error.
func (i *Instruction) complete(f *amd64.Frame, at uint64, err error) error {
	if err == nil {
		f.RIP = i.next(at)
	}
	return err
}

// emulator executes one operation.
type emulator func(i *Instruction, f *amd64.Frame, at uint64, m Memory) error

// maxOperations is a power of 2, so that an access to emulators needs no check.
const maxOperations = 64

var emulators = [maxOperations]emulator{
	notEmulated:            func(*Instruction, *amd64.Frame, uint64, Memory) error { return ErrNotEmulated },
	doNothing:              func(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error { return i.done(f, at) },
	loadBaseAddress:        emulateLoadBaseAddress,
	jump:                   emulateJump,
	jumpIndirect:           emulateJumpIndirect,
	jumpIf:                 emulateJumpIf,
	loop:                   emulateLoop,
	call:                   emulateCall,
	callIndirect:           emulateCallIndirect,
	returnNear:             emulateReturn,
	push:                   emulatePush,
	pushImmediate:          emulatePushImmediate,
	pushOperand:            emulatePushOperand,
	pushFlags:              emulatePushFlags,
	pop:                    emulatePop,
	popOperand:             emulatePopOperand,
	popFlags:               emulatePopFlags,
	leave:                  emulateLeave,
	loadAddress:            emulateLoadAddress,
	moveToOperand:          emulateMoveToOperand,
	moveToRegister:         emulateMoveToRegister,
	moveAbsolute:           emulateMoveAbsolute,
	moveImmediate:          emulateMoveImmediate,
	moveImmediateToOperand: emulateMoveImmediateToOperand,
	zeroExtend:             emulateZeroExtend,
	signExtend:             emulateSignExtend,
	signExtendDouble:       emulateSignExtendDouble,
	arithmeticToOperand:    emulateArithmeticToOperand,
	arithmeticToRegister:   emulateArithmeticToRegister,
	arithmeticAccumulator:  emulateArithmeticAccumulator,
	arithmeticImmediate:    emulateArithmeticImmediate,
	test:                   emulateTest,
	testAccumulator:        emulateTestAccumulator,
	testImmediate:          emulateTestImmediate,
	increment:              emulateIncrement,
	complement:             emulateComplement,
	negate:                 emulateNegate,
	moveIf:                 emulateMoveIf,
	setIf:                  emulateSetIf,
	exchange:               emulateExchange,
	exchangeAccumulator:    emulateExchangeAccumulator,
	swapBytes:              emulateSwapBytes,
	widenAccumulator:       emulateWidenAccumulator,
	fillWithSign:           emulateFillWithSign,
	changeFlag:             emulateChangeFlag,
}

// IsNop reports whether the instruction does nothing but advance RIP: NOP of all lengths,
// and ENDBR64 where no shadow stack is checked.
func (i *Instruction) IsNop() bool { return i.operation == doNothing }
