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
	operations
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

// groups has the operations by ModRM.reg of the groups in which they differ.
var groups = map[uint8][8]operation{
	0xc6: {moveImmediateToOperand},
	0xc7: {moveImmediateToOperand},
	0xf6: {testImmediate, testImmediate, complement, negate},
	0xf7: {testImmediate, testImmediate, complement, negate},
	0xfe: {increment, increment},
	0xff: {increment, increment, callIndirect, notEmulated, jumpIndirect, notEmulated, pushOperand, notEmulated},
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
	if g, ok := groups[i.opcode]; ok {
		return g[i.extension()]
	}
	return operationsOf[primary][i.opcode]
}
