package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"slowpath/arch/amd64"
)

// shortEvent returns an event of a new registry with three words, which is enabled.
func shortEvent(t *testing.T, now func() uint64) *Event {
	t.Helper()
	r, err := NewRegistry(Config{CPUs: 1, CPU: func() int { return 0 }, Now: now, TSC: TSC{Scale: 1 << 32}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := r.Add(Definition{
		System: "test", Name: "one", Print: func(dst, _ []byte) []byte { return dst },
		Fields: []Field{{Type: "u64", Name: "n", Offset: 8, Size: 8}, {Type: "u64", Name: "m", Offset: 16, Size: 8}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Top().SetEnabled("test", "one", true); err != nil {
		t.Fatal(err)
	}
	return e
}

// contents reads all records of the top instance.
func contents(e *Event) string {
	var b bytes.Buffer
	for {
		record, time, lost, ok := e.registry.instances[0].rings[0].consume(nil)
		if !ok {
			return b.String()
		}
		fmt.Fprintf(&b, "%d lost, at %d: %x\n", lost, time, record)
	}
}

// TestShortRecordsAreStoredAsOthers records the same words by StoreShort and RecordShort, and
// by Record, with everything that can change what is stored.
func TestShortRecordsAreStoredAsOthers(t *testing.T) {
	setups := map[string]func(e *Event, i *Instance){
		"nothing":     func(*Event, *Instance) {},
		"off":         func(_ *Event, i *Instance) { i.SetOn(false) },
		"paused":      func(_ *Event, i *Instance) { i.Pause() },
		"no CPU":      func(_ *Event, i *Instance) { i.SetCPUMask(0) },
		"counter":     func(_ *Event, i *Instance) { i.SetClock("counter") },
		"this thread": func(_ *Event, i *Instance) { i.AddPIDs(OnlyPIDs, []int32{5}) },
		"others":      func(_ *Event, i *Instance) { i.AddPIDs(OnlyPIDs, []int32{6}) },
		"cleared":     func(_ *Event, i *Instance) { i.AddPIDs(NotPIDs, []int32{5}); i.ClearPIDs(NotPIDs) },
		"no names":    func(_ *Event, i *Instance) { i.SetOption("record-cmd", false) },
		"processes":   func(_ *Event, i *Instance) { i.SetOption("record-tgid", true) },
		"filter":      func(e *Event, i *Instance) { i.File(e).SetFilter("n < 1000") },
		"no filter":   func(e *Event, i *Instance) { i.File(e).SetFilter("n == 1"); i.File(e).SetFilter("0") },
		"trigger":     func(e *Event, i *Instance) { i.File(e).SetTrigger("traceoff if n > 3000") },
		"disabled":    func(e *Event, i *Instance) { i.File(e).Enable(false) },
		"overwritten": func(_ *Event, i *Instance) { i.SetSize(AllCPUs, 8) },
		"dropped":     func(_ *Event, i *Instance) { i.SetSize(AllCPUs, 8); i.SetOption("overwrite", false) },
		"a sink":      func(e *Event, _ *Instance) { e.Subscribe(&Sink{Record: func(Task, *amd64.Frame, []byte) {}}) },
	}
	for name, setup := range setups {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var times [2]uint64
			direct := 0
			short, long := shortEvent(t, func() uint64 { return times[0] }), shortEvent(t, func() uint64 { return times[1] })
			setup(short, short.registry.Top())
			setup(long, long.registry.Top())
			for range 2000 {
				step := uint64(random.IntN(1000))
				if random.IntN(100) == 0 {
					step <<= 24
				}
				times[0], times[1] = times[0]+step, times[1]+step
				first, rest := uint64(random.IntN(4000)), Words{random.Uint64(), random.Uint64(), 3, 4, 5, 6}
				count := random.IntN(len(rest) + 1)
				if short.StoreShort(times[0], 5, 0, first, &rest, ShortWords(count)) {
					direct++
				} else {
					short.RecordShort(benchThread{}, nil, first, &rest, ShortWords(count))
				}
				record := binary.LittleEndian.AppendUint64(make([]byte, CommonSize), first)
				for _, word := range rest[:count] {
					record = binary.LittleEndian.AppendUint64(record, word)
				}
				long.Record(benchThread{}, nil, record)
			}
			if got, want := short.registry.SavedNames(), long.registry.SavedNames(); got != want {
				t.Errorf("the names are %q, want %q", got, want)
			}
			if got, want := short.registry.Top().Counts(0), long.registry.Top().Counts(0); got != want {
				t.Errorf("the counts are %s, want %s", got, want)
			}
			if got, want := contents(short), contents(long); got != want {
				t.Errorf("the records differ: %d bytes of text, want %d", len(got), len(want))
			}
			if plain := name == "nothing" || name == "cleared" || name == "no filter"; plain != (direct > 1500) && name != "overwritten" && name != "dropped" {
				t.Errorf("%d records were stored directly", direct)
			}
		})
	}
}

// TestRenamedThreadIsNotedAgain: the text of a record has the name that the thread has when
// the record is stored.
func TestRenamedThreadIsNotedAgain(t *testing.T) {
	e := shortEvent(t, func() uint64 { return 1 })
	var rest Words
	e.RecordShort(benchThread{}, nil, 1, &rest, ShortWords(0))
	if !e.StoreShort(1, 5, 0, 2, &rest, ShortWords(0)) {
		t.Error("the record of a thread that was noted is not stored directly")
	}
	e.registry.Renamed()
	if e.StoreShort(1, 5, 0, 3, &rest, ShortWords(0)) {
		t.Error("the record of a thread that was renamed is stored before it was noted")
	}
}

// TestShortRecordsAreReadOrCounted stores records from several goroutines into one ring while
// others read it, wait for it, resize it and pause it. Each record that is stored is read or
// counted as lost, and has the words that belong together.
func TestShortRecordsAreReadOrCounted(t *testing.T) {
	var clock atomic.Uint64
	e := shortEvent(t, func() uint64 { return clock.Add(1) })
	i := e.registry.Top()
	const writers, each = 3, 5000
	var writing sync.WaitGroup
	for n := range writers {
		writing.Go(func() {
			for m := range uint64(each) {
				first := uint64(n)<<32 | m
				rest := Words{^first}
				if !e.StoreShort(clock.Add(1), 5, 0, first, &rest, ShortWords(1)) {
					e.RecordShort(benchThread{}, nil, first, &rest, ShortWords(1))
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	read, lost := uint64(0), uint64(0)
	var next [writers]uint64
	take := func() bool {
		record, _, missed, ok := i.rings[0].consume(nil)
		lost += missed
		if !ok {
			return false
		}
		read++
		first, word := binary.LittleEndian.Uint64(record[CommonSize:]), binary.LittleEndian.Uint64(record[CommonSize+8:])
		n, m := first>>32, first&(1<<32-1)
		if len(record) != 24 || word != ^first || n >= writers || m < next[n] {
			t.Fatalf("the record is %x, after number %d", record, next[n])
		}
		next[n] = m + 1
		return true
	}
	for turn := 0; ; turn++ {
		select {
		case <-done:
			for take() {
			}
			if read+lost != writers*each {
				t.Errorf("%d records were read and %d lost, of %d", read, lost, writers*each)
			}
			return
		default:
		}
		switch turn % 50 {
		case 0:
			i.SetSize(AllCPUs, uint64(8+turn%3*8))
		case 10:
			e.registry.Renamed()
		case 20:
			i.rings[0].ready(fullPages, 1)
		case 30:
			i.rings[0].ready(anyRecords, 0)
		}
		take()
	}
}
