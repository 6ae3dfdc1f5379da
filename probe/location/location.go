// Package location reads where variables are: DWARF location expressions and location
// lists (DWARF 5, 2.5, 2.6 and 7.7).
//
// The result of an expression is not a value but a recipe: steps of package fetch, which
// the kernel evaluates at a hit. Expressions that need more than registers, additions and
// loads of 8 bytes cannot be expressed, and give an error that says so.
package location

import (
	"errors"
	"fmt"

	"slowpath/uprobe/fetch"
)

// Kind is the kind of a piece.
type Kind uint8

// The kinds of pieces.
const (
	// Missing has no value: the compiler has removed it.
	Missing Kind = iota
	// Register is in the DWARF register Register.
	Register
	// Memory is at the address that Steps computes.
	Memory
	// Computed is the number that Steps computes.
	Computed
	// Constant is Bytes.
	Constant
)

// Piece is a part of a variable.
type Piece struct {
	Kind     Kind
	Register int
	Steps    []fetch.Step
	Bytes    []byte
	// Offset is the number of bytes of the register, the number or the constant before the
	// piece.
	Offset int64
	// Size is the number of bytes, 0 for the rest of the variable.
	Size int64
}

// Location is where a variable is: its pieces in the order of its bytes.
type Location []Piece

// Part returns where size bytes at an offset of a variable are.
func (l Location) Part(offset, size int64) Location {
	var parts Location
	at := int64(0) // of the piece in the variable
	for _, p := range l {
		end := at + p.Size
		if p.Size == 0 {
			end = offset + size
		}
		from, to := max(at, offset), min(end, offset+size)
		if from < to {
			parts = append(parts, p.slice(from-at, to-from))
		}
		at = end
	}
	return parts
}

// slice returns size bytes of a piece.
func (p Piece) slice(from, size int64) Piece {
	p.Size = size
	if p.Kind == Memory {
		p.Steps = Add(p.Steps, from)
	} else {
		p.Offset += from
	}
	return p
}

// Number returns the steps for the number of 8 bytes that is at a location. It reports
// false if no steps can read it.
func (l Location) Number() ([]fetch.Step, bool) {
	if len(l) != 1 || l[0].Offset != 0 {
		return nil, false
	}
	switch p := l[0]; p.Kind {
	case Memory:
		return Dereference(p.Steps), true
	case Computed:
		return p.Steps, true
	case Register:
		if r, ok := General(p.Register); ok {
			return []fetch.Step{{Op: fetch.LoadRegister, Register: r}}, true
		}
	}
	return nil, false
}

// At returns the location of a variable at the address that steps compute.
func At(steps []fetch.Step) Location { return Location{{Kind: Memory, Steps: steps}} }

// In returns the location of a variable that is in a register.
func In(register int) Location { return Location{{Kind: Register, Register: register}} }

// ErrMissing is the error for a variable that has no value at the address.
var ErrMissing = errors.New("the compiler keeps no value of it there")

// Context is what an expression may refer to.
type Context struct {
	// FrameBase is DW_AT_frame_base of the function.
	FrameBase []byte
	// CFA returns the steps for the canonical frame address.
	CFA func() ([]fetch.Step, error)
	// Static returns the steps for an address of the ELF file.
	Static func(address uint64) []fetch.Step
	// Address returns an entry of .debug_addr.
	Address func(index uint64) (uint64, error)
	// Entry is true at the entry of the function: DW_OP_entry_value is the value itself.
	Entry bool

	inFrameBase bool
}

// DWARF numbers of registers (System V ABI, AMD64 supplement, figure 3.36).
var general = [...]fetch.Register{
	fetch.AX, fetch.DX, fetch.CX, fetch.BX, fetch.SI, fetch.DI, fetch.BP, fetch.SP,
	fetch.R8, fetch.R9, fetch.R10, fetch.R11, fetch.R12, fetch.R13, fetch.R14, fetch.R15, fetch.IP,
}

