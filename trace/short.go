package trace

import (
	"encoding/binary"
	"sync"

	"slowpath/arch/amd64"
)

// Words are the words of a short record after the first one.
type Words [6]uint64

// ShortLength is the length of a short record in its header: in units of 4 bytes.
type ShortLength int

// ShortWords returns the length of a record with count words of Words.
func ShortWords(count int) ShortLength { return ShortLength(CommonSize+8+8*count) / 4 }

// bytes returns the length in bytes.
func (l ShortLength) bytes() int { return int(l) * 4 }

// shortBytes is the greatest size of a short record in bytes: the common fields, the first
// word and Words.
const shortBytes = CommonSize + 8 + 8*len(Words{})

// shorts has buffers that no call of RecordShort uses.
var shorts = sync.Pool{New: func() any { return new([shortBytes]byte) }}

// refreshDirect updates direct after a change of what soleInstance depends on. The registry is
// locked.
func (e *Event) refreshDirect() { e.direct.Store(e.soleInstance()) }

// soleInstance returns the instance that stores every record of the event, if that is all that is
// to do with a record, else nil. It is nil without a clock that follows from the TSC. The registry
// is locked.
func (e *Event) soleInstance() *Instance {
	u := e.users.Load()
	if e.registry.config.TSC.Scale == 0 || u == nil || len(u.files) != 1 || len(u.sinks) > 0 || !u.files[0].isPlain() {
		return nil
	}
	return u.files[0].instance
}

// StoreShort is Record for a short record, if it is stored in one instance and nothing else
// is to do. Otherwise it does nothing and reports false: the caller then calls RecordShort.
// The record has the common fields, the word first, and words of rest. tsc is the time of
// the event (amd64.TSC), tid is the id of the thread, and cpu is the CPU that the record is
// for, which may differ from the one that runs the caller.
//
// It is one function, and holds the ring's lock without a deferred release, because its
// instructions are counted. The caller reads the TSC, because a call within this function
// would make it save all its variables. All Words are copied at once; what follows the record
// is overwritten by the next one.
func (e *Event) StoreShort(tsc uint64, tid, cpu int, first uint64, rest *Words, length ShortLength) bool {
	i, g, n := e.direct.Load(), e.registry, uint(cpu)%amd64.MaxCPUs
	if i == nil {
		return false
	}
	if i.obstacles.Load() != 0 {
		return false
	}
	if g.threads.noted[n].Load() != uint64(uint32(tid)) {
		return false
	}
	r, time := i.direct[n], g.config.TSC.at(tsc)
	if !r.mu.TryLock() {
		return false // RecordShort waits
	}
	p := r.last
	at, delta := uint(p.end), time-p.last
	if at-1 >= uint(pageRoom-shortRoom) || delta > maxDelta {
		return e.turnPage(r, time, tid, first, rest, length)
	}
	area := p.data[pageHeader+at:][:shortRoom]
	binary.LittleEndian.PutUint32(area, uint32(delta)<<typeBits|uint32(length))
	binary.LittleEndian.PutUint64(area[entryHeader:], uint64(e.id)|uint64(uint32(tid))<<32) // as putCommon
	binary.LittleEndian.PutUint64(area[entryHeader+8:], first)
	binary.LittleEndian.PutUint64(area[entryHeader+16:], rest[0])
	if length > shortOne {
		binary.LittleEndian.PutUint64(area[entryHeader+24:], rest[1])
		binary.LittleEndian.PutUint64(area[entryHeader+32:], rest[2])
		binary.LittleEndian.PutUint64(area[entryHeader+40:], rest[3])
		binary.LittleEndian.PutUint64(area[entryHeader+48:], rest[4])
		binary.LittleEndian.PutUint64(area[entryHeader+56:], rest[5])
	}
	p.end = int(at) + entryHeader + length.bytes()
	p.last = time
	p.entries++
	if r.waitsAny {
		r.waitsAny = false
		r.mu.Unlock()
		r.wakeReaders()
		return true
	}
	r.mu.Unlock()
	return true
}

// shortOne is the length of a record with one word of Words.
const shortOne ShortLength = (CommonSize + 8 + 8) / 4

// shortRoom is the room for the entry of the longest short record.
const shortRoom = entryHeader + shortBytes

// turnPage is the rest of StoreShort for a record that is the first of its page, or for which the
// page may have no room. r.mu is held, and is released.
func (e *Event) turnPage(r *ring, time uint64, tid int, first uint64, rest *Words, length ShortLength) bool {
	defer r.mu.Unlock()
	p, size := r.last, length.bytes()
	if r.waitsAny || r.waitsFull || time < p.last {
		return false
	}
	var record [shortBytes]byte
	putShort(&record, e.id, tid, first, rest)
	if p.put(time, record[:size]) {
		return true
	}
	p = r.advance()
	return p != nil && p.put(time, record[:size])
}

// putShort makes a short record.
func putShort(record *[shortBytes]byte, id, tid int, first uint64, rest *Words) {
	putCommon(record[:], id, tid)
	binary.LittleEndian.PutUint64(record[CommonSize:], first)
	for i, word := range rest {
		binary.LittleEndian.PutUint64(record[CommonSize+8+8*i:], word)
	}
}

// RecordShort is Record for a short record: see StoreShort. f need not be complete: see
// Frame.Settle.
func (e *Event) RecordShort(t Task, f *amd64.Frame, first uint64, rest *Words, length ShortLength) {
	u := e.users.Load()
	if u == nil {
		return
	}
	if f != nil && len(u.sinks) > 0 {
		f.Settle()
	}
	record := shorts.Get().(*[shortBytes]byte) // not the caller's stack, because sinks are not known
	putShort(record, e.id, t.TID(), first, rest)
	e.deliver(u, t, f, record[:length.bytes()])
	shorts.Put(record) // after a panic it is left to the collector
}
