// Package insn decodes the 64-bit instructions of x86-64, and executes one instruction for
// a probe: it emulates the frequent ones on a frame of registers, and returns of every
// other one the form that the CPU can execute at another address.
//
// The package names the manuals as SDM (Intel, Software Developer's Manual) and APM (AMD,
// Architecture Programmer's Manual). A number of a register is the one of ModRM: 0 RAX, 1
// RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, and 8 to 15.
package insn

import "errors"

// MaxLength is the length of the longest instruction, in bytes (SDM vol. 2A, 2.3.11).
const MaxLength = 15

// Errors of Decode.
var (
	// ErrTruncated says that the code ends within the instruction.
	ErrTruncated = errors.New("the code ends within an instruction")
	// ErrInvalid says that the bytes are no 64-bit instruction, or one of AMD's XOP.
	ErrInvalid = errors.New("the bytes are not a 64-bit instruction")
)

// Instruction is one decoded instruction. It is a value without pointers. All methods may
// be called in any context; none allocates.
type Instruction struct {
	bytes  [MaxLength]byte
	length uint8

	encoding encoding
	opcodes  opcodeMap
	opcode   uint8
	prefixes prefixes
	// rex has the bits of REX, also those of VEX and EVEX (not inverted). It is not 0
	// if there is a REX prefix.
	rex    uint8
	vvvv   uint8 // register of VEX.vvvv or EVEX.vvvv, 0 to 15
	layout layout

	modRM, sib uint8
	// The places of the parts in bytes. 0 is: no such part.
	rexAt, modRMAt, immediateAt uint8

	displacement int32
	immediate    int64 // sign-extended; the address of a moffs operand

	operation operation
	// What Emulate needs of the encoding: see prepare.
	base, index, shift uint8 // of the effective address: registers, or no index, noBase or ripBase
	width              uint8 // of the operation's operands, in bytes
	register           uint8 // the register of ModRM.reg, or of the opcode
	operandRegister    uint8 // the register of ModRM.rm
}

// Values of base that are no registers.
const (
	noBase  = NoRegister
	ripBase = NoRegister - 1
	noIndex = NoRegister
)

// encoding says how the opcode is encoded.
type encoding uint8

const (
	legacy encoding = iota
	vex2
	vex3
	evex
)

// opcodeMap is a table of 256 opcodes, with the number that VEX.mmmmm and EVEX.mmm have.
type opcodeMap uint8

const (
	primary opcodeMap = iota
	map0F
	map0F38
	map0F3A
	map5 = 5 // EVEX only (AVX512-FP16)
	map6 = 6
)

// prefixes is the set of legacy prefixes of an instruction.
type prefixes uint16

const (
	prefixOperandSize prefixes = 1 << iota // 66
	prefixAddressSize                      // 67
	prefixLock                             // F0
	prefixRepeatNot                        // F2, if it is after any F3
	prefixRepeat                           // F3, if it is after any F2
	prefixFS                               // 64
	prefixGS                               // 65
	prefixNullSegment                      // 26, 2E, 36, 3E: no effect in 64-bit mode
)

// Bits of the REX prefix (SDM vol. 2A, 2.2.1.2).
const (
	rexB = 1 << iota
	rexX
	rexR
	rexW
	rexPresent = 0x40
)

// Len returns the length of the instruction in bytes.
func (i *Instruction) Len() int { return int(i.length) }

// Bytes returns a copy of the instruction's bytes. The first Len are valid, the others are
// 0.
func (i *Instruction) Bytes() [MaxLength]byte { return i.bytes }

func (i *Instruction) has(p prefixes) bool { return i.prefixes&p != 0 }

// is reports whether the instruction has one of the opcodes of a map, in the legacy
// encoding.
func (i *Instruction) is(m opcodeMap, first, last uint8) bool {
	return i.encoding == legacy && i.opcodes == m && i.opcode >= first && i.opcode <= last
}

// isGroup reports whether the instruction is the extension reg of an opcode of the primary
// map.
func (i *Instruction) isGroup(opcode, reg uint8) bool {
	return i.is(primary, opcode, opcode) && i.extension() == reg
}

// extension is the field ModRM.reg, which selects an instruction of a group.
func (i *Instruction) extension() uint8 { return i.modRM >> 3 & 7 }