// Numbers of DWARF registers with a meaning of their own.
const (
	RBP       = 6
	RSP       = 7
	RIP       = 16 // the return address in call frame information
	FirstXMM  = 17
	LastXMM   = 32
	Registers = 33 // how many this package knows
)

// General returns the fetch register for a DWARF number. It reports false for another
// register than a general one.
func General(number int) (fetch.Register, bool) {
	if number < 0 || number >= len(general) {
		return 0, false
	}
	return general[number], true
}

// maxStack is the maximum depth of the stack, maxPieces of the number of pieces.
const (
	maxStack  = 64
	maxPieces = 64
)

// machine evaluates an expression symbolically.
type machine struct {
	reader
	context *Context
	stack   [][]fetch.Step
	pieces  Location
	current Piece // described by the last operations
	set     bool  // current is complete
}

// Evaluate evaluates a location expression. The error is ErrMissing, or says what cannot be
// expressed.
func Evaluate(expression []byte, c *Context) (Location, error) {
	m := &machine{reader: reader{data: expression}, context: c}
	if len(expression) == 0 {
		return nil, ErrMissing
	}
	for len(m.data) > 0 {
		if err := m.operation(byte(m.fixed(1))); err != nil {
			return nil, err
		}
		if m.bad || len(m.stack) > maxStack || len(m.pieces) > maxPieces {
			return nil, errDamaged
		}
	}
	if len(m.pieces) > 0 {
		return m.pieces, nil
	}
	p, err := m.take()
	if err != nil {
		return nil, err
	}
	return Location{p}, nil
}

// take returns the piece that the operations so far describe.
func (m *machine) take() (Piece, error) {
	p := m.current
	switch {
	case m.set:
	case len(m.stack) > 0:
		p = Piece{Kind: Memory, Steps: m.stack[len(m.stack)-1]}
	}
	m.current, m.set, m.stack = Piece{}, false, nil
	return p, nil
}

func (m *machine) push(steps ...fetch.Step) { m.stack = append(m.stack, steps) }

func (m *machine) constant(v int64) { m.push(fetch.Step{Op: fetch.Immediate, Value: v}) }

// pop returns the top of the stack.
func (m *machine) pop() ([]fetch.Step, error) {
	if len(m.stack) == 0 {
		return nil, errDamaged
	}
	top := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return top, nil
}

// Operations of DWARF expressions (DWARF 5, table 7.9, and GNU extensions).
const (
	opAddr          = 0x03
	opDeref         = 0x06
	opConst1u       = 0x08
	opConst1s       = 0x09
	opConst2u       = 0x0a
	opConst2s       = 0x0b
	opConst4u       = 0x0c
	opConst4s       = 0x0d
	opConst8u       = 0x0e
	opConst8s       = 0x0f
	opConstu        = 0x10
	opConsts        = 0x11
	opDup           = 0x12
	opDrop          = 0x13
	opSwap          = 0x16
	opMinus         = 0x1c
	opPlus          = 0x22
	opPlusUconst    = 0x23
	opLit0          = 0x30
	opReg0          = 0x50
	opBreg0         = 0x70
	opRegx          = 0x90
	opFbreg         = 0x91
	opBregx         = 0x92
	opPiece         = 0x93
	opDerefSize     = 0x94
	opNop           = 0x96
	opCallFrameCFA  = 0x9c
	opImplicitValue = 0x9e
	opStackValue    = 0x9f
	opAddrx         = 0xa1
	opConstx        = 0xa2
	opEntryValue    = 0xa3
	opGNUEntryValue = 0xf3
	opGNUAddrIndex  = 0xfb
)

// constants have the size of a constant's operand in bytes, negative for a signed one.
var constants = map[byte]int{
	opConst1u: 1, opConst1s: -1, opConst2u: 2, opConst2s: -2, opConst4u: 4, opConst4s: -4, opConst8u: 8, opConst8s: -8,
}

