package fetch

import (
	"bytes"
	"errors"
	"testing"

	"slowpath/arch/amd64"
)

func TestHalvesOfVectorRegisters(t *testing.T) {
	f := new(amd64.Frame)
	for i := range f.XMM {
		f.XMM[i][0], f.XMM[i][8] = byte(i+1), byte(i+101)
	}
	for i := range Register(16) {
		low, high := (XMM + 2*i).Of(f), (XMM + 2*i + 1).Of(f)
		if low != uint64(i+1) || high != uint64(i+101) {
			t.Errorf("XMM%d is %d, %d", i, low, high)
		}
	}
	if got := (XMM + 32).Of(f); got != 0 {
		t.Errorf("a register that does not exist is %d", got)
	}
}

// text is a memory with the given bytes at address 0.
type text string

func (m text) Load(address uint64, dst []byte) error {
	if address > uint64(len(m)) || copy(dst, m[address:]) < len(dst) {
		return errors.New("fault")
	}
	return nil
}

func TestLengthCountsUnits(t *testing.T) {
	h := &Hit{Frame: new(amd64.Frame), Memory: text("0123456789abcdef")}
	for _, c := range []struct {
		count int64
		unit  int
		max   int
		want  string
	}{{3, 0, 16, "012"}, {3, 1, 16, "012"}, {3, 4, 16, "0123456789ab"}, {100, 4, 8, "01234567"}, {-1, 4, 8, ""}, {1 << 62, 16, 16, "0123456789abcdef"}} {
		a := &Argument{
			Kind: Bytes, Steps: []Step{{Op: Immediate}}, Length: []Step{{Op: Immediate, Value: c.count}}, Unit: c.unit, Max: c.max,
		}
		record := a.Fetch(h, make([]byte, a.FixedSize()), 0, 1000)
		l := LocationAt(record, 0)
		if got := record[l.Offset() : l.Offset()+l.Length()]; !bytes.Equal(got, []byte(c.want)) {
			t.Errorf("%d units of %d bytes, at most %d, are %q, want %q", c.count, c.unit, c.max, got, c.want)
		}
	}
}
