package die_test

import (
	"bytes"
	"testing"

	"slowpath/probe/die"
	"slowpath/probe/probetest"
)

// TestNumberWithoutEndEndsTheReader: dwarf.Reader returns null entries for ever if a unit
// ends within an LEB128 number.
func TestNumberWithoutEndEndsTheReader(t *testing.T) {
	const unterminated = 0x80
	data := probetest.DebugInformation(t, bytes.Repeat([]byte{unterminated}, 10))
	r := die.NewReader(data)
	for n := 0; ; n++ {
		e, err := r.Next()
		if err != nil || e == nil {
			break
		}
		if n > 1<<20 {
			t.Fatal("the reader does not end")
		}
	}
}

func TestSkipChildrenMovesBehindThem(t *testing.T) {
	const first = probetest.FirstDIE
	data := probetest.DebugInformation(t, probetest.DIEs(
		probetest.Nested, probetest.Nested, probetest.Nested, 0, 0, 0, probetest.Structure, 8, 0))
	r := die.NewReader(data)
	r.Seek(first)
	e, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	r.SkipChildren(e)
	if e, err = r.Next(); err != nil || e == nil || e.Val(0x0b) != int64(8) {
		t.Errorf("the next entry is %+v, %v", e, err)
	}
}
