package insn

// Refusal is why a probe cannot be put on an instruction. It is the error of Steppable.
type Refusal uint8

// The refusals.
const (
	refusalNone Refusal = iota
	// RefusedPrivileged is an instruction of the kernel: IN, OUT, HLT, CLI, and others.
	RefusedPrivileged
	// RefusedTrap is an instruction whose purpose is an exception: INT3, INT n, INT1, UD2.
	RefusedTrap
	// RefusedFar is a far branch, IRET, SYSENTER, SYSEXIT or SYSRET.
	RefusedFar
	// RefusedMasking is a load of SS. It delays the trap of a single step by an
	// instruction.
	RefusedMasking
	// RefusedBranchPrefix is a near branch with a prefix that CPUs disagree about: an
	// operand size without REX.W, which Intel ignores and with which AMD truncates RIP
	// to 16 bits; REP before LOOPE and LOOPNE, which AMD takes as the condition; or two
	// segments of the operand.
	RefusedBranchPrefix
	// RefusedTransaction is XBEGIN. Its operand is a code address.
	RefusedTransaction
)

var refusals = [...]string{
	RefusedPrivileged:   "the instruction is privileged",
	RefusedTrap:         "the instruction is a trap",
	RefusedFar:          "the instruction is a far branch",
	RefusedMasking:      "the instruction loads SS",
	RefusedBranchPrefix: "CPUs disagree about a prefix of the branch",
	RefusedTransaction:  "the instruction begins a transaction",
}

// Error returns the reason in words.
func (r Refusal) Error() string { return refusals[r] }

// Steppable returns nil if a probe can be put on the instruction, and otherwise a Refusal.
// Linux's list is in arch/x86/kernel/uprobes.c (good_insns_64, good_2byte_insns,
// is_prefix_bad, branch_setup_xol_ops, insn_masking_exception). Everything that Linux 6.1
// accepts is accepted, except for far returns and XBEGIN, which Linux would execute wrongly
// in a slot. Accepted too are what Linux refuses only because nobody has examined it: LOCK,
// the segment prefixes, EVEX, group 0F AE (fences, XSAVE, RDFSBASE), the instructions of
// 0F 01 that need no privilege, and SYSCALL, which the user loop executes.
func (i *Instruction) Steppable() error {
	if r := i.refusal(); r != refusalNone {
		return r
	}
	return nil
}

func (i *Instruction) refusal() Refusal {
	switch {
	case i.encoding != legacy:
		return refusalNone
	case i.IsFar() || i.is(map0F, 0x34, 0x34):
		return RefusedFar
	case i.ambiguousBranch():
		return RefusedBranchPrefix
	case i.isTransactionBegin():
		return RefusedTransaction
	case i.isGroup(0x8e, 2):
		return RefusedMasking
	case i.is(map0F, 0x01, 0x01) && i.userMode01():
		return refusalNone
	case i.is(map0F, 0x78, 0x79) && i.has(prefixOperandSize|prefixRepeatNot):
		return refusalNone // EXTRQ and INSERTQ, not VMREAD and VMWRITE
	case i.opcodes <= map0F:
		return refused[i.opcodes].of(i.opcode)
	}
	return refusalNone
}

// ambiguousBranch reports what RefusedBranchPrefix describes.
func (i *Instruction) ambiguousBranch() bool {
	switch {
	case i.is(primary, 0xe0, 0xe1) && i.has(prefixRepeat|prefixRepeatNot):
		return true
	case i.IsReturn(), i.IsCall(), i.IsJump():
		return i.operandSize() == 2 || i.memory() && i.manySegments()
	}
	return false
}

// opcodeSet is a set of opcodes of one map.
type opcodeSet [4]uint64

func setOf(opcodes ...uint8) (s opcodeSet) {
	for _, o := range opcodes {
		s[o>>6] |= 1 << (o & 63)
	}
	return s
}

func (s *opcodeSet) has(opcode uint8) bool { return s[opcode>>6]>>(opcode&63)&1 != 0 }

// refusedOpcodes are the opcodes of a map that are always refused.
type refusedOpcodes struct{ privileged, traps opcodeSet }

func (r *refusedOpcodes) of(opcode uint8) Refusal {
	switch {
	case r.privileged.has(opcode):
		return RefusedPrivileged
	case r.traps.has(opcode):
		return RefusedTrap
	}
	return refusalNone
}

var refused = [...]refusedOpcodes{
	primary: {
		// INS, OUTS, IN, OUT, HLT, CLI, STI.
		privileged: setOf(0x6c, 0x6d, 0x6e, 0x6f, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef, 0xf4, 0xfa, 0xfb),
		// INT3, INT n, INT1.
		traps: setOf(0xcc, 0xcd, 0xf1),
	},
	map0F: {
		// Groups 6 and 7, CLTS, INVD, WBINVD, WRMSR, GETSEC, RSM, VMREAD, VMWRITE.
		privileged: setOf(0x00, 0x01, 0x06, 0x08, 0x09, 0x30, 0x37, 0x78, 0x79, 0xaa),
		// UD2, UD1, UD0.
		traps: setOf(0x0b, 0xb9, 0xff),
	},
}

// userMode01 reports whether an instruction of group 0F 01 needs no privilege: XGETBV, XEND,
// XTEST, SERIALIZE, RDPKRU, WRPKRU, RDTSCP, MONITORX, MWAITX, CLZERO, RDPRU.
func (i *Instruction) userMode01() bool { return userMode01.has(i.modRM) }

var userMode01 = setOf(0xd0, 0xd5, 0xd6, 0xe8, 0xee, 0xef, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd)