// reg is the register of ModRM.reg.
func (i *Instruction) reg() uint8 { return i.extension() | i.rex&rexR<<1 }

// rm is the register of ModRM.rm, if the operand is a register.
func (i *Instruction) rm() uint8 { return i.modRM&7 | i.rex&rexB<<3 }

// memory reports whether ModRM names memory.
func (i *Instruction) memory() bool {
	return i.modRMAt != 0 && i.modRM < 0xc0 && i.layout != controlRegister
}

// ripRelative reports whether the memory operand is relative to RIP (SDM vol. 2A, 2.2.1.6).
func (i *Instruction) ripRelative() bool { return i.memory() && i.modRM&0xc7 == 5 }

// IsReturn reports whether the instruction is a near return.
func (i *Instruction) IsReturn() bool { return i.is(primary, 0xc2, 0xc3) }

// IsCall reports whether the instruction is a near call.
func (i *Instruction) IsCall() bool { return i.is(primary, 0xe8, 0xe8) || i.isGroup(0xff, 2) }

// IsJump reports whether the instruction is a near jump, conditional ones included.
func (i *Instruction) IsJump() bool {
	return i.Conditional() || i.is(primary, 0xe9, 0xe9) || i.is(primary, 0xeb, 0xeb) || i.isGroup(0xff, 4)
}

// Conditional reports whether the instruction is a jump that may not be taken: Jcc, JRCXZ
// and LOOP.
func (i *Instruction) Conditional() bool {
	return i.is(primary, 0x70, 0x7f) || i.is(map0F, 0x80, 0x8f) || i.is(primary, 0xe0, 0xe3)
}

// Indirect reports whether the instruction is a near call or jump through a register or
// memory.
func (i *Instruction) Indirect() bool { return i.isGroup(0xff, 2) || i.isGroup(0xff, 4) }

// IsFar reports whether the instruction loads CS: a far call, jump or return, IRET, or a
// return from a system call.
func (i *Instruction) IsFar() bool {
	return i.isGroup(0xff, 3) || i.isGroup(0xff, 5) || i.is(primary, 0xca, 0xcb) ||
		i.is(primary, 0xcf, 0xcf) || i.is(map0F, 0x07, 0x07) || i.is(map0F, 0x35, 0x35)
}

// Stops reports whether execution never continues after the instruction: UD0, UD1, UD2,
// HLT and INT3, which compilers place where control must not arrive.
func (i *Instruction) Stops() bool {
	return i.is(map0F, 0x0b, 0x0b) || i.is(map0F, 0xb9, 0xb9) || i.is(map0F, 0xff, 0xff) ||
		i.is(primary, 0xf4, 0xf4) || i.is(primary, 0xcc, 0xcc)
}

// Pads reports whether the instruction is one that fills the space between functions: NOP
// and INT3.
func (i *Instruction) Pads() bool { return i.operation == doNothing || i.is(primary, 0xcc, 0xcc) }

// isTransactionBegin reports whether the instruction is XBEGIN, whose operand is the address at which
// an aborted transaction continues.
func (i *Instruction) isTransactionBegin() bool { return i.isGroup(0xc7, 7) && i.modRM == 0xf8 }

// Relative reports whether the instruction has an operand that is a code address relative
// to its end: see Target.
func (i *Instruction) Relative() bool {
	return i.encoding == legacy && (i.layout == relative8 || i.layout == relative32) || i.isTransactionBegin()
}

// Target returns the target of a relative branch that is at the address or offset at. The
// value has no meaning for another instruction.
func (i *Instruction) Target(at uint64) uint64 { return i.next(at) + uint64(i.immediate) }

// next is the address after the instruction.
func (i *Instruction) next(at uint64) uint64 { return at + uint64(i.length) }

// IsSyscall reports whether the instruction is SYSCALL.
func (i *Instruction) IsSyscall() bool { return i.is(map0F, 0x05, 0x05) }

// Repeats reports whether the instruction is a string instruction with REP or REPNE. With TF
// it traps after each repetition.
func (i *Instruction) Repeats() bool {
	return i.has(prefixRepeat|prefixRepeatNot) && (i.is(primary, 0x6c, 0x6f) || i.is(primary, 0xa4, 0xa7) || i.is(primary, 0xaa, 0xaf))
}
