package trace

import (
	"encoding/binary"
	"sync"

	"slowpath/arch/amd64"
)

// Short is the buffer of a record for Event.StoreShort: the words of the record, in the
// order of its bytes. The first word is for the common fields.
type Short [8]uint64

// shortBytes is the size of a Short in bytes.
const shortBytes = 8 * len(Short{})

// shorts has buffers that no call of RecordShort uses.
var shorts = sync.Pool{New: func() any { return new([shortBytes]byte) }}

// StoreShort is Record for the first words of a buffer, at least two, if the event has one
// user, an instance that stores every record. Otherwise it does nothing and reports false:
// the caller then calls RecordShort. tid is the id of the thread, and cpu is the CPU that the
// record is for, which may differ from the one that runs the caller.
//
// It is one function, and holds the ring's lock without a deferred release, because its
// instructions are counted. The record is stored if it is not the first of its page, its
// time is not far from that of the one before it, and the page has room for a whole Short,
// which is copied at once. What follows the record is overwritten by the next one.
func (e *Event) StoreShort(tid, cpu int, record *Short, words int) bool {
	const room = entryHeader + shortBytes
	u := e.users.Load()
	if u == nil || u.only == nil || !u.only.plain.Load() {
		return u == nil
	}
	i, s := u.only.instance, &e.registry.threads
	if i.obstacles.Load() != 0 || s.noted[cpu].Load() != s.generation.Load()|uint64(uint32(tid)) {
		return false
	}
	time, r := e.registry.config.Now(), i.rings[cpu]
	r.mu.Lock()
	p := r.last
	at, delta := uint(p.end), time-p.last
	if at-1 >= pageRoom-uint(room) || delta > maxDelta {
		r.mu.Unlock()
		return false
	}
	area := p.data[pageHeader+at:][:room]
	binary.LittleEndian.PutUint32(area, uint32(delta)<<typeBits|uint32(words)*2)
	binary.LittleEndian.PutUint64(area[entryHeader:], uint64(e.id)|uint64(uint32(tid))<<32) // as putCommon
	binary.LittleEndian.PutUint64(area[entryHeader+8:], record[1])
	binary.LittleEndian.PutUint64(area[entryHeader+16:], record[2])
	binary.LittleEndian.PutUint64(area[entryHeader+24:], record[3])
	binary.LittleEndian.PutUint64(area[entryHeader+32:], record[4])
	binary.LittleEndian.PutUint64(area[entryHeader+40:], record[5])
	binary.LittleEndian.PutUint64(area[entryHeader+48:], record[6])
	binary.LittleEndian.PutUint64(area[entryHeader+56:], record[7])
	p.end = int(at) + entryHeader + words*8
	p.last = time
	p.entries++
	if wake := r.waitsAny; wake {
		r.waitsAny = false
		r.mu.Unlock()
		r.wakeReaders()
		return true
	}
	r.mu.Unlock()
	return true
}

// RecordShort is Record for the first words of a buffer. f need not be complete: see
// Frame.Settle.
func (e *Event) RecordShort(t Task, f *amd64.Frame, record *Short, words int) {
	u := e.users.Load()
	if u == nil {
		return
	}
	if f != nil && len(u.sinks) > 0 {
		f.Settle()
	}
	bytes := shorts.Get().(*[shortBytes]byte) // not the caller's stack, because sinks are not known
	for i, word := range record {
		binary.LittleEndian.PutUint64(bytes[8*i:], word)
	}
	putCommon(bytes[:], e.id, t.TID())
	e.deliver(u, t, f, bytes[:8*words])
	shorts.Put(bytes) // after a panic it is left to the collector
}
