package trace

import (
	"encoding/binary"
	"sync"

	"slowpath/arch/amd64"
)

// Words are the words of a short record after the first one.
type Words [6]uint64

// shortBytes is the greatest size of a short record in bytes: the common fields, the first
// word and Words.
const shortBytes = CommonSize + 8 + 8*len(Words{})

// shorts has buffers that no call of RecordShort uses.
var shorts = sync.Pool{New: func() any { return new([shortBytes]byte) }}

// refreshDirect updates direct after a change of what soleInstance depends on. The registry is
// locked.
func (e *Event) refreshDirect() { e.direct.Store(e.soleInstance()) }

// soleInstance returns the instance that stores every record of the event, if that is all that is
// to do with a record, else nil. The registry is locked.
func (e *Event) soleInstance() *Instance {
	u := e.users.Load()
	if u == nil || len(u.files) != 1 || len(u.sinks) > 0 || !u.files[0].isPlain() {
		return nil
	}
	return u.files[0].instance
}

// StoreShort is Record for a short record, if it is stored in one instance and nothing else
// is to do. Otherwise it does nothing and reports false: the caller then calls RecordShort.
// The record has the common fields, the word first, and count words of rest. tid is the id of
// the thread, and cpu is the CPU that the record is for, which may differ from the one that
// runs the caller.
//
// It is one function, and holds the ring's lock without a deferred release, because its
// instructions are counted. The record is stored if it is not the first of its page, its
// time is not far from that of the one before it, and the page has room for all Words, which
// are copied at once. What follows the record is overwritten by the next one.
func (e *Event) StoreShort(tid, cpu int, first uint64, rest *Words, count int) bool {
	const room = entryHeader + shortBytes
	i := e.direct.Load()
	if i == nil {
		return false
	}
	if i.obstacles.Load() != 0 || e.registry.threads.noted[cpu].Load() != defaultNoted|uint64(uint32(tid)) {
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
	binary.LittleEndian.PutUint32(area, uint32(delta)<<typeBits|uint32(count+2)*2)
	binary.LittleEndian.PutUint64(area[entryHeader:], uint64(e.id)|uint64(uint32(tid))<<32) // as putCommon
	binary.LittleEndian.PutUint64(area[entryHeader+8:], first)
	binary.LittleEndian.PutUint64(area[entryHeader+16:], rest[0])
	if count > 1 {
		binary.LittleEndian.PutUint64(area[entryHeader+24:], rest[1])
		binary.LittleEndian.PutUint64(area[entryHeader+32:], rest[2])
		binary.LittleEndian.PutUint64(area[entryHeader+40:], rest[3])
		binary.LittleEndian.PutUint64(area[entryHeader+48:], rest[4])
		binary.LittleEndian.PutUint64(area[entryHeader+56:], rest[5])
	}
	p.end = int(at) + entryHeader + (count+2)*8
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

// RecordShort is Record for a short record: see StoreShort. f need not be complete: see
// Frame.Settle.
func (e *Event) RecordShort(t Task, f *amd64.Frame, first uint64, rest *Words, count int) {
	u := e.users.Load()
	if u == nil {
		return
	}
	if f != nil && len(u.sinks) > 0 {
		f.Settle()
	}
	record := shorts.Get().(*[shortBytes]byte) // not the caller's stack, because sinks are not known
	putCommon(record[:], e.id, t.TID())
	binary.LittleEndian.PutUint64(record[CommonSize:], first)
	for i, word := range rest {
		binary.LittleEndian.PutUint64(record[CommonSize+8+8*i:], word)
	}
	e.deliver(u, t, f, record[:CommonSize+8+8*count])
	shorts.Put(record) // after a panic it is left to the collector
}
