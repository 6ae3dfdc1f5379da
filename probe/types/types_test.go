package types

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"testing"

	"slowpath/probe/die"
)

// Abbreviations of the DIEs of the tests.
const (
	unit = iota + 1
	structure
	member
	reference
	array
	typedef
	nested
)

// abbreviations are their definitions (DWARF 5, 7.5.3).
var abbreviations = []byte{
	unit, 0x11, 1, 0, 0,
	structure, 0x13, 1, 0x0b, 0x0b, 0, 0, // DW_AT_byte_size, DW_FORM_data1
	member, 0x0d, 0, 0x49, 0x13, 0x38, 0x0b, 0, 0, // DW_AT_type, DW_FORM_ref4, DW_AT_data_member_location
	reference, 0x10, 0, 0x49, 0x13, 0, 0,
	array, 0x01, 0, 0x49, 0x13, 0x0b, 0x0b, 0, 0,
	typedef, 0x16, 0, 0x49, 0x13, 0, 0,
	nested, 0x13, 1, 0, 0,
	0,
}

// headerSize is the size of a unit's header in version 4, and begins at the unit's DIE.
const headerSize = 11

// debugInformation makes debug information of the DIEs in a unit.
func debugInformation(t *testing.T, dies []byte) *dwarf.Data {
	t.Helper()
	var b bytes.Buffer
	body := append([]byte{4, 0, 0, 0, 0, 0, 8, unit}, dies...)
	body = append(body, 0)
	binary.Write(&b, binary.LittleEndian, uint32(len(body)))
	b.Write(body)
	data, err := dwarf.New(abbreviations, nil, nil, b.Bytes(), nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// first is the offset of the first DIE in the unit.
const first = headerSize + 1

func ref(offset int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(offset)) }

func join(parts ...any) (b []byte) {
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

func TestTypesThatHaveThemselvesAsParts(t *testing.T) {
	for name, dies := range map[string][]byte{
		"structure":            join(structure, 8, member, ref(first), 0, 0),
		"through a typedef":    join(structure, 8, member, ref(first+9), 0, 0, typedef, ref(first)),
		"reference":            join(reference, ref(first)),
		"array":                join(array, ref(first), 8),
		"typedef":              join(typedef, ref(first)),
		"arrays of each other": join(array, ref(first+6), 8, array, ref(first), 8),
	} {
		r := NewReader(debugInformation(t, dies), 0)
		for at := first; at < first+len(dies); at++ {
			typ := r.At(dwarf.Offset(at))
			typ.Fields()
			typ.Element()
		}
		if typ := r.At(first); name == "structure" && (typ.Kind != Struct || len(typ.Fields()) != 1 || typ.Fields()[0].Type.Kind != Unknown) {
			t.Errorf("the type is %+v", typ)
		}
	}
}

// TestDeepNestingEndsNoStack: each DIE of the chain has one child, so a recursive reader
// needs a frame of its stack for each.
func TestDeepNestingEndsNoStack(t *testing.T) {
	const depth = 20 << 20
	data := debugInformation(t, bytes.Repeat([]byte{nested}, depth))
	r := data.Reader()
	r.Seek(first)
	e, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	die.SkipChildren(r, e)
	if typ := NewReader(data, 0).At(first); typ.Kind != Struct {
		t.Errorf("the type is %+v", typ)
	}
}

func TestChainOfStructuresIsLimited(t *testing.T) {
	const size, count = 9, 100000
	var dies []byte
	for i := range count {
		dies = append(dies, join(structure, 8, member, ref(first+(i+1)*size), 0, 0)...)
	}
	r := NewReader(debugInformation(t, dies), 0)
	depth := 0
	for typ := r.At(first); len(typ.Fields()) == 1; typ = typ.Fields()[0].Type {
		depth++
	}
	if depth == 0 || depth > maxDepth {
		t.Errorf("the structures are read to the depth %d", depth)
	}
}

// FuzzTypes reads types from random DIEs.
func FuzzTypes(f *testing.F) {
	f.Add(join(structure, 8, member, ref(first+9), 0, 0, typedef, ref(first), reference, ref(first), array, ref(first), 64))
	f.Fuzz(func(t *testing.T, dies []byte) {
		r := NewReader(debugInformation(t, dies), 1<<20)
		for at := first; at < first+min(len(dies), 200); at++ {
			typ := r.At(dwarf.Offset(at))
			for _, field := range typ.Fields() {
				field.Type.Element()
			}
			r.RuntimeName(uint64(at))
		}
	})
}
