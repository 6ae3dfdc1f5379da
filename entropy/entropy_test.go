package entropy

import (
	"bytes"
	"testing"
)

// counter is hardware that anybody can guess, for tests.
func counter(start uint64) func() uint64 { return func() uint64 { start++; return start } }

func TestStreamsDifferByKey(t *testing.T) {
	a, b, c := make([]byte, 100), make([]byte, 100), make([]byte, 100)
	New(counter(1)).Read(a)
	New(counter(1)).Read(b)
	New(counter(2)).Read(c)
	if !bytes.Equal(a, b) || bytes.Equal(a, c) {
		t.Fatal("the stream does not follow from the key")
	}
}

func TestKeyChanges(t *testing.T) {
	taken := 0
	s := New(func() uint64 { taken++; return uint64(taken) })
	p := make([]byte, 3*rekeyAfter+1)
	if n, err := s.Read(p); n != len(p) || err != nil {
		t.Fatal(n, err)
	}
	if taken != 4*4 {
		t.Fatalf("the hardware was asked %d times, want 16", taken)
	}
	if bytes.Equal(p[:1000], p[rekeyAfter:rekeyAfter+1000]) {
		t.Fatal("two keys made the same bytes")
	}
}
