package insn

import "slowpath/arch/amd64"

// pushValue pushes a value. On an error RSP has not changed.
func pushValue(f *amd64.Frame, m Memory, size int, value uint64) error {
	if err := store(f, m, f.RSP-uint64(size), size, value); err != nil {
		return err
	}
	f.RSP -= uint64(size)
	return nil
}

func emulatePush(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.complete(f, at, pushValue(f, m, i.size(), *f.Register(i.register)))
}

func emulatePushImmediate(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.complete(f, at, pushValue(f, m, i.size(), uint64(i.immediate)))
}

func emulatePushOperand(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	value, err := i.operand(f, at, m, i.size())
	if err != nil {
		return err
	}
	return i.complete(f, at, pushValue(f, m, i.size(), value))
}

// emulatePushFlags pushes RFLAGS without RF and VM, and without the TF of a tracer (SDM vol.
// 2B, PUSHF).
func emulatePushFlags(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.complete(f, at, pushValue(f, m, i.size(), f.ProgramFlags()&^(amd64.FlagRF|amd64.FlagVM)))
}

// emulatePop increments RSP before it writes the register, which may be RSP.
func emulatePop(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	size := i.size()
	value, err := load(f, m, f.RSP, size)
	if err != nil {
		return err
	}
	f.RSP += uint64(size)
	i.setRegister(f, i.register, size, value)
	return i.done(f, at)
}

// emulatePopOperand computes the operand's address with the incremented RSP (SDM vol. 2B,
// POP).
func emulatePopOperand(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	size := i.size()
	value, err := load(f, m, f.RSP, size)
	if err != nil {
		return err
	}
	f.RSP += uint64(size)
	if err := i.setOperand(f, at, m, size, value); err != nil {
		f.RSP -= uint64(size)
		return err
	}
	return i.done(f, at)
}

// popFlagsMask are the flags that POPF changes at privilege level 3 (SDM vol. 2B, POPF).
// SetProgramFlags changes those of UserFlags, and clears RF.
const popFlagsMask = amd64.UserFlags &^ amd64.FlagRF

func emulatePopFlags(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	size := i.size()
	flags, err := load(f, m, f.RSP, size)
	if err != nil {
		return err
	}
	f.RSP += uint64(size)
	flags |= f.ProgramFlags() &^ maskOf(size)
	f.SetProgramFlags(flags & popFlagsMask)
	f.RFLAGS = f.RFLAGS&^amd64.FlagID | flags&amd64.FlagID
	return i.done(f, at)
}

func emulateLeave(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	size := i.size()
	value, err := load(f, m, f.RBP, size)
	if err != nil {
		return err
	}
	f.RSP = f.RBP + uint64(size)
	i.setRegister(f, rbp, size, value)
	return i.done(f, at)
}
