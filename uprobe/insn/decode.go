package insn

// Decode decodes the 64-bit instruction at the beginning of code. It reads at most MaxLength
// bytes. The errors are ErrTruncated and ErrInvalid. A valid instruction may be one that
// the CPU does not have, or that a program may not execute: see Steppable.
func Decode(code []byte) (Instruction, error) {
	d := decoder{code: code[:min(len(code), MaxLength)]}
	err := d.instruction()
	if d.short {
		// What follows the end was read as 0: only the length is certain.
		if len(code) >= MaxLength {
			return Instruction{}, ErrInvalid
		}
		return Instruction{}, ErrTruncated
	}
	if err != nil {
		return Instruction{}, err
	}
	d.i.length = d.at
	copy(d.i.bytes[:d.at], code)
	d.i.prepare()
	return d.i, nil
}

// decoder is a cursor over code.
type decoder struct {
	code  []byte
	at    uint8
	short bool // something was read behind the end
	i     Instruction
}

func (d *decoder) byte() uint8 {
	if int(d.at) >= len(d.code) {
		d.short = true
		return 0
	}
	b := d.code[d.at]
	d.at++
	return b
}

// number reads a little-endian number of size bytes, and sign-extends it.
func (d *decoder) number(size uint8) int64 {
	var v uint64
	for n := range size {
		v |= uint64(d.byte()) << (8 * n)
	}
	unused := 64 - 8*size
	return int64(v) << unused >> unused
}

func (d *decoder) instruction() error {
	b := d.prefixes()
	if err := d.opcode(b); err != nil {
		return err
	}
	i := &d.i
	i.layout = layoutOf(i.encoding, i.opcodes, i.opcode)
	if i.layout == invalid {
		return ErrInvalid
	}
	if hasModRM(i.layout) {
		d.operand()
	}
	d.immediate()
	if reserved(i) {
		return ErrInvalid
	}
	return nil
}

// prefixes reads the legacy prefixes and REX, and returns the byte after them. Only a REX
// directly before the opcode has an effect (SDM vol. 2A, 2.2.1).
func (d *decoder) prefixes() uint8 {
	for {
		b := d.byte()
		switch p := prefixOf[b]; {
		case p&(prefixRepeat|prefixRepeatNot) != 0:
			d.i.prefixes = d.i.prefixes&^(prefixRepeat|prefixRepeatNot) | p
		case p != 0:
			d.i.prefixes |= p
		case b&0xf0 == rexPresent:
			d.i.rex, d.i.rexAt = b, d.at-1
			continue
		default:
			return b
		}
		d.i.rex, d.i.rexAt = 0, 0
	}
}

// opcode reads the opcode, whose first byte is b.
func (d *decoder) opcode(b uint8) error {
	switch b {
	case 0xc4:
		return d.vex3()
	case 0xc5:
		return d.vex2()
	case 0x62:
		return d.evex()
	case 0x0f:
		d.i.opcodes, d.i.opcode = d.escape()
		return nil
	}
	d.i.opcode = b
	return nil
}

// escape reads the opcode that follows 0F.
func (d *decoder) escape() (opcodeMap, uint8) {
	switch b := d.byte(); b {
	case 0x38:
		return map0F38, d.byte()
	case 0x3a:
		return map0F3A, d.byte()
	default:
		return map0F, b
	}
}

// notBeforeVEX are the prefixes before VEX and EVEX that make the instruction invalid, as
// REX does (SDM vol. 2A, 2.3.2 and 2.3.3).
const notBeforeVEX = prefixOperandSize | prefixLock | prefixRepeat | prefixRepeatNot

func (d *decoder) vex2() error {
	p := d.byte()
	return d.vex(vex2, map0F, ^p>>5&rexR, p)
}

func (d *decoder) vex3() error {
	p0, p1 := d.byte(), d.byte()
	m := opcodeMap(p0 & 0x1f)
	if m < map0F || m > map0F3A {
		return ErrInvalid
	}
	return d.vex(vex3, m, ^p0>>5|p1>>4&rexW, p1)
}

