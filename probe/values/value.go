package values

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a value.
type Kind uint8

// The kinds.
const (
	// Missing could not be read. Text says why, or is empty for memory that is not there.
	Missing Kind = iota
	// Signed, Unsigned, Address are numbers.
	Signed
	Unsigned
	Address
	// Boolean is Bits 0 or 1.
	Boolean
	// Character is one character.
	Character
	// Floating is a floating-point number in Float.
	Floating
	// Symbolic is an enumerator, or the type of what an interface has, in Text.
	Symbolic
	// Text is a string in Text. Longer tells that there is more of it.
	Text
	// List is an array or a slice, Record a structure.
	List
	Record
	// Opaque is a structure that is not shown.
	Opaque
)

// Value is a decoded value.
type Value struct {
	Kind     Kind
	Bits     uint64 // of a number
	Float    float64
	Text     string
	Longer   bool // there is more than what was read
	Length   int64
	Elements []Named // of a List or a Record
	Target   *Value  // what an Address points to
}

// String returns the value as text.
func (v Value) String() string { return string(v.appendText(nil)) }

func (v *Value) appendText(b []byte) []byte {
	switch v.Kind {
	case Missing:
		return append(b, '?')
	case Signed:
		return strconv.AppendInt(b, int64(v.Bits), 10)
	case Unsigned:
		return strconv.AppendUint(b, v.Bits, 10)
	case Address:
		if v.Target != nil {
			return v.Target.appendText(append(b, '&'))
		}
		return strconv.AppendUint(append(b, "0x"...), v.Bits, 16)
	case Boolean:
		return strconv.AppendBool(b, v.Bits != 0)
	case Character:
		return strconv.AppendQuoteRuneToASCII(b, rune(v.Bits))
	case Floating:
		return strconv.AppendFloat(b, v.Float, 'g', -1, 64)
	case Symbolic:
		return append(b, v.Text...)
	case Text:
		return v.appendQuoted(b)
	case List:
		return v.appendElements(b, '[', ']')
	case Record:
		return v.appendElements(b, '{', '}')
	}
	return append(b, "{...}"...)
}

// appendQuoted appends a string with three dots if there is more.
func (v *Value) appendQuoted(b []byte) []byte {
	b = strconv.AppendQuote(b, v.Text)
	if v.Longer {
		b = append(b, "..."...)
	}
	return b
}

func (v *Value) appendElements(b []byte, left, right byte) []byte {
	b = append(b, left)
	for i := range v.Elements {
		if i > 0 {
			b = append(b, ", "...)
		}
		if name := v.Elements[i].Name; name != "" {
			b = append(append(b, name...), '=')
		}
		b = v.Elements[i].Value.appendText(b)
	}
	if v.Longer {
		if len(v.Elements) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, "..."...)
		if v.Kind == List && v.Length > 0 {
			b = strconv.AppendInt(append(b, " of "...), v.Length, 10)
		}
	}
	return append(b, right)
}

// JSON returns the value for package encoding/json. What could not be read is null. Numbers
// that JavaScript cannot represent, and addresses, are strings.
func (v Value) JSON() any {
	const exact = 1 << 53
	switch v.Kind {
	case Signed:
		if n := int64(v.Bits); n > exact || n < -exact {
			return strconv.FormatInt(n, 10)
		}
		return int64(v.Bits)
	case Unsigned:
		if v.Bits > exact {
			return strconv.FormatUint(v.Bits, 10)
		}
		return v.Bits
	case Address:
		address := "0x" + strconv.FormatUint(v.Bits, 16)
		if v.Target != nil {
			return map[string]any{"address": address, "value": v.Target.JSON()}
		}
		return address
	case Boolean:
		return v.Bits != 0
	case Character:
		return string(rune(v.Bits))
	case Floating:
		if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
			return strconv.FormatFloat(v.Float, 'g', -1, 64)
		}
		return v.Float
	case Symbolic:
		return v.Text
	case Text:
		if !utf8.ValidString(v.Text) {
			return strings.ToValidUTF8(v.Text, "\uFFFD")
		}
		return v.Text
	case List:
		list := make([]any, len(v.Elements))
		for i := range v.Elements {
			list[i] = v.Elements[i].Value.JSON()
		}
		return list
	case Record:
		record := make(map[string]any, len(v.Elements))
		for i := range v.Elements {
			record[v.Elements[i].Name] = v.Elements[i].Value.JSON()
		}
		return record
	case Opaque:
		return map[string]any{}
	}
	return nil
}
