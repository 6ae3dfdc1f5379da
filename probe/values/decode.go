package values

import (
	"bytes"
	"encoding/binary"
	"math"

	"slowpath/probe/types"
)

// decoder decodes the captures of one hit.
type decoder struct {
	data   data
	reader *Reader
	bias   uint64 // what addresses of the process are above those of the ELF file
}

// value decodes a node.
func (d *decoder) value(n *node) Value {
	if n.missing != "" {
		return Value{Kind: Missing, Text: n.missing}
	}
	switch n.typ.Kind {
	case types.Struct, types.Union:
		return d.structure(n)
	case types.Array:
		return d.array(n)
	case types.String:
		return d.counted(n)
	case types.Slice:
		return d.slice(n)
	case types.Interface:
		return d.dynamic(n)
	case types.Float, types.Complex:
		return d.float(n)
	case types.Pointer, types.Reference:
		return d.pointer(n)
	}
	return d.scalar(n)
}

// scalar decodes an integer.
func (d *decoder) scalar(n *node) Value {
	size := n.typ.Size
	if n.bitSize > 0 {
		size = (n.bitOffset + n.bitSize + 7) / 8
	}
	if size == 0 || size > eightbyte {
		return d.wide(n)
	}
	bits, ok := d.data.word(n.source, size)
	if !ok {
		return Value{}
	}
	width := size * 8
	if n.bitSize > 0 {
		bits, width = bits>>n.bitOffset, n.bitSize
	}
	unused := uint(64 - width)
	signed := int64(bits<<unused) >> unused
	bits = bits << unused >> unused
	switch n.typ.Kind {
	case types.Int:
		return Value{Kind: Signed, Bits: uint64(signed)}
	case types.Bool:
		return Value{Kind: Boolean, Bits: bits}
	case types.Char:
		return Value{Kind: Character, Bits: bits}
	case types.Enum:
		return enumerator(n.typ, bits, signed)
	case types.Function:
		return Value{Kind: Address, Bits: bits}
	}
	return Value{Kind: Unsigned, Bits: bits}
}

// wide decodes an integer of more than 8 bytes: only its low half is shown.
func (d *decoder) wide(n *node) Value {
	bits, ok := d.data.word(n.source.part(0, eightbyte), eightbyte)
	if !ok {
		return Value{}
	}
	return Value{Kind: Address, Bits: bits}
}

func enumerator(t *types.Type, bits uint64, signed int64) Value {
	value := int64(bits)
	if t.Signed {
		value = signed
	}
	if name := t.Names[value]; name != "" {
		return Value{Kind: Symbolic, Bits: uint64(value), Text: name}
	}
	return Value{Kind: Signed, Bits: uint64(value)}
}

func (d *decoder) float(n *node) Value {
	b, ok := d.data.bytes(n.source, n.typ.Size)
	if !ok {
		return Value{}
	}
	size := n.typ.Size
	if n.typ.Kind == types.Complex {
		size /= 2
		real, imaginary := floatOf(b[:size]), floatOf(b[size:])
		return Value{Kind: Record, Elements: []Named{{"real", real}, {"imag", imaginary}}}
	}
	return floatOf(b[:size])
}

func floatOf(b []byte) Value {
	switch len(b) {
	case 4:
		// The shortest text of a float32 is not that of the same float64.
		return Value{Kind: Floating, Float: float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))}
	case 8:
		return Value{Kind: Floating, Float: math.Float64frombits(binary.LittleEndian.Uint64(b))}
	case 16:
		return Value{Kind: Floating, Float: extended(b)}
	}
	return Value{}
}

// extended converts a number of the x87 unit with 80 bits.
func extended(b []byte) float64 {
	mantissa, exponent := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:])
	const bias, infinite = 16383, 0x7fff
	value := math.Ldexp(float64(mantissa), int(exponent&infinite)-bias-63)
	if exponent&infinite == infinite {
		value = math.Inf(1)
		if mantissa<<1 != 0 {
			value = math.NaN()
		}
	}
	if exponent>>15 != 0 {
		value = -value
	}
	return value
}

