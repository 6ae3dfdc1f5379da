package entropy

import (
	"bytes"
	"testing"
)

// counter returns predictable hardware bits.
func counter(start uint64) func() uint64 { return func() uint64 { start++; return start } }

func TestStreamIsDeterminedByHardwareBits(t *testing.T) {
	a, b, c := make([]byte, 100), make([]byte, 100), make([]byte, 100)
	New(counter(1)).Read(a)
	New(counter(1)).Read(b)
	New(counter(2)).Read(c)
	if !bytes.Equal(a, b) || bytes.Equal(a, c) {
		t.Fatal("equal hardware bits must give equal streams, and others another stream")
	}
}

func TestKeyIsRenewed(t *testing.T) {
	taken := 0
	s := New(func() uint64 { taken++; return uint64(taken) })
	p := make([]byte, 3*rekeyAfter+1)
	if n, err := s.Read(p); n != len(p) || err != nil {
		t.Fatal(n, err)
	}
	if taken != 4*4 {
		t.Fatalf("hardware was called %d times, want 16", taken)
	}
	if bytes.Equal(p[:1000], p[rekeyAfter:rekeyAfter+1000]) {
		t.Fatal("two keys generated the same bytes")
	}
}
