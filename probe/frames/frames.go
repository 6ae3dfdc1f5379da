// Package frames reads call frame information: .eh_frame and .debug_frame (DWARF 5, 6.4;
// Linux Standard Base, 10.6). It says, for each instruction of a function, where the frame
// begins and where the registers of the caller are.
package frames

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// RuleKind says how the value of a register is found.
type RuleKind uint8

// The kinds of rules.
const (
	// Same: the register has the value of the caller.
	Same RuleKind = iota
	// Undefined: the value is lost.
	Undefined
	// Saved: the value is in memory at the CFA plus Offset.
	Saved
	// Sum: the value is the CFA plus Offset; for the CFA, Register plus Offset.
	Sum
	// Copied: the value is in Register.
	Copied
	// SavedAt: the value is in memory at the result of Expression.
	SavedAt
	// Computed: the value is the result of Expression.
	Computed
)

// Rule says where a value is.
type Rule struct {
	Kind       RuleKind
	Register   int
	Offset     int64
	Expression []byte
}

// Registers is the number of registers in a row: the general registers and the return
// address, by their DWARF numbers.
const Registers = 17

// Row has the rules for the instructions in a range of addresses.
type Row struct {
	CFA       Rule
	Registers [Registers]Rule
	// ReturnAddress is the column of the return address.
	ReturnAddress int
	// Signal is true for the frame of a signal handler's caller: its address is that of
	// the next instruction to execute.
	Signal bool
}

// Table has the call frame information of an ELF file.
type Table struct {
	entries []*description
}

// common is a CIE.
type common struct {
	codeFactor    uint64
	dataFactor    int64
	returnAddress int
	encoding      byte // of addresses
	augmented     bool // FDEs have augmentation data
	signal        bool
	instructions  []byte
}

// description is an FDE.
type description struct {
	low, high    uint64
	common       *common
	instructions []byte
}

// Section is a section of an ELF file.
type Section struct {
	Data    []byte
	Address uint64
}

// maxDescriptions is the maximum number of FDEs that are kept.
const maxDescriptions = 16 << 20

// format is the format of a section.
type format uint8

const (
	ehFrame    format = iota // of the Linux Standard Base
	debugFrame               // of DWARF
)

// New reads the sections .eh_frame and .debug_frame. Damaged parts are left out.
func New(eh, debug Section) *Table {
	t := &Table{}
	t.read(eh, ehFrame)
	t.read(debug, debugFrame)
	slices.SortStableFunc(t.entries, func(a, b *description) int { return cmp.Compare(a.low, b.low) })
	return t
}

// read reads one section.
func (t *Table) read(s Section, f format) {
	commons := map[uint64]*common{}
	for at := uint64(0); at+4 <= uint64(len(s.Data)) && len(t.entries) < maxDescriptions; {
		length := uint64(binary.LittleEndian.Uint32(s.Data[at:]))
		begin := at + 4
		if length == 0 && f == ehFrame {
			at = begin
			continue
		}
		if length == 0xffffffff || begin+length > uint64(len(s.Data)) || length < 4 {
			return // 64-bit DWARF, or damaged
		}
		t.readEntry(s, f, at, begin, begin+length, commons)
		at = begin + length
	}
}

// readEntry reads a CIE or an FDE in [begin, end). It is at the offset at.
func (t *Table) readEntry(s Section, f format, at, begin, end uint64, commons map[uint64]*common) {
	c := cursor{data: s.Data[:end], at: begin, section: s.Address}
	id := c.fixed(4)
	isCommon := id == 0xffffffff
	parent := id
	if f == ehFrame {
		isCommon = id == 0
		parent = begin - id
	}
	if isCommon {
		if cie := readCommon(&c); !c.bad {
			commons[at] = cie
		}
		return
	}
	cie := commons[parent]
	if cie == nil {
		return
	}
	d := &description{common: cie}
	d.low = c.encoded(cie.encoding)
	d.high = d.low + c.encoded(cie.encoding&0x0f)
	if cie.augmented {
		c.skip(c.uleb())
	}
	if !c.bad && d.low < d.high {
		d.instructions = s.Data[c.at:end]
		t.entries = append(t.entries, d)
	}
}

// readCommon reads a CIE after its identifier.
func readCommon(c *cursor) *common {
	cie := &common{}
	version := c.fixed(1)
	augmentation := c.text()
	if version >= 4 {
		c.skip(2) // sizes of addresses and segments
	}
	cie.codeFactor, cie.dataFactor = c.uleb(), c.sleb()
	if version == 1 {
		cie.returnAddress = int(c.fixed(1))
	} else {
		cie.returnAddress = int(min(c.uleb(), 1<<16))
	}
	if len(augmentation) > 0 && augmentation[0] == 'z' {
		cie.augmented = true
		size := c.uleb()
		end := c.at + size
		for _, letter := range augmentation[1:] {
			switch letter {
			case 'R':
				cie.encoding = byte(c.fixed(1))
			case 'L':
				c.fixed(1)
			case 'P':
				c.encoded(byte(c.fixed(1)))
			case 'S':
				cie.signal = true
			}
		}
		c.at = min(end, uint64(len(c.data)))
	} else if len(augmentation) > 0 {
		c.bad = true
	}
	if cie.returnAddress >= Registers {
		c.bad = true
	}
	cie.instructions = c.rest()
	return cie
}

// find returns the FDE that has the address, or nil.
func (t *Table) find(pc uint64) *description {
	i, found := slices.BinarySearchFunc(t.entries, pc, func(d *description, pc uint64) int { return cmp.Compare(d.low, pc) })
	if !found {
		i--
	}
	for ; i >= 0 && i < len(t.entries); i-- {
		if d := t.entries[i]; pc >= d.low {
			if pc < d.high {
				return d
			}
			return nil
		}
	}
	return nil
}

// Row returns the rules for the instruction at an address. It reports false if there are
// none, or if they are damaged.
func (t *Table) Row(pc uint64) (Row, bool) {
	d := t.find(pc)
	if d == nil {
		return Row{}, false
	}
	p := &program{common: d.common, location: d.low, target: pc}
	p.row.ReturnAddress, p.row.Signal = d.common.returnAddress, d.common.signal
	if !p.run(d.common.instructions) {
		return Row{}, false
	}
	p.initial = p.row
	if !p.run(d.instructions) || p.row.CFA.Kind == Same {
		return Row{}, false
	}
	return p.row, true
}

// Function returns the range of the function that has the address, if it is known.
func (t *Table) Function(pc uint64) (low, high uint64, ok bool) {
	d := t.find(pc)
	if d == nil {
		return 0, 0, false
	}
	return d.low, d.high, true
}