func (m *machine) operation(op byte) error {
	if size, ok := constants[op]; ok {
		if size < 0 {
			m.constant(m.signed(-size))
		} else {
			m.constant(int64(m.fixed(size)))
		}
		return nil
	}
	switch {
	case op >= opLit0 && op < opLit0+32:
		m.constant(int64(op - opLit0))
		return nil
	case op >= opReg0 && op < opReg0+32:
		return m.register(int(op - opReg0))
	case op >= opBreg0 && op < opBreg0+32:
		return m.based(int(op-opBreg0), m.sleb())
	}
	if f, ok := operations[op]; ok {
		return f(m)
	}
	return fmt.Errorf("it is computed by the operation %#x, which a probe cannot do", op)
}

// operations has the functions of the operations with one code. It is filled by init,
// because DW_OP_fbreg evaluates an expression itself.
var operations map[byte]func(m *machine) error

func init() {
	operations = map[byte]func(m *machine) error{
		opAddr:          func(m *machine) error { m.push(m.context.Static(m.fixed(8))...); return nil },
		opAddrx:         (*machine).indexedAddress,
		opGNUAddrIndex:  (*machine).indexedAddress,
		opConstx:        (*machine).indexedConstant,
		opConstu:        func(m *machine) error { m.constant(int64(m.uleb())); return nil },
		opConsts:        func(m *machine) error { m.constant(m.sleb()); return nil },
		opDeref:         (*machine).dereference,
		opDerefSize:     (*machine).dereferenceSize,
		opDup:           (*machine).duplicate,
		opDrop:          func(m *machine) error { _, err := m.pop(); return err },
		opSwap:          (*machine).swap,
		opPlus:          (*machine).plus,
		opMinus:         (*machine).minus,
		opPlusUconst:    func(m *machine) error { return m.add(int64(m.uleb())) },
		opRegx:          func(m *machine) error { return m.register(int(min(m.uleb(), 1<<16))) },
		opBregx:         func(m *machine) error { n := int(min(m.uleb(), 1<<16)); return m.based(n, m.sleb()) },
		opFbreg:         (*machine).frameBased,
		opCallFrameCFA:  (*machine).callFrame,
		opPiece:         (*machine).piece,
		opNop:           func(*machine) error { return nil },
		opImplicitValue: (*machine).implicit,
		opStackValue:    (*machine).stackValue,
		opEntryValue:    (*machine).entryValue,
		opGNUEntryValue: (*machine).entryValue,
	}
}

func (m *machine) register(n int) error {
	if n >= Registers {
		return fmt.Errorf("it is in register %d, which a probe cannot read", n)
	}
	m.current, m.set = Piece{Kind: Register, Register: n}, true
	return nil
}

func (m *machine) based(n int, offset int64) error {
	r, ok := General(n)
	if !ok {
		return fmt.Errorf("its address depends on register %d, which a probe cannot read", n)
	}
	m.push(fetch.Step{Op: fetch.LoadRegister, Register: r})
	return m.add(offset)
}

// add adds a constant to the top of the stack.
func (m *machine) add(n int64) error {
	top, err := m.pop()
	if err != nil {
		return err
	}
	m.stack = append(m.stack, Add(top, n))
	return nil
}

// Add returns the steps for a number that is n greater. It does not change steps.
func Add(steps []fetch.Step, n int64) []fetch.Step {
	if n == 0 {
		return steps
	}
	sum := append([]fetch.Step(nil), steps...)
	last := &sum[len(sum)-1]
	switch last.Op {
	case fetch.Immediate, fetch.Add, fetch.FileOffset:
		last.Value += n
		return sum
	}
	return append(sum, fetch.Step{Op: fetch.Add, Value: n})
}

// Dereference returns the steps for the word at the address that steps compute.
func Dereference(steps []fetch.Step) []fetch.Step {
	return append(append([]fetch.Step(nil), steps...), fetch.Step{Op: fetch.Dereference})
}

func (m *machine) dereference() error {
	top, err := m.pop()
	if err != nil {
		return err
	}
	m.stack = append(m.stack, Dereference(top))
	return nil
}

