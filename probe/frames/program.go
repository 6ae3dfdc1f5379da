package frames

import "encoding/binary"

// program executes call frame instructions (DWARF 5, 6.4.2) up to an address.
type program struct {
	common   *common
	row      Row
	initial  Row
	stack    []Row
	location uint64
	target   uint64
}

// maxRemembered is the maximum number of rows that DW_CFA_remember_state keeps.
const maxRemembered = 64

// Codes of call frame instructions. The first three have their operand in the low 6 bits.
const (
	advanceLoc       = 0x40
	offsetOf         = 0x80
	restore          = 0xc0
	setLoc           = 0x01
	advanceLoc1      = 0x02
	advanceLoc2      = 0x03
	advanceLoc4      = 0x04
	offsetExtended   = 0x05
	restoreExtended  = 0x06
	undefined        = 0x07
	sameValue        = 0x08
	inRegister       = 0x09
	rememberState    = 0x0a
	restoreState     = 0x0b
	defCFA           = 0x0c
	defCFARegister   = 0x0d
	defCFAOffset     = 0x0e
	defCFAExpression = 0x0f
	expression       = 0x10
	offsetExtendedSF = 0x11
	defCFASF         = 0x12
	defCFAOffsetSF   = 0x13
	valOffset        = 0x14
	valOffsetSF      = 0x15
	valExpression    = 0x16
	gnuArgsSize      = 0x2e
	gnuNegative      = 0x2f
)

// run executes instructions until the location is beyond the target. It reports false for
// instructions that are damaged or unknown.
func (p *program) run(code []byte) bool {
	c := &cursor{data: code}
	for c.at < uint64(len(code)) && p.location <= p.target {
		before := p.row
		op := byte(c.fixed(1))
		if !p.execute(c, op) || c.bad {
			return false
		}
		if p.location > p.target {
			p.row = before
		}
	}
	return true
}

func (p *program) execute(c *cursor, op byte) bool {
	low := op & 0x3f
	switch op & 0xc0 {
	case advanceLoc:
		p.advance(uint64(low))
		return true
	case offsetOf:
		p.set(uint64(low), Rule{Kind: Saved, Offset: int64(c.uleb()) * p.common.dataFactor})
		return true
	case restore:
		p.restore(uint64(low))
		return true
	}
	return p.extended(c, op)
}

// advance moves the location.
func (p *program) advance(n uint64) { p.location += n * p.common.codeFactor }

// set sets the rule of a register. Registers that are not in the row are ignored.
func (p *program) set(register uint64, r Rule) {
	if register < Registers {
		p.row.Registers[register] = r
	}
}

func (p *program) restore(register uint64) {
	if register < Registers {
		p.row.Registers[register] = p.initial.Registers[register]
	}
}

func (p *program) extended(c *cursor, op byte) bool {
	factor := p.common.dataFactor
	switch op {
	case 0: // DW_CFA_nop
	case setLoc:
		p.location = c.encoded(p.common.encoding)
	case advanceLoc1:
		p.advance(c.fixed(1))
	case advanceLoc2:
		p.advance(c.fixed(2))
	case advanceLoc4:
		p.advance(c.fixed(4))
	case offsetExtended:
		r := c.uleb()
		p.set(r, Rule{Kind: Saved, Offset: int64(c.uleb()) * factor})
	case offsetExtendedSF:
		r := c.uleb()
		p.set(r, Rule{Kind: Saved, Offset: c.sleb() * factor})
	case gnuNegative:
		r := c.uleb()
		p.set(r, Rule{Kind: Saved, Offset: -int64(c.uleb()) * factor})
	case restoreExtended:
		p.restore(c.uleb())
	case undefined:
		p.set(c.uleb(), Rule{Kind: Undefined})
	case sameValue:
		p.set(c.uleb(), Rule{Kind: Same})
	case inRegister:
		r := c.uleb()
		p.set(r, Rule{Kind: Copied, Register: int(min(c.uleb(), Registers))})
	case valOffset:
		r := c.uleb()
		p.set(r, Rule{Kind: Sum, Offset: int64(c.uleb()) * factor})
	case valOffsetSF:
		r := c.uleb()
		p.set(r, Rule{Kind: Sum, Offset: c.sleb() * factor})
	case expression:
		r := c.uleb()
		p.set(r, Rule{Kind: SavedAt, Expression: c.bytes(c.uleb())})
	case valExpression:
		r := c.uleb()
		p.set(r, Rule{Kind: Computed, Expression: c.bytes(c.uleb())})
	case gnuArgsSize:
		c.uleb()
	case rememberState:
		if len(p.stack) >= maxRemembered {
			return false
		}
		p.stack = append(p.stack, p.row)
	case restoreState:
		if len(p.stack) == 0 {
			return false
		}
		p.row = p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
	default:
		return p.frameAddress(c, op)
	}
	return true
}

