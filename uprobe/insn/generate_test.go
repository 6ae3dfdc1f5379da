package insn

import (
	"encoding/binary"
	"math/rand/v2"
)

// generator makes encodings of instructions at random.
type generator struct{ *rand.Rand }

func (g generator) pick(choices ...[]byte) []byte { return choices[g.IntN(len(choices))] }

// tail returns random bytes, which become the operand and the immediate.
func (g generator) tail(code []byte) []byte {
	for len(code) < MaxLength {
		code = append(code, byte(g.Uint32()))
	}
	return code
}

// modRM appends a ModRM of a register, a stack slot, an operand relative to RIP, or any.
func (g generator) modRM(code []byte) []byte {
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

var prefixChoices = [][]byte{
	{}, {}, {}, {0x48}, {0x48}, {0x4c}, {0x41}, {0x4f}, {0x40}, {0x42}, {0x66}, {0x66, 0x48}, {0x66, 0x41}, {0x67}, {0x67, 0x48}, {0x67, 0x4f},
	{0xf2}, {0xf3}, {0xf3, 0x48}, {0x64}, {0x64, 0x48}, {0x65}, {0xf0}, {0xf0, 0x48}, {0x66, 0xf2}, {0x2e}, {0x3e, 0x64},
}

// legacy makes an instruction of an opcode map.
func (g generator) legacy(m opcodeMap, opcode byte) []byte {
	escapes := [][]byte{primary: {}, map0F: {0x0f}, map0F38: {0x0f, 0x38}, map0F3A: {0x0f, 0x3a}}
	code := append([]byte{}, g.pick(prefixChoices...)...)
	code = append(append(code, escapes[m]...), opcode)
	return g.tail(g.modRM(code))
}

// vex makes an instruction with VEX.
func (g generator) vex(m opcodeMap, opcode byte) []byte {
	var code []byte
	if g.IntN(8) == 0 {
		code = append(code, 0x67)
	}
	if m == map0F && g.IntN(2) == 0 {
		code = append(code, 0xc5, byte(g.Uint32()), opcode)
	} else {
		code = append(code, 0xc4, byte(g.Uint32())&0xe0|byte(m), byte(g.Uint32()), opcode)
	}
	return g.tail(g.modRM(code))
}

// evex makes an instruction with EVEX.
func (g generator) evex(m opcodeMap, opcode byte) []byte {
	code := []byte{0x62, byte(g.Uint32())&0xf0 | byte(m), byte(g.Uint32()) | 4, byte(g.Uint32()), opcode}
	return g.tail(g.modRM(code))
}

// round makes one instruction of each opcode and encoding.
func (g generator) round(vectors bool) [][]byte {
	var all [][]byte
	for m := primary; m <= map0F3A; m++ {
		for opcode := range 256 {
			all = append(all, g.legacy(m, byte(opcode)))
			if m == primary {
				// The frequent and the emulated ones are in this map.
				all = append(all, g.legacy(m, byte(opcode)), g.legacy(m, byte(opcode)), g.legacy(m, byte(opcode)))
			} else if vectors {
				all = append(all, g.vex(m, byte(opcode)), g.evex(m, byte(opcode)))
			}
		}
	}
	return all
}

// value returns a value for a register that is no address.
func (g generator) value() uint64 {
	values := [...]uint64{0, 1, ^uint64(0), 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 1 << 63, 1<<63 - 1}
	if g.IntN(3) == 0 {
		return values[g.IntN(len(values))]
	}
	return g.Uint64() >> g.IntN(64)
}

// fill fills memory or vectors.
func (g generator) fill(data []byte) {
	for n := 0; n+8 <= len(data); n += 8 {
		binary.LittleEndian.PutUint64(data[n:], g.value())
	}
}
