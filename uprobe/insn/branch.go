package insn

import "slowpath/arch/amd64"

// branchTo sets RIP. It returns an error if the CPU would fault at the branch itself.
func branchTo(f *amd64.Frame, target uint64) error {
	if !amd64.Canonical(target) {
		return ErrNotCanonical
	}
	f.RIP = target
	return nil
}

// conditions has the flags of the conditions of Jcc, SETcc and CMOVcc whose bits are
// tested with OR, by bits 3 to 1 of the opcode (SDM vol. 1, B.1). The last two also compare
// SF with OF.
var conditions = [8]uint64{
	amd64.FlagOF, amd64.FlagCF, amd64.FlagZF, amd64.FlagCF | amd64.FlagZF, amd64.FlagSF, amd64.FlagPF, 0, amd64.FlagZF,
}

// condition reports whether the flags meet the condition in the low four bits of the opcode.
func (i *Instruction) condition(f *amd64.Frame) bool {
	which := i.opcode >> 1 & 7
	met := f.RFLAGS&conditions[which] != 0
	if which >= 6 {
		met = met || (f.RFLAGS&amd64.FlagSF != 0) != (f.RFLAGS&amd64.FlagOF != 0)
	}
	return met != (i.opcode&1 != 0)
}

func emulateJump(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	return branchTo(f, i.Target(at))
}

func emulateJumpIf(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	if !i.condition(f) {
		return i.done(f, at)
	}
	return branchTo(f, i.Target(at))
}

func emulateJumpIndirect(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	target, err := i.operand(f, at, m, 8)
	if err != nil {
		return err
	}
	return branchTo(f, target)
}

// emulateLoop executes LOOPNE, LOOPE, LOOP and JRCXZ (SDM vol. 2A, LOOP; Jcc).
func emulateLoop(i *Instruction, f *amd64.Frame, at uint64, _ Memory) error {
	const jrcxz = 0xe3
	size := int(i.addressSize())
	count := i.registerValue(f, rcx, size)
	taken := count == 0
	if i.opcode != jrcxz {
		count = (count - 1) & maskOf(size)
		taken = count != 0 && i.loopCondition(f)
	}
	target := i.next(at)
	if taken {
		target = i.Target(at)
	}
	err := branchTo(f, target)
	if err == nil && i.opcode != jrcxz {
		i.setRegister(f, rcx, size, count)
	}
	return err
}

func (i *Instruction) loopCondition(f *amd64.Frame) bool {
	zero := f.RFLAGS&amd64.FlagZF != 0
	switch i.opcode {
	case 0xe0:
		return !zero
	case 0xe1:
		return zero
	}
	return true
}

func emulateCall(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	return i.callTo(f, at, m, i.Target(at))
}

func emulateCallIndirect(i *Instruction, f *amd64.Frame, at uint64, m Memory) error {
	target, err := i.operand(f, at, m, 8)
	if err != nil {
		return err
	}
	return i.callTo(f, at, m, target)
}

func (i *Instruction) callTo(f *amd64.Frame, at uint64, m Memory, target uint64) error {
	if !amd64.Canonical(target) {
		return ErrNotCanonical
	}
	if err := pushValue(f, m, 8, i.next(at)); err != nil {
		return err
	}
	f.RIP = target
	return nil
}

func emulateReturn(i *Instruction, f *amd64.Frame, _ uint64, m Memory) error {
	target, err := load(f, m, f.RSP, 8)
	if err != nil {
		return err
	}
	if err := branchTo(f, target); err != nil {
		return err
	}
	f.RSP += 8 + uint64(uint16(i.immediate))
	return nil
}
