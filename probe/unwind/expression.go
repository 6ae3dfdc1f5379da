package unwind

import (
	"encoding/binary"

	"slowpath/probe/frames"
)

// evaluator evaluates the expressions of call frame information: those of glibc's signal
// trampoline and of procedure linkage tables.
type evaluator struct {
	*state
	code  []byte
	stack []uint64
}

// maxOperations is the maximum number of operations of an expression.
const maxOperations = 256

// evaluate returns the result of an expression. initial is pushed first.
func (s *state) evaluate(expression []byte, initial uint64) (uint64, bool) {
	e := &evaluator{state: s, code: expression, stack: []uint64{initial}}
	for range maxOperations {
		if len(e.code) == 0 {
			return e.pop()
		}
		op := e.code[0]
		e.code = e.code[1:]
		if !e.execute(op) {
			return 0, false
		}
	}
	return 0, false
}

func (e *evaluator) pop() (uint64, bool) {
	if len(e.stack) == 0 {
		return 0, false
	}
	top := e.stack[len(e.stack)-1]
	e.stack = e.stack[:len(e.stack)-1]
	return top, true
}

func (e *evaluator) push(v uint64) bool {
	e.stack = append(e.stack, v)
	return true
}

// binaryOperations are the operations on two numbers (DWARF 5, 2.5.1.4).
var binaryOperations = map[byte]func(a, b uint64) uint64{
	0x1a: func(a, b uint64) uint64 { return a & b },
	0x1c: func(a, b uint64) uint64 { return a - b },
	0x1e: func(a, b uint64) uint64 { return a * b },
	0x21: func(a, b uint64) uint64 { return a | b },
	0x22: func(a, b uint64) uint64 { return a + b },
	0x24: func(a, b uint64) uint64 { return a << (b & 63) },
	0x25: func(a, b uint64) uint64 { return a >> (b & 63) },
	0x29: func(a, b uint64) uint64 { return truth(a == b) },
	0x2a: func(a, b uint64) uint64 { return truth(int64(a) >= int64(b)) },
	0x2b: func(a, b uint64) uint64 { return truth(int64(a) > int64(b)) },
	0x2c: func(a, b uint64) uint64 { return truth(int64(a) <= int64(b)) },
	0x2d: func(a, b uint64) uint64 { return truth(int64(a) < int64(b)) },
	0x2e: func(a, b uint64) uint64 { return truth(a != b) },
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (e *evaluator) execute(op byte) bool {
	const lit0, breg0, deref, plusUconst = 0x30, 0x70, 0x06, 0x23
	if f, ok := binaryOperations[op]; ok {
		b, okB := e.pop()
		a, okA := e.pop()
		return okA && okB && e.push(f(a, b))
	}
	switch {
	case op >= lit0 && op < lit0+32:
		return e.push(uint64(op - lit0))
	case op >= breg0 && op < breg0+frames.Registers:
		return e.known[op-breg0] && e.push(e.registers[op-breg0]+uint64(e.sleb()))
	case op == deref:
		address, _ := e.pop()
		v, ok := e.word(address)
		return ok && e.push(v)
	case op == plusUconst:
		a, ok := e.pop()
		return ok && e.push(a+uint64(e.sleb()))
	}
	if size, ok := constants[op]; ok {
		return e.push(e.constant(size))
	}
	return false
}

// constants have the size of a constant's operand in bytes, negative for a signed one.
var constants = map[byte]int{0x08: 1, 0x09: -1, 0x0a: 2, 0x0b: -2, 0x0c: 4, 0x0d: -4}

// constant reads a constant. size is that of the table of constants.
func (e *evaluator) constant(size int) uint64 {
	var b [8]byte
	length := max(size, -size)
	n := copy(b[:], e.code[:min(length, len(e.code))])
	e.code = e.code[n:]
	v := binary.LittleEndian.Uint64(b[:])
	if size > 0 {
		return v
	}
	shift := 64 - 8*length
	return uint64(int64(v<<shift) >> shift)
}

func (e *evaluator) sleb() (value int64) {
	for shift := 0; len(e.code) > 0; shift += 7 {
		b := e.code[0]
		e.code = e.code[1:]
		if shift < 64 {
			value |= int64(b&0x7f) << shift
		}
		if b&0x80 == 0 {
			if shift+7 < 64 && b&0x40 != 0 {
				value |= -1 << (shift + 7)
			}
			return value
		}
	}
	return value
}
