package trace

import "testing"

type benchThread struct{}

func (benchThread) TID() int     { return 5 }
func (benchThread) PID() int     { return 5 }
func (benchThread) Comm() string { return "bench" }

// BenchmarkRecord records an event of 64 bytes in the ring of one CPU.
func BenchmarkRecord(b *testing.B) {
	r, err := NewRegistry(Config{CPUs: 1, CPU: func() int { return 0 }})
	if err != nil {
		b.Fatal(err)
	}
	e, err := r.Add(Definition{System: "test", Name: "one", Print: func(dst, _ []byte) []byte { return dst }})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Top().SetEnabled("test", "one", true); err != nil {
		b.Fatal(err)
	}
	record := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		e.Record(benchThread{}, nil, record)
	}
}
