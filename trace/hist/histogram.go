package hist

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"runtime"
	"sync"
)

// Sample is an event that is counted.
type Sample struct {
	Record []byte
	CPU    int
	// TID and Comm are of the thread in which the event happens.
	TID  int
	Comm string
	// Time is the trace clock, and Nanoseconds says whether that is its unit.
	Time        uint64
	Nanoseconds bool

	time uint64 // in the unit of the histogram
}

// Histogram is the map of one trigger, or of several with the same name. It is safe for
// concurrent use. Its memory is allocated by New, so Add allocates nothing.
type Histogram struct {
	spec *Spec
	seed maphash.Seed

	mu           sync.Mutex // guards the fields below
	table        []uint32   // open addressing: 1 plus the number of an entry, or 0
	keys         []byte     // of the entries, keyBytes each
	sums         []uint64   // of the entries, the hit count first
	comms        []byte     // of the entries, commSize each, if the spec needs them
	used         int        // entries
	hits, drops  uint64
	scratch      [maxKeyBytes]byte
	scratchStack [stackDepth]uintptr
}

// commSize is TASK_COMM_LEN.
const commSize = 16

// entries returns the number of entries that the histogram may have.
func (s *Spec) entries() int { return 1 << s.bits }

// sumsPerEntry returns the number of sums, with the hit count.
func (s *Spec) sumsPerEntry() int { return 1 + len(s.values) }

// Bytes returns how much memory New allocates.
func (s *Spec) Bytes() int64 {
	each := 2*4 + s.keyBytes + 8*s.sumsPerEntry()
	if s.names {
		each += commSize
	}
	return int64(s.entries()) * int64(each)
}

// New returns an empty histogram.
func New(s *Spec) *Histogram {
	n := s.entries()
	h := &Histogram{spec: s, seed: maphash.MakeSeed(), table: make([]uint32, 2*n), keys: make([]byte, n*s.keyBytes), sums: make([]uint64, n*s.sumsPerEntry())}
	if s.names {
		h.comms = make([]byte, n*commSize)
	}
	return h
}

// Spec returns what the histogram counts.
func (h *Histogram) Spec() *Spec { return h.spec }

// Add counts an event. It does not sleep.
func (h *Histogram) Add(s *Sample) {
	s.time = s.Time
	if h.spec.usecs && s.Nanoseconds {
		s.time /= 1000
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	entry, ok := h.find(h.key(s))
	if !ok {
		h.drops++
		return
	}
	h.hits++
	if entry == h.used {
		h.used++
		h.setComm(entry, s)
	}
	sums := h.sums[entry*h.spec.sumsPerEntry():][:h.spec.sumsPerEntry()]
	sums[0]++
	for i, o := range h.spec.values {
		sums[1+i] += o.value(s)
	}
}

// key returns the key of an event, in the scratch area. h.mu is held.
func (h *Histogram) key(s *Sample) []byte {
	key := h.scratch[:h.spec.keyBytes]
	clear(key)
	for _, o := range h.spec.keys {
		area := key[o.at:][:o.width]
		switch {
		case o.kind == stackSource:
			const own = 6 // functions of tracing above the event
			n := runtime.Callers(own, h.scratchStack[:])
			for i, pc := range h.scratchStack[:n] {
				binary.LittleEndian.PutUint64(area[8*i:], uint64(pc))
			}
		case o.isText():
			copy(area[:o.width-1], o.field.Text(s.Record))
		default:
			binary.LittleEndian.PutUint64(area, o.value(s))
		}
	}
	return key
}

// find returns the entry of a key, which is h.used for a new one. It reports false if there is
// no room. h.mu is held.
func (h *Histogram) find(key []byte) (entry int, ok bool) {
	mask := uint64(len(h.table) - 1)
	for at := maphash.Bytes(h.seed, key) & mask; ; at = (at + 1) & mask {
		n := int(h.table[at])
		switch {
		case n == 0 && h.used == h.spec.entries():
			return 0, false
		case n == 0:
			h.table[at] = uint32(h.used + 1)
			copy(h.keys[h.used*h.spec.keyBytes:], key)
			return h.used, true
		case bytes.Equal(h.keys[(n-1)*h.spec.keyBytes:][:h.spec.keyBytes], key):
			return n - 1, true
		}
	}
}

// setComm keeps the name of the thread of a new entry. h.mu is held.
func (h *Histogram) setComm(entry int, s *Sample) {
	if !h.spec.names {
		return
	}
	comm := s.Comm
	if s.TID == 0 {
		comm = "<idle>"
	}
	copy(h.comms[entry*commSize:][:commSize-1], comm)
}

// Clear removes all entries.
func (h *Histogram) Clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.table)
	clear(h.sums)
	clear(h.keys)
	clear(h.comms)
	h.used, h.hits, h.drops = 0, 0, 0
}