// frameAddress executes the instructions that change the rule of the CFA.
func (p *program) frameAddress(c *cursor, op byte) bool {
	cfa := &p.row.CFA
	switch op {
	case defCFA:
		register := int(min(c.uleb(), Registers))
		*cfa = Rule{Kind: Sum, Register: register, Offset: int64(c.uleb())}
	case defCFASF:
		register := int(min(c.uleb(), Registers))
		*cfa = Rule{Kind: Sum, Register: register, Offset: c.sleb() * p.common.dataFactor}
	case defCFARegister:
		cfa.Kind, cfa.Register = Sum, int(min(c.uleb(), Registers))
	case defCFAOffset:
		cfa.Offset = int64(c.uleb())
	case defCFAOffsetSF:
		cfa.Offset = c.sleb() * p.common.dataFactor
	case defCFAExpression:
		*cfa = Rule{Kind: Computed, Expression: c.bytes(c.uleb())}
	default:
		return false
	}
	return true
}

// cursor reads numbers of a section. After the end it returns zeros and bad is true.
type cursor struct {
	data    []byte
	at      uint64
	section uint64 // the address of the section
	bad     bool
}

func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(len(c.data))-c.at {
		c.bad, c.at = true, uint64(len(c.data))
		return nil
	}
	b := c.data[c.at : c.at+n]
	c.at += n
	return b
}

func (c *cursor) skip(n uint64) { c.bytes(n) }

func (c *cursor) rest() []byte { return c.data[c.at:] }

func (c *cursor) fixed(size int) uint64 {
	var b [8]byte
	copy(b[:], c.bytes(uint64(size)))
	return binary.LittleEndian.Uint64(b[:])
}

func (c *cursor) uleb() (value uint64) {
	for shift := 0; ; shift += 7 {
		b := c.fixed(1)
		if shift < 64 {
			value |= b & 0x7f << shift
		}
		if b&0x80 == 0 || c.bad {
			return value
		}
	}
}

func (c *cursor) sleb() (value int64) {
	for shift := 0; ; shift += 7 {
		b := c.fixed(1)
		if shift < 64 {
			value |= int64(b&0x7f) << shift
		}
		if b&0x80 == 0 || c.bad {
			if shift+7 < 64 && b&0x40 != 0 {
				value |= -1 << (shift + 7)
			}
			return value
		}
	}
}

// text reads a string up to its NUL.
func (c *cursor) text() (s string) {
	for {
		b := byte(c.fixed(1))
		if b == 0 || len(s) > 16 {
			return s
		}
		s += string(rune(b))
	}
}

// Encodings of addresses in .eh_frame (Linux Standard Base, 10.5.1): the format is in the
// low 4 bits, what it is relative to in the next 3.
const (
	omitted     = 0xff
	relativePC  = 0x10
	formatULEB  = 0x01
	formatU2    = 0x02
	formatU4    = 0x03
	formatSLEB  = 0x09
	formatS2    = 0x0a
	formatS4    = 0x0b
	application = 0x70
)

// encoded reads an address. Addresses that are relative to anything but their own place are
// damage: compilers for x86-64 use no others.
func (c *cursor) encoded(encoding byte) (value uint64) {
	if encoding == omitted {
		return 0
	}
	at := c.section + c.at
	switch encoding & 0x0f {
	case formatULEB:
		value = c.uleb()
	case formatSLEB:
		value = uint64(c.sleb())
	case formatU2:
		value = c.fixed(2)
	case formatS2:
		value = uint64(int64(int16(c.fixed(2))))
	case formatU4:
		value = c.fixed(4)
	case formatS4:
		value = uint64(int64(int32(c.fixed(4))))
	default:
		value = c.fixed(8)
	}
	switch encoding & application {
	case 0:
	case relativePC:
		value += at
	default:
		c.bad = true
	}
	return value
}