func (d *decoder) evex() error {
	p0, p1 := d.byte(), d.byte()
	d.byte()
	m := opcodeMap(p0 & 7)
	valid := m >= map0F && m <= map6 && m != 4
	if !valid || p0&8 != 0 || p1&4 == 0 {
		return ErrInvalid
	}
	return d.vex(evex, m, ^p0>>5|p1>>4&rexW, p1)
}

// vex completes VEX and EVEX. p is the byte with vvvv and pp.
func (d *decoder) vex(e encoding, m opcodeMap, rex, p uint8) error {
	if d.i.has(notBeforeVEX) || d.i.rex != 0 {
		return ErrInvalid
	}
	d.i.encoding, d.i.opcodes, d.i.rex = e, m, rex
	d.i.vvvv = ^p >> 3 & 15
	d.i.opcode = d.byte()
	return nil
}

func hasModRM(l layout) bool {
	switch l {
	case modRM, modRM8, modRMZ, test8, testZ, bitField, controlRegister:
		return true
	}
	return false
}

// operand reads ModRM, SIB and the displacement (SDM vol. 2A, 2.1.5 and 2.2.1.3).
func (d *decoder) operand() {
	i := &d.i
	i.modRMAt = d.at
	i.modRM = d.byte()
	if !i.memory() {
		return
	}
	base := i.modRM & 7
	if base == 4 {
		i.sib = d.byte()
		base = i.sib & 7
	}
	switch mod := i.modRM >> 6; {
	case mod == 1:
		i.displacement = int32(d.number(1))
	case mod == 2 || base == 5:
		i.displacement = int32(d.number(4))
	}
}

func (d *decoder) immediate() {
	size := d.i.immediateSize()
	if size == 0 {
		return
	}
	d.i.immediateAt = d.at
	d.i.immediate = d.number(size)
}

// immediateSize returns the number of bytes behind the operand.
func (i *Instruction) immediateSize() uint8 {
	z := min(i.operandSize(), 4)
	switch i.layout {
	case immediate8, relative8, modRM8:
		return 1
	case immediate16:
		return 2
	case enter:
		return 3
	case relative32:
		return 4
	case immediateZ, modRMZ:
		return z
	case immediateV:
		return i.operandSize()
	case offset:
		return i.addressSize()
	case test8:
		return onlyIf(i.extension() < 2, 1)
	case testZ:
		return onlyIf(i.extension() < 2, z)
	case bitField:
		return onlyIf(i.has(prefixOperandSize|prefixRepeatNot), 2)
	}
	return 0
}

func onlyIf(condition bool, size uint8) uint8 {
	if condition {
		return size
	}
	return 0
}

// operandSize is the size of operands that are no bytes: 2, 4 or 8 bytes. Instructions with
// a default size of 8 bytes have stackSize.
func (i *Instruction) operandSize() uint8 {
	switch {
	case i.rex&rexW != 0:
		return 8
	case i.has(prefixOperandSize):
		return 2
	}
	return 4
}

// addressSize is 4 or 8 bytes.
func (i *Instruction) addressSize() uint8 {
	if i.has(prefixAddressSize) {
		return 4
	}
	return 8
}

// reserved reports whether no CPU has the extension of a group, where another meaning of the
// bytes is possible: POP's is XOP.
func reserved(i *Instruction) bool {
	if i.encoding != legacy {
		return false
	}
	extension := i.extension()
	switch {
	case i.opcodes == map0F:
		return i.opcode == 0xb8 && !i.has(prefixRepeat)
	case i.opcodes != primary:
		return false
	case i.opcode == 0x8f:
		return extension != 0
	case i.opcode == 0xfe:
		return extension > 1
	case i.opcode == 0xff:
		return extension == 7
	case i.opcode == 0xc6 || i.opcode == 0xc7:
		return extension != 0 && i.modRM != 0xf8
	}
	return false
}