func (m *machine) dereferenceSize() error {
	if size := m.fixed(1); size != 8 {
		return fmt.Errorf("it depends on a number of %d bytes in memory, which a probe cannot read", size)
	}
	return m.dereference()
}

func (m *machine) duplicate() error {
	top, err := m.pop()
	if err == nil {
		m.stack = append(m.stack, top, top)
	}
	return err
}

func (m *machine) swap() error {
	n := len(m.stack)
	if n < 2 {
		return errDamaged
	}
	m.stack[n-1], m.stack[n-2] = m.stack[n-2], m.stack[n-1]
	return nil
}

// number returns the constant that steps are, if they are one.
func number(steps []fetch.Step) (int64, bool) {
	if len(steps) == 1 && steps[0].Op == fetch.Immediate {
		return steps[0].Value, true
	}
	return 0, false
}

var errArithmetic = errors.New("it is computed from several values, which a probe cannot do")

func (m *machine) plus() error {
	b, errB := m.pop()
	a, errA := m.pop()
	if err := errors.Join(errA, errB); err != nil {
		return errDamaged
	}
	if n, ok := number(b); ok {
		m.stack = append(m.stack, Add(a, n))
		return nil
	}
	if n, ok := number(a); ok {
		m.stack = append(m.stack, Add(b, n))
		return nil
	}
	return errArithmetic
}

func (m *machine) minus() error {
	b, errB := m.pop()
	a, errA := m.pop()
	if err := errors.Join(errA, errB); err != nil {
		return errDamaged
	}
	n, ok := number(b)
	if !ok {
		return errArithmetic
	}
	m.stack = append(m.stack, Add(a, -n))
	return nil
}

func (m *machine) indexedAddress() error {
	address, err := m.context.Address(m.uleb())
	if err == nil {
		m.push(m.context.Static(address)...)
	}
	return err
}

func (m *machine) indexedConstant() error {
	value, err := m.context.Address(m.uleb())
	if err == nil {
		m.constant(int64(value))
	}
	return err
}

func (m *machine) callFrame() error {
	if m.context.CFA == nil {
		return errors.New("the frame of the function is unknown there")
	}
	steps, err := m.context.CFA()
	if err == nil {
		m.push(steps...)
	}
	return err
}

// frameBased pushes an address in the frame. The base is a register or an address.
func (m *machine) frameBased() error {
	offset := m.sleb()
	if m.context.inFrameBase || len(m.context.FrameBase) == 0 {
		return errDamaged
	}
	c := *m.context
	c.inFrameBase = true
	base, err := Evaluate(c.FrameBase, &c)
	if err != nil {
		return err
	}
	switch p := base[0]; p.Kind {
	case Register:
		return m.based(p.Register, offset)
	case Memory, Computed:
		m.push(p.Steps...)
		return m.add(offset)
	}
	return errDamaged
}

func (m *machine) piece() error {
	size := int64(m.uleb())
	if size <= 0 || size > 1<<30 {
		return errDamaged
	}
	p, err := m.take()
	p.Size = size
	m.pieces = append(m.pieces, p)
	return err
}

func (m *machine) implicit() error {
	m.current, m.set = Piece{Kind: Constant, Bytes: m.bytes(m.uleb())}, true
	return nil
}

func (m *machine) stackValue() error {
	top, err := m.pop()
	if err != nil {
		return err
	}
	m.current, m.set = Piece{Kind: Computed, Steps: top}, true
	return nil
}

// entryValue is the value that an expression had at the entry of the function.
func (m *machine) entryValue() error {
	inner := m.bytes(m.uleb())
	if !m.context.Entry {
		return errors.New("its value is only known at the entry of the function")
	}
	at, err := Evaluate(inner, m.context)
	if err != nil {
		return err
	}
	if at[0].Kind != Register {
		return errDamaged
	}
	return m.based(at[0].Register, 0)
}
