package insn

// NoScratch is the Scratch of an OutOfLine that needs none.
const NoScratch = 0xff

// OutOfLine is the form of an instruction that the CPU can execute at any address.
type OutOfLine struct {
	// Code begins with the instruction. The rest is INT3.
	Code   [MaxLength + 1]byte
	Length int
	// Scratch is the number of a register (see amd64.Frame.Register) that replaces RIP in
	// the memory operand, or NoScratch. The instruction neither reads nor writes it. The
	// caller sets it to Base for the step and restores it afterwards.
	Scratch uint8
}

// Base returns the value of the scratch register for an instruction that a program has at
// the address at.
func (o *OutOfLine) Base(at uint64) uint64 { return at + uint64(o.Length) }

const int3 = 0xcc

// OutOfLine returns the form for execution in a slot. The form of an instruction that
// changes RIP has no meaning unless it faults. An x87 instruction records the address of the
// slot as its own (FIP in the extended state), as on Linux.
//
// An operand [RIP+disp32] becomes [scratch+disp32] of the same length. Disp32 is never
// scaled, not even by EVEX (SDM vol. 2A, 2.7.5), and with an address-size prefix both forms
// are truncated to 32 bits.
func (i *Instruction) OutOfLine() OutOfLine {
	o := OutOfLine{Length: int(i.length), Scratch: NoScratch}
	copy(o.Code[:], i.bytes[:])
	for n := o.Length; n < len(o.Code); n++ {
		o.Code[n] = int3
	}
	if i.ripRelative() {
		o.Scratch = i.scratch()
		o.Code[i.modRMAt] = 0x80 | i.modRM&0x38 | o.Scratch
		i.clearBaseExtension(&o.Code)
	}
	return o
}

// scratch chooses a register that the instruction does not use. An instruction names at most
// two besides the operand, in ModRM.reg and in vvvv. The candidates need no REX, and no
// instruction with a ModRM for memory uses RSI or RDI without naming it. RBX is only
// chosen if both are named, which CMPXCHG8B, its only implicit user, does not.
func (i *Instruction) scratch() uint8 {
	used := 1<<i.reg() | 1<<i.usedVVVV()
	for _, candidate := range [...]uint8{rsi, rdi} {
		if used>>candidate&1 == 0 {
			return candidate
		}
	}
	return rbx
}

// usedVVVV returns the register of vvvv. Without VEX it returns the one of ModRM.reg.
func (i *Instruction) usedVVVV() uint8 {
	if i.encoding == legacy {
		return i.reg()
	}
	return i.vvvv
}

// clearBaseExtension clears the extension of ModRM.rm, which has no effect on an operand
// relative to RIP.
func (i *Instruction) clearBaseExtension(code *[MaxLength + 1]byte) {
	switch {
	case i.encoding == legacy && i.rex != 0:
		code[i.rexAt] &^= rexB
	case i.encoding == vex3:
		code[i.modRMAt-3] |= rexB << 5 // C4 P0 P1 opcode ModRM
	case i.encoding == evex:
		code[i.modRMAt-4] |= rexB << 5 // 62 P0 P1 P2 opcode ModRM
	}
}
