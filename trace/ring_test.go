package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/wait"
)

// fakeClock counts by a step.
type fakeClock struct{ now, step uint64 }

func (c *fakeClock) read() uint64 {
	c.now += c.step
	return c.now
}

// numbered returns a record with a number and a length.
func numbered(n, length int) []byte {
	record := make([]byte, length)
	binary.LittleEndian.PutUint32(record, uint32(n))
	return record
}

func testRing(pages int) *ring { return newRing(pages, new(wait.Queue)) }

// decode parses a page as libtraceevent does, and returns the records with their times.
func decode(t *testing.T, page []byte) (records [][]byte, times []uint64, lost uint64) {
	t.Helper()
	stamp, commit := binary.LittleEndian.Uint64(page), binary.LittleEndian.Uint64(page[8:])
	size := int(commit & 0xfffff)
	if commit&(1<<31) != 0 {
		lost = ^uint64(0)
		if commit&(1<<30) != 0 {
			lost = binary.LittleEndian.Uint64(page[16+size:])
		}
	}
	data := page[16 : 16+size]
	for len(data) > 0 {
		header := binary.LittleEndian.Uint32(data)
		kind, delta := header&31, uint64(header>>5)
		data = data[4:]
		var length int
		switch {
		case kind == 30:
			stamp += delta | uint64(binary.LittleEndian.Uint32(data))<<27
			data = data[4:]
			continue
		case kind == 0:
			length = int(binary.LittleEndian.Uint32(data)) - 4
			data = data[4:]
		case kind <= 28:
			length = int(kind) * 4
		default:
			t.Fatalf("an entry of type %d", kind)
		}
		stamp += delta
		records, times = append(records, data[:length]), append(times, stamp)
		data = data[length:]
	}
	return records, times, lost
}

func TestPagesHaveLinuxFormat(t *testing.T) {
	for _, step := range []uint64{1, 1000, 1<<27 - 1, 1 << 27, 1 << 40} {
		r, clock := testRing(8), &fakeClock{step: step}
		lengths := []int{8, 12, 16, 100, 112, 113, 1000, MaxRecord - 4000, 9}
		for n, length := range lengths {
			if !r.write(clock.read, numbered(n, length)) {
				t.Fatal("a record was not stored")
			}
		}
		var page [PageSize]byte
		n := 0
		for r.readPage(page[:], pageRoom, anyRecords, 0) == nil {
			records, times, _ := decode(t, page[:])
			for i, record := range records {
				want := numbered(n, lengths[n])
				if !bytes.HasPrefix(record, want) || len(record) > len(want)+8 || times[i] != uint64(n+1)*step {
					t.Fatalf("step %d, record %d: %d bytes at %d", step, n, len(record), times[i])
				}
				n++
			}
		}
		if n != len(lengths) {
			t.Errorf("step %d: %d records of %d", step, n, len(lengths))
		}
	}
}

func TestGreatestRecordFits(t *testing.T) {
	r, clock := testRing(2), &fakeClock{step: 1 << 30}
	for range 3 {
		if !r.write(clock.read, make([]byte, MaxRecord)) {
			t.Fatal("it was not stored")
		}
	}
	if _, _, ok := r.peek(nil); !ok {
		t.Error("it cannot be read")
	}
}

// TestEveryRecordIsReadOrCounted writes and reads at random, in the four ways to read, and
// expects that each record is read once, in order, or is counted as lost.
func TestEveryRecordIsReadOrCounted(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		r, clock := testRing(2+random.IntN(4)), &fakeClock{step: 1 + random.Uint64N(1<<28)}
		r.setOverwrite(random.IntN(3) > 0)
		overwrite := r.overwrite
		written, next := 0, 0
		var page [PageSize]byte
		see := func(record []byte, lost uint64) {
			n := int(binary.LittleEndian.Uint32(record))
			if lost == ^uint64(0) && n > next {
				next = n // the page has no room for the number
			} else {
				next += int(lost)
			}
			if n != next {
				t.Fatalf("seed %d: record %d in place of %d", seed, n, next)
			}
			next++
		}
		for range 400 {
			switch random.IntN(8) {
			case 0, 1, 2, 3:
				for range random.IntN(60) {
					if r.write(clock.read, numbered(written, 8+random.IntN(200))) {
						written++
					} else if overwrite {
						t.Fatalf("seed %d: a record was dropped", seed)
					}
				}
			case 4:
				if record, _, lost, ok := r.consume(nil); ok {
					see(record, lost)
				}
			case 5:
				whole := whole(random.IntN(2) == 0)
				if r.readPage(page[:], 300+random.IntN(pageRoom), whole, 1) == nil {
					records, _, lost := decode(t, page[:])
					for i, record := range records {
						if i > 0 {
							lost = 0
						}
						see(record, lost)
					}
				}
			case 6:
				listed, last := int64(0), next-1
				for at := (place{}); ; {
					record, _, after, ok := r.browse(at, nil)
					if !ok {
						break
					}
					n := int(binary.LittleEndian.Uint32(record))
					if n <= last {
						t.Fatalf("seed %d: the list has record %d after %d", seed, n, last)
					}
					at, last, listed = after, n, listed+1
				}
				if c := r.counts(); listed != c.entries {
					t.Fatalf("seed %d: the list has %d records of %d", seed, listed, c.entries)
				}
			case 7:
				if random.IntN(20) == 0 && overwrite {
					r.resize(2+random.IntN(6), nil)
				}
			}
			c := r.counts()
			if int64(written) != c.entries+c.read+c.overrun || c.bytes < 0 {
				t.Fatalf("seed %d: %d written, and the counts are %+v", seed, written, c)
			}
			if have := len(r.free) + r.used.length(); have != r.size {
				t.Fatalf("seed %d: %d pages of %d", seed, have, r.size)
			}
		}
	}
}