func (d *decoder) pointer(n *node) Value {
	bits, ok := d.data.word(n.source, n.typ.Size)
	if !ok {
		return Value{}
	}
	v := Value{Kind: Address, Bits: bits}
	switch {
	case n.text != none:
		if text := d.capture(n.text); len(text) > 0 {
			content := bytes.TrimSuffix(text, []byte{0})
			return Value{Kind: Text, Bits: bits, Text: string(content), Longer: len(text) == maxText}
		}
	case n.typ.Kind == types.Pointer && n.typ.Element().Kind == types.Function && bits != 0:
		if f := d.reader.object.FunctionAt(bits - d.bias); f != nil && f.Address == bits-d.bias {
			return Value{Kind: Symbolic, Bits: bits, Text: "&" + f.Name()}
		}
	case n.target != nil && bits != 0:
		if target := d.value(n.target); target.Kind != Missing && !allMissing(target) {
			v.Target = &target
		}
	}
	return v
}

// allMissing reports whether no part of a structure could be read.
func allMissing(v Value) bool {
	if v.Kind != Record || len(v.Elements) == 0 {
		return false
	}
	for i := range v.Elements {
		if k := v.Elements[i].Value.Kind; k != Missing && k != Opaque {
			return false
		}
	}
	return true
}

// capture returns the bytes of a capture, nil if they could not be read.
func (d *decoder) capture(n int) []byte {
	if n < 0 || n >= len(d.data) {
		return nil
	}
	return d.data[n]
}

func (d *decoder) structure(n *node) Value {
	if n.opaque {
		return Value{Kind: Opaque}
	}
	v := Value{Kind: Record, Longer: len(n.children) == maxFields}
	for _, c := range n.children {
		v.Elements = append(v.Elements, Named{c.name, d.value(c.node)})
	}
	return v
}

func (d *decoder) array(n *node) Value {
	if n.typ.Element().Kind == types.Char {
		b, ok := d.data.bytes(n.source, min(max(n.typ.Size, 0), maxBytes))
		if !ok {
			return Value{}
		}
		text, _, ended := bytes.Cut(b, []byte{0})
		return Value{Kind: Text, Text: string(text), Longer: !ended && n.typ.Size > maxBytes}
	}
	v := Value{Kind: List, Length: n.typ.Count, Longer: int64(len(n.children)) < n.typ.Count}
	for _, c := range n.children {
		v.Elements = append(v.Elements, Named{Value: d.value(c.node)})
	}
	return v
}

// counted decodes a string with a length.
func (d *decoder) counted(n *node) Value {
	length, ok := d.data.word(n.length, eightbyte)
	if !ok {
		return Value{}
	}
	text := d.capture(n.text)
	if text == nil && length != 0 {
		return Value{Kind: Missing, Length: int64(length)}
	}
	text = text[:min(uint64(len(text)), length)]
	return Value{Kind: Text, Text: string(text), Length: int64(length), Longer: uint64(len(text)) < length}
}

func (d *decoder) slice(n *node) Value {
	length, ok := d.data.word(n.length, eightbyte)
	if !ok {
		return Value{}
	}
	v := Value{Kind: List, Length: int64(length)}
	for i, c := range n.children {
		if uint64(i) >= length {
			break
		}
		v.Elements = append(v.Elements, Named{Value: d.value(c.node)})
	}
	v.Longer = uint64(len(v.Elements)) < length
	return v
}

// dynamic decodes an interface of Go: the type of what it has, and the address.
func (d *decoder) dynamic(n *node) Value {
	word, ok := d.data.word(n.source.part(0, eightbyte), eightbyte)
	if !ok {
		return Value{}
	}
	if word == 0 {
		return Value{Kind: Symbolic, Text: "nil"}
	}
	content, _ := d.data.word(n.source.part(types.LengthOffset, eightbyte), eightbyte)
	descriptor, ok := d.data.word(n.length, eightbyte)
	name := "?"
	if ok && d.reader.types != nil {
		if found := d.reader.types.RuntimeName(descriptor - d.bias); found != "" {
			name = found
		}
	}
	return Value{Kind: Symbolic, Bits: content, Text: "(" + name + ")(" + Value{Kind: Address, Bits: content}.String() + ")"}
}
