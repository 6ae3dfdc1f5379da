package amd64

import (
	"math/rand/v2"
	"testing"
)

// TestDescriptorsOfProgramsAreOfUserMode checks random descriptors of TLS and LDT.
func TestDescriptorsOfProgramsAreOfUserMode(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 10000 {
		d := Descriptor(r.Uint64())
		f := new(Frame)
		f.SetTLS(1, d)
		for _, got := range []Descriptor{f.TLS(1), NewLDT([]Descriptor{0, d}).Descriptors()[1]} {
			if got>>44&1 != 1 || got>>45&3 != 3 || got&descriptorLong != 0 {
				t.Fatalf("%#x becomes %#x, which is not a code or data segment of user mode", d, got)
			}
			if got.Base() != d.Base() {
				t.Fatalf("%#x has base %#x", d, got.Base())
			}
		}
	}
	f := new(Frame)
	if f.SetTLS(2, 0); f.TLS(2) != 0 || NewLDT(nil) != nil || len(NewLDT(make([]Descriptor, MaxLDT+1)).Descriptors()) != MaxLDT {
		t.Error("an empty descriptor, an empty table or the maximum size of a table is wrong")
	}
}

// The descriptors of the tests: data, code that can be read and code that cannot.
const (
	dataSegment    Descriptor = 0x12cff3345678ffff
	codeSegment    Descriptor = 0x00cffb000000ffff
	executeSegment Descriptor = 0x00cff9000000ffff
)

func TestSelectorsOfTLSAndLDTAreLoadedIfTheSegmentCanBe(t *testing.T) {
	ldt := NewLDT([]Descriptor{dataSegment, executeSegment, codeSegment, 0, dataSegment &^ descriptorPresent})
	c := &controls{tls: tlsDescriptors{1: dataSegment}}
	for selector, want := range map[uint16]bool{
		0x63: false, 0x6b: true, 0x73: false, 0x7b: true, 0x83: false, 0x53: false, 0x68: false,
		7: true, 0xf: false, 0x17: true, 0x1f: false, 0x27: false, 0x2f: false, 4: false, 0xffff: false,
	} {
		if got := loadable(selector, c, ldt) == selector; got != want {
			t.Errorf("selector %#x is loaded: %v, want %v", selector, got, want)
		}
		if selector&4 != 0 && loadable(selector, c, nil) != 0 {
			t.Errorf("selector %#x is loaded without an LDT", selector)
		}
	}
}

// TestTLSChangesTheBaseOfItsSelector: set_thread_area(2) loads the selector again.
func TestTLSChangesTheBaseOfItsSelector(t *testing.T) {
	f := new(Frame)
	f.SetSelector(GS, TLSSelector+8)
	f.SetTLS(0, codeSegment)
	if f.GSBase != 0 {
		t.Errorf("another segment sets GS base to %#x", f.GSBase)
	}
	f.SetTLS(1, dataSegment)
	if f.GSBase != 0x12345678 || f.FSBase != 0 {
		t.Errorf("GS base is %#x, FS base %#x", f.GSBase, f.FSBase)
	}
}

// TestTablesAreInheritedAndEndWithTheProgram: a child has the tables, a new program none.
func TestTablesAreInheritedAndEndWithTheProgram(t *testing.T) {
	parent, child := NewFrame(0), NewFrame(0)
	parent.SetTLS(0, dataSegment)
	parent.SetLDT(NewLDT([]Descriptor{dataSegment}))
	parent.SetLandingPad32(0xf7fd0549)
	child.Copy(parent)
	if child.TLS(0) != parent.TLS(0) || child.controls != parent.controls || child.ldt != parent.ldt || child.landingPad != 0xf7fd0549 {
		t.Error("the child does not have the tables of its parent")
	}
	child.ResetRegisters()
	if child.TLS(0) != 0 || child.ldt != nil || ldtDiffers(&child.controls, new(controls)) || child.landingPad != 0 {
		t.Error("a new program has the tables of the old one")
	}
}

// TestAnotherTableAtTheSameAddressDiffers: the memory of a table that is free may be used
// for another one, while a CPU has the old one loaded.
func TestAnotherTableAtTheSameAddressDiffers(t *testing.T) {
	a, b := new(Frame), new(Frame)
	a.SetLDT(NewLDT([]Descriptor{dataSegment}))
	b.SetLDT(NewLDT([]Descriptor{dataSegment}))
	b.controls.ldt.address = a.controls.ldt.address
	if !ldtDiffers(&a.controls, &b.controls) || !selectorsDiffer(&a.controls, &b.controls) {
		t.Error("two tables at one address are the same")
	}
}
