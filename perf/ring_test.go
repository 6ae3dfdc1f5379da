package perf

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/mm/mmtest"
)

// testRing returns a ring with one page of records.
func testRing(t *testing.T, a *Attributes) (*Ring, *Event) {
	memory, _ := mmtest.New(t, 64)
	special, err := memory.NewSpecial(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(special.Free)
	return &Ring{pages: special, size: mm.PageSize}, &Event{attr: a, id: 7}
}

func lostBy(e *Event) func(n uint64) []byte {
	return func(n uint64) []byte { return finish(put64(put64(begin(nil, unix.PERF_RECORD_LOST, 0), e.id), n)) }
}

func TestFullRingKeepsRecordsAndCountsLostOnes(t *testing.T) {
	r, e := testRing(t, new(Attributes))
	record := finish(append(begin(nil, unix.PERF_RECORD_SAMPLE, 0), make([]byte, 56)...))
	written := 0
	for range 100 {
		if fits, _ := r.write(record, e.attr, lostBy(e)); fits {
			written++
		}
	}
	if written != 63 { // one byte of 4096 stays free
		t.Fatalf("%d records of 64 bytes were written", written)
	}
	r.pages.StoreUint64(pageTail, r.head)
	if fits, _ := r.write(record, e.attr, lostBy(e)); !fits {
		t.Fatal("no record fits after the program has read all")
	}
	at := 63 * 64 % mm.PageSize
	lost := r.pages.Bytes(1)[at:]
	if kind, n := binary.LittleEndian.Uint32(lost), binary.LittleEndian.Uint64(lost[16:]); kind != unix.PERF_RECORD_LOST || n != 37 {
		t.Fatalf("record of type %d says that %d are lost, want 37", kind, n)
	}
}

func TestRecordsWrapAtTheEndOfTheRing(t *testing.T) {
	r, e := testRing(t, new(Attributes))
	for i := range 100 {
		record := begin(nil, unix.PERF_RECORD_SAMPLE, 0)
		for range 5 {
			record = put64(record, uint64(i))
		}
		if fits, _ := r.write(finish(record), e.attr, lostBy(e)); !fits {
			t.Fatalf("record %d does not fit", i)
		}
		tail := r.pages.LoadUint64(pageTail)
		for word := range uint64(5) {
			at := (tail + headerSize + 8*word) % r.size
			if got := binary.LittleEndian.Uint64(r.pages.Bytes(1)[at:]); got != uint64(i) {
				t.Fatalf("word %d of record %d is %d", word, i, got)
			}
		}
		r.pages.StoreUint64(pageTail, r.head)
	}
}

func TestHostileTailLosesRecordsOnly(t *testing.T) {
	r, e := testRing(t, new(Attributes))
	record := finish(put64(begin(nil, unix.PERF_RECORD_SAMPLE, 0), 1))
	for _, tail := range []uint64{1 << 63, 1 << 20, 12345} {
		r.pages.StoreUint64(pageTail, tail)
		if fits, _ := r.write(record, e.attr, lostBy(e)); fits {
			t.Errorf("a record fits behind a tail of %#x", tail)
		}
	}
}

func TestReadersWakeAtTheWatermark(t *testing.T) {
	for name, c := range map[string]struct {
		a     Attributes
		every int
	}{
		"wakeup_events":    {Attributes{unix.PerfEventAttr{Wakeup: 3}}, 3},
		"wakeup_watermark": {Attributes{unix.PerfEventAttr{Wakeup: 256, Bits: unix.PerfBitWatermark}}, 4},
		"the default":      {Attributes{}, 32},
	} {
		t.Run(name, func(t *testing.T) {
			r, e := testRing(t, &c.a)
			record := finish(append(begin(nil, unix.PERF_RECORD_SAMPLE, 0), make([]byte, 56)...))
			for i := 1; i <= 2*c.every; i++ {
				_, wake := r.write(record, e.attr, lostBy(e))
				if wake != (i%c.every == 0) {
					t.Fatalf("record %d: wake is %v", i, wake)
				}
				r.pages.StoreUint64(pageTail, r.head)
			}
		})
	}
}

func TestPeriodSelectsSamples(t *testing.T) {
	var r rate
	r.init(&Attributes{unix.PerfEventAttr{Sample: 3}})
	var got []int
	for i := range 9 {
		if period, sampled := r.take(); sampled {
			if period != 3 {
				t.Fatalf("a sample stands for %d hits", period)
			}
			got = append(got, i)
		}
	}
	if len(got) != 3 || got[0] != 2 || got[2] != 8 {
		t.Fatalf("hits %v were sampled", got)
	}
}
