package insn

// operation is what Emulate does for an instruction: an index of emulators.
type operation uint8

const (
	notEmulated operation = iota
	doNothing
	jump
	jumpIndirect
	jumpIf
	loop
	call
	callIndirect
	returnNear
	push
	pushImmediate
	pushOperand
	pushFlags
	pop
	popOperand
	popFlags
	leave
	loadAddress
	moveToOperand
	moveToRegister
	moveAbsolute
	moveImmediate
	moveImmediateToOperand
	zeroExtend
	signExtend
	signExtendDouble
	arithmeticToOperand
	arithmeticToRegister
	arithmeticAccumulator
	arithmeticImmediate
	test
	testAccumulator
	testImmediate
	increment
	complement
	negate
	moveIf
	setIf
	exchange
	exchangeAccumulator
	swapBytes
	widenAccumulator
	fillWithSign
	changeFlag
	loadBaseAddress // a LEA whose address is only a register and a displacement
)

// opcodeRange gives an operation to the opcodes from first to last.
type opcodeRange struct {
	first, last uint8
	operation   operation
}

// byOpcode makes a table of a map.
func byOpcode(ranges ...opcodeRange) (t [256]operation) {
	for _, r := range ranges {
		for o := int(r.first); o <= int(r.last); o++ {
			t[o] = r.operation
		}
	}
	return t
}

// operationsOf has the operations of opcodes that are no group.
var operationsOf = [...][256]operation{
	primary: byOpcode(
		opcodeRange{0x50, 0x57, push}, opcodeRange{0x58, 0x5f, pop},
		opcodeRange{0x63, 0x63, signExtendDouble},
		opcodeRange{0x68, 0x68, pushImmediate}, opcodeRange{0x6a, 0x6a, pushImmediate},
		opcodeRange{0x70, 0x7f, jumpIf},
		opcodeRange{0x80, 0x83, arithmeticImmediate},
		opcodeRange{0x84, 0x85, test}, opcodeRange{0x86, 0x87, exchange},
		opcodeRange{0x88, 0x89, moveToOperand}, opcodeRange{0x8a, 0x8b, moveToRegister},
		opcodeRange{0x8d, 0x8d, loadAddress},
		opcodeRange{0x8f, 0x8f, popOperand},
		opcodeRange{0x90, 0x97, exchangeAccumulator},
		opcodeRange{0x98, 0x98, widenAccumulator}, opcodeRange{0x99, 0x99, fillWithSign},
		opcodeRange{0x9c, 0x9c, pushFlags}, opcodeRange{0x9d, 0x9d, popFlags},
		opcodeRange{0xa0, 0xa3, moveAbsolute}, opcodeRange{0xa8, 0xa9, testAccumulator},
		opcodeRange{0xb0, 0xbf, moveImmediate},
		opcodeRange{0xc2, 0xc3, returnNear},
		opcodeRange{0xc9, 0xc9, leave},
		opcodeRange{0xe0, 0xe3, loop},
		opcodeRange{0xe8, 0xe8, call}, opcodeRange{0xe9, 0xe9, jump}, opcodeRange{0xeb, 0xeb, jump},
		opcodeRange{0xf5, 0xf5, changeFlag}, opcodeRange{0xf8, 0xf9, changeFlag}, opcodeRange{0xfc, 0xfd, changeFlag},
	),
	map0F: byOpcode(
		opcodeRange{0x1e, 0x1f, doNothing},
		opcodeRange{0x40, 0x4f, moveIf},
		opcodeRange{0x80, 0x8f, jumpIf}, opcodeRange{0x90, 0x9f, setIf},
		opcodeRange{0xb6, 0xb7, zeroExtend}, opcodeRange{0xbe, 0xbf, signExtend},
		opcodeRange{0xc8, 0xcf, swapBytes},
	),
}

// arithmeticForms has the operations of the opcodes 00 to 3F by their low three bits.
var arithmeticForms = [8]operation{
	arithmeticToOperand, arithmeticToOperand, arithmeticToRegister, arithmeticToRegister,
	arithmeticAccumulator, arithmeticAccumulator, notEmulated, notEmulated,
}

// groupOf has the index in groups of the opcodes that are groups, in which ModRM.reg selects the
// operation.
var groupOf = [256]uint8{0xc6: 1, 0xc7: 1, 0xf6: 2, 0xf7: 2, 0xfe: 3, 0xff: 4}

var groups = [...][8]operation{
	1: {moveImmediateToOperand},
	2: {testImmediate, testImmediate, complement, negate},
	3: {increment, increment},
	4: {increment, increment, callIndirect, notEmulated, jumpIndirect, notEmulated, pushOperand, notEmulated},
}

// operationSet is a set of operations.
type operationSet uint64

func operationsIn(all ...operation) (s operationSet) {
	for _, o := range all {
		s |= 1 << o
	}
	return s
}

func (s operationSet) has(o operation) bool { return s>>o&1 != 0 }