func TestReaderIsWokenForRecordsAndForFullPages(t *testing.T) {
	r, clock := testRing(8), &fakeClock{step: 1}
	var wakeUps atomic.Int32
	w := &wait.Waiter{Mask: wait.Readable, Notify: func(*wait.Waiter, wait.Events) { wakeUps.Add(1) }}
	r.queue.Add(w)
	defer r.queue.Remove(w)
	// settled waits until there were so many wake-ups, which another goroutine does, and
	// then for those that must not come.
	settled := func(want int32) int32 {
		for start := time.Now(); wakeUps.Load() < want && time.Since(start) < 5*time.Second; {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Millisecond)
		return wakeUps.Load()
	}
	write := func(records int) {
		for range records {
			r.write(clock.read, make([]byte, 1000))
		}
	}
	if write(1); settled(0) != 0 {
		t.Error("woken without a reader that waits")
	}
	if r.ready(fullPages, 3) {
		t.Error("ready without full pages")
	}
	if write(8); settled(0) != 0 { // two full pages of four records
		t.Error("woken for two full pages")
	}
	if write(4); settled(1) != 1 {
		t.Errorf("woken %d times for three full pages", wakeUps.Load())
	}
	var page [PageSize]byte
	for r.readPage(page[:], pageRoom, anyRecords, 0) == nil {
	}
	if write(3); settled(2) != 2 {
		t.Errorf("woken %d times: one record must wake once", wakeUps.Load()-1)
	}
}

// FuzzPages: the entries of a page are read back, whatever lengths and times they have.
func FuzzPages(f *testing.F) {
	f.Add([]byte{8, 0, 0, 0, 112, 0, 0, 200, 4, 1, 2, 3})
	f.Fuzz(func(t *testing.T, script []byte) {
		p, now := newPages(1)[0], uint64(0)
		var want []string
		for ; len(script) >= 4; script = script[4:] {
			length := 8 + int(binary.LittleEndian.Uint16(script))%(MaxRecord-8)
			now += uint64(script[2]) << (script[3] % 40)
			if record := numbered(len(want), length); p.put(now, record) {
				want = append(want, fmt.Sprint(now, len(want)))
			}
		}
		var c cursor
		for _, w := range want {
			e, ok := c.next(p)
			if !ok || fmt.Sprint(e.time, binary.LittleEndian.Uint32(e.record)) != w {
				t.Fatalf("%v %v, want %s", e.time, ok, w)
			}
		}
		if _, more := c.next(p); more {
			t.Error("there are more entries")
		}
	})
}

func TestShortReadOfAPageIsAnError(t *testing.T) {
	r, clock := testRing(2), &fakeClock{step: 1}
	var page [PageSize]byte
	if err := r.readPage(page[:], pageRoom, anyRecords, 0); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("an empty ring: %v", err)
	}
	r.write(clock.read, make([]byte, 500))
	if err := r.readPage(page[:], 100, anyRecords, 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a limit that is too small: %v", err)
	}
}

// TestReadersOfOnePipeShareTheRecords lets two readers consume the same records.
func TestReadersOfOnePipeShareTheRecords(t *testing.T) {
	registry, err := NewRegistry(Config{CPUs: 1, CPU: func() int { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	const records = 20000
	i := registry.Top()
	if err := i.SetSize(AllCPUs, 4096); err != nil {
		t.Fatal(err)
	}
	for n := range records {
		i.rings[0].write(func() uint64 { return uint64(n) }, binary.LittleEndian.AppendUint64(make([]byte, CommonSize), uint64(n)))
	}
	var wg sync.WaitGroup
	var lines atomic.Int64
	for range 2 {
		wg.Go(func() {
			for p := i.NewPipe(AllCPUs); ; {
				_, err := p.Read(func(text []byte) (int, error) {
					lines.Add(int64(bytes.Count(text, []byte("\n"))))
					return len(text), nil
				})
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if lines.Load() != records {
		t.Errorf("%d records were read, want %d", lines.Load(), records)
	}
}

func TestInstanceIsRemovedOnce(t *testing.T) {
	registry, err := NewRegistry(Config{CPUs: 1, CPU: func() int { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	i, err := registry.NewInstance("one")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []error{nil, unix.ENOENT} {
		if err := registry.RemoveInstance(i); err != want {
			t.Errorf("RemoveInstance: %v, want %v", err, want)
		}
	}
}
