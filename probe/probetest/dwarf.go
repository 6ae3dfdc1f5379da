package probetest

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"testing"
)

// Abbreviations of the DIEs that tests write by hand. Their attributes follow in this
// order: DW_AT_byte_size has one byte, DW_AT_type four, DW_AT_data_member_location one.
const (
	unit      = iota + 1
	Structure // size; has children
	Member    // type, location
	Reference // type
	Array     // type, size
	Typedef   // type
	Nested    // no attributes; has children
	Union     // size; has children
	Base      // type, location: a base class
)

// abbreviations are their definitions (DWARF 5, 7.5.3).
var abbreviations = []byte{
	unit, 0x11, 1, 0, 0,
	Structure, 0x13, 1, 0x0b, 0x0b, 0, 0,
	Member, 0x0d, 0, 0x49, 0x13, 0x38, 0x0b, 0, 0,
	Reference, 0x10, 0, 0x49, 0x13, 0, 0,
	Array, 0x01, 0, 0x49, 0x13, 0x0b, 0x0b, 0, 0,
	Typedef, 0x16, 0, 0x49, 0x13, 0, 0,
	Nested, 0x13, 1, 0, 0,
	Union, 0x17, 1, 0x0b, 0x0b, 0, 0,
	Base, 0x1c, 0, 0x49, 0x13, 0x38, 0x0b, 0, 0,
	0,
}

// FirstDIE is the offset of the first DIE that DebugInformation gets.
const FirstDIE = 12

// DebugInformation makes debug information with a unit of the given DIEs. What ends the
// children of the unit is up to the caller: a missing end is damage that readers bear.
func DebugInformation(t testing.TB, dies []byte) *dwarf.Data {
	t.Helper()
	var b bytes.Buffer
	const version, addressSize = 4, 8
	body := append([]byte{version, 0, 0, 0, 0, 0, addressSize, unit}, dies...)
	binary.Write(&b, binary.LittleEndian, uint32(len(body)))
	b.Write(body)
	data, err := dwarf.New(abbreviations, nil, nil, b.Bytes(), nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// DIEs joins bytes, abbreviations and attributes of DIEs.
func DIEs(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// Type is the attribute DW_AT_type: the DIE at an offset.
func Type(offset int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(offset)) }
