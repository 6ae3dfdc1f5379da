package types

import (
	"bytes"
	"debug/dwarf"
	"testing"

	"slowpath/probe/die"
	"slowpath/probe/probetest"
)

// Short names of package probetest.
const (
	first     = probetest.FirstDIE
	structure = probetest.Structure
	member    = probetest.Member
	reference = probetest.Reference
	array     = probetest.Array
	typedef   = probetest.Typedef
)

var (
	join = probetest.DIEs
	ref  = probetest.Type
)

func TestTypesThatHaveThemselvesAsParts(t *testing.T) {
	for name, dies := range map[string][]byte{
		"structure":            join(structure, 8, member, ref(first), 0, 0),
		"through a typedef":    join(structure, 8, member, ref(first+9), 0, 0, typedef, ref(first)),
		"reference":            join(reference, ref(first)),
		"array":                join(array, ref(first), 8),
		"typedef":              join(typedef, ref(first)),
		"arrays of each other": join(array, ref(first+6), 8, array, ref(first), 8),
	} {
		r := NewReader(probetest.DebugInformation(t, dies), 0)
		for at := first; at < first+len(dies); at++ {
			typ := r.At(dwarf.Offset(at))
			typ.Fields()
			typ.Element()
		}
		if typ := r.At(first); name == "structure" && (typ.Kind != Struct || len(typ.Fields()) != 1) {
			t.Errorf("the type is %+v", typ)
		}
	}
}

// TestDeepNestingEndsNoStack: each DIE of the chain has one child, so a recursive reader
// needs a frame of its stack for each.
func TestDeepNestingEndsNoStack(t *testing.T) {
	const depth = 5 << 20
	data := probetest.DebugInformation(t, bytes.Repeat([]byte{probetest.Nested}, depth))
	r := die.NewReader(data)
	r.Seek(first)
	e, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	r.SkipChildren(e)
	if typ := NewReader(data, 0).At(first); typ.Kind != Struct {
		t.Errorf("the type is %+v", typ)
	}
}

// TestChainOfTypedefsIsLimited reads a type behind more typedefs than anybody writes.
func TestChainOfTypedefsIsLimited(t *testing.T) {
	const size = 5
	var dies []byte
	for i := range 10000 {
		dies = append(dies, join(typedef, ref(first+(i+1)*size))...)
	}
	dies = append(dies, join(structure, 8, 0)...)
	if typ := NewReader(probetest.DebugInformation(t, dies), 0).At(first); typ.Kind != Unknown {
		t.Errorf("the type is %+v", typ)
	}
}

// FuzzTypes reads types from random DIEs.
func FuzzTypes(f *testing.F) {
	f.Add(join(structure, 8, member, ref(first+9), 0, 0, typedef, ref(first), reference, ref(first), array, ref(first), 64))
	f.Fuzz(func(t *testing.T, dies []byte) {
		r := NewReader(probetest.DebugInformation(t, dies), 1<<20)
		for at := first; at < first+min(len(dies), 200); at++ {
			typ := r.At(dwarf.Offset(at))
			for _, field := range typ.Fields() {
				field.Type.Element()
			}
			r.RuntimeName(uint64(at))
		}
	})
}
