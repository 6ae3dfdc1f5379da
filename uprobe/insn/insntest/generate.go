// Package insntest makes cases for tests that execute instructions: encodings that are generated
// or found in programs, with registers with which they access memory that a test has.
package insntest

import (
	"encoding/binary"
	"math/rand/v2"
)

// Generator makes everything at random, from its source.
type Generator struct{ *rand.Rand }

// New returns a generator with a seed.
func New(seed uint64) Generator { return Generator{rand.New(rand.NewPCG(seed, 9))} }

func (g Generator) pick(choices [][]byte) []byte { return choices[g.IntN(len(choices))] }

const longest = 15

// tail appends random bytes, which become the operand and the immediate.
func (g Generator) tail(code []byte) []byte {
	for len(code) < longest {
		code = append(code, byte(g.Uint32()))
	}
	return code
}

// modRM appends a ModRM of a register, a stack slot, an operand relative to RIP, or any.
func (g Generator) modRM(code []byte) []byte {
	reg := byte(g.IntN(8) << 3)
	switch g.IntN(5) {
	case 0:
		return append(code, 0xc0|reg|byte(g.IntN(8)))
	case 1:
		return append(code, 0x44|reg, 0x24) // [rsp+disp8]
	case 2:
		return append(code, 0x05|reg) // [rip+disp32]
	}
	return append(code, byte(g.Uint32()))
}

var prefixes = [][]byte{
	{}, {}, {}, {0x48}, {0x48}, {0x4c}, {0x41}, {0x4f}, {0x40}, {0x42}, {0x66}, {0x66, 0x48}, {0x66, 0x41}, {0x67}, {0x67, 0x48}, {0x67, 0x4f},
	{0xf2}, {0xf3}, {0xf3, 0x48}, {0x64}, {0x64, 0x48}, {0x65}, {0x65, 0x48}, {0xf0}, {0xf0, 0x48}, {0x66, 0xf2}, {0x2e}, {0x3e, 0x64},
}

// escapes are the bytes before an opcode, by the number of its table.
var escapes = [][]byte{{}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}}

// legacy makes an instruction without VEX.
func (g Generator) legacy(table int, opcode byte) []byte {
	code := append([]byte{}, g.pick(prefixes)...)
	code = append(append(code, escapes[table]...), opcode)
	return g.tail(g.modRM(code))
}

// vex makes an instruction with VEX.
func (g Generator) vex(table int, opcode byte) []byte {
	var code []byte
	if g.IntN(8) == 0 {
		code = append(code, 0x67)
	}
	if table == 1 && g.IntN(2) == 0 {
		code = append(code, 0xc5, byte(g.Uint32()), opcode)
	} else {
		code = append(code, 0xc4, byte(g.Uint32())&0xe0|byte(table), byte(g.Uint32()), opcode)
	}
	return g.tail(g.modRM(code))
}

// evex makes an instruction with EVEX.
func (g Generator) evex(table int, opcode byte) []byte {
	code := []byte{0x62, byte(g.Uint32())&0xf0 | byte(table), byte(g.Uint32()) | 4, byte(g.Uint32()), opcode}
	return g.tail(g.modRM(code))
}

// Round returns bytes that begin with each opcode of each encoding once, and with those of
// one byte, which are the most frequent, four times.
func (g Generator) Round() [][]byte {
	var all [][]byte
	for table := range escapes {
		for n := range 256 {
			opcode := byte(n)
			all = append(all, g.legacy(table, opcode))
			if table == 0 {
				all = append(all, g.legacy(table, opcode), g.legacy(table, opcode), g.legacy(table, opcode))
			} else {
				all = append(all, g.vex(table, opcode), g.evex(table, opcode))
			}
		}
	}
	return all
}

// Value returns a value for a register that is no address.
func (g Generator) Value() uint64 {
	values := [...]uint64{0, 1, ^uint64(0), 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 1 << 63, 1<<63 - 1}
	if g.IntN(3) == 0 {
		return values[g.IntN(len(values))]
	}
	return g.Uint64() >> g.IntN(64)
}

// Fill fills memory.
func (g Generator) Fill(data []byte) {
	for n := 0; n+8 <= len(data); n += 8 {
		binary.LittleEndian.PutUint64(data[n:], g.Value())
	}
}