var (
	branches = operationsIn(jump, jumpIndirect, jumpIf, loop, call, callIndirect, returnNear)
	// toleratesRepeat are the operations on which F2 and F3 have no effect by the
	// manuals: BND, PAUSE, and the REP RET of old compilers.
	toleratesRepeat = branches | operationsIn(doNothing)
	// modifiesOperand are the operations that read and write their operand. In memory
	// the CPU executes them, in one instruction.
	modifiesOperand = operationsIn(arithmeticToOperand, arithmeticImmediate, increment, complement, negate, exchange)
)

// Operations by the size of their operands. Those in neither set have bytes if bit 0 of the
// opcode is 0.
var (
	onStack   = operationsIn(push, pushImmediate, pushOperand, pushFlags, pop, popOperand, popFlags, leave)
	neverByte = operationsIn(loadAddress, signExtendDouble, zeroExtend, signExtend, moveIf, exchangeAccumulator, swapBytes,
		widenAccumulator, fillWithSign)
)

// prepare computes what depends on nothing but the encoding, so that a hit need not.
func (i *Instruction) prepare() {
	i.operation = operationOf(i)
	i.base, i.index = i.baseRegister(), noIndex
	if i.modRM&7 == 4 && i.indexRegister() != rsp {
		i.index, i.shift = i.indexRegister(), i.sib>>6
	}
	i.width = i.widthOf(i.operation)
	i.register, i.operandRegister = i.reg(), i.rm()
	if i.operation == loadAddress && i.width == 8 && i.base < ripBase && i.index == noIndex && !i.has(prefixAddressSize) {
		i.operation = loadBaseAddress
	}
	if i.modRMAt == 0 {
		i.register = i.opcode&7 | i.rex&rexB<<3
	}
}

func (i *Instruction) widthOf(o operation) uint8 {
	switch {
	case onStack.has(o):
		return i.stackSize()
	case neverByte.has(o):
		return i.operandSize()
	case o == moveImmediate && i.opcode < 0xb8, o == setIf:
		return 1
	case o == moveImmediate:
		return i.operandSize()
	case i.opcode&1 == 0:
		return 1
	}
	return i.operandSize()
}

// stackSize is the operand size of PUSH, POP and LEAVE: 8 bytes, or 2 with prefix 66 (SDM
// vol. 1, 6.2.2).
func (i *Instruction) stackSize() uint8 {
	if i.operandSize() == 2 {
		return 2
	}
	return 8
}

// baseRegister is the base of the operand in memory: a register, noBase or ripBase (SDM vol.
// 2A, 2.1.5).
func (i *Instruction) baseRegister() uint8 {
	if i.ripRelative() {
		return ripBase
	}
	base := i.modRM & 7
	if base == 4 {
		base = i.sib & 7
		if base == 5 && i.modRM < 0x40 {
			return noBase
		}
	}
	return base | i.rex&rexB<<3
}

// indexRegister is the index register of SIB. RSP means that there is none.
func (i *Instruction) indexRegister() uint8 { return i.sib>>3&7 | i.rex&rexX<<2 }

// operationOf returns the operation of a decoded instruction.
func operationOf(i *Instruction) operation {
	o := i.lookup()
	size := i.operandSize()
	switch {
	case i.has(prefixLock), i.memory() && i.manySegments(), i.layout == offset && i.manySegments():
		return notEmulated
	case i.has(prefixRepeat|prefixRepeatNot) && !i.ignoresRepeat(o):
		return notEmulated
	case branches.has(o) && i.ambiguousBranch(), size == 2 && (o == signExtendDouble || o == swapBytes):
		return notEmulated
	case o == loadAddress && !i.memory():
		return notEmulated // #UD
	case i.memory() && modifiesOperand.has(o) && !i.compares():
		return notEmulated
	}
	return o
}

// manySegments reports whether the instruction has prefixes of more than one segment, and one
// of them has an effect.
func (i *Instruction) manySegments() bool {
	segments := i.prefixes & (prefixFS | prefixGS | prefixNullSegment)
	return segments != prefixNullSegment && segments&(segments-1) != 0
}

func (i *Instruction) ignoresRepeat(o operation) bool {
	return toleratesRepeat.has(o) && !i.is(map0F, 0x1f, 0x1f)
}

// compares reports whether an arithmetic instruction is CMP, which does not write.
func (i *Instruction) compares() bool {
	const cmp = 7
	return i.is(primary, cmp<<3, cmp<<3+5) || i.is(primary, 0x80, 0x83) && i.extension() == cmp
}

// lookup returns the operation without regard to prefixes.
func (i *Instruction) lookup() operation {
	if i.encoding != legacy || i.opcodes > map0F {
		return notEmulated
	}
	if i.opcodes == map0F {
		return operationsOf[map0F][i.opcode]
	}
	if i.opcode < 0x40 {
		return arithmeticForms[i.opcode&7]
	}
	if i.opcode == 0x90 && i.rex&rexB == 0 {
		return doNothing
	}
	if g := groupOf[i.opcode]; g != 0 {
		return groups[g][i.extension()]
	}
	return operationsOf[primary][i.opcode]
}
