package trace

import (
	"encoding/binary"
	"sync"

	"slowpath/arch/amd64"
)

// Short is the buffer of a record for Event.RecordShort.
type Short [64]byte

// shorts has buffers that no call of RecordShort uses.
var shorts = sync.Pool{New: func() any { return new(Short) }}

// RecordShort is Record for the first size bytes of a buffer: at least CommonSize+8, and a
// multiple of 4. It costs less if the event has one user, an instance that stores every
// record. tid is the id of the thread, and cpu is the CPU that the record is for, which may
// differ from the one that runs the caller. f need not be complete: see Frame.Settle.
func (e *Event) RecordShort(t Task, f *amd64.Frame, tid, cpu int, record *Short, size int) {
	u := e.users.Load()
	if u == nil {
		return
	}
	binary.LittleEndian.PutUint64(record[:], uint64(e.id)|uint64(uint32(tid))<<32) // as putCommon
	if one := u.only; one != nil && one.plain.Load() && one.instance.storeShort(cpu, tid, record, size) {
		return
	}
	e.recordCopy(u, t, f, record, size)
}

// recordCopy gives a copy of the record to the users. A copy, because the sinks are not
// known, and the caller's buffer would be in the heap for them.
func (e *Event) recordCopy(u *users, t Task, f *amd64.Frame, record *Short, size int) {
	if f != nil && len(u.sinks) > 0 {
		f.Settle()
	}
	short := shorts.Get().(*Short)
	*short = *record
	e.deliver(u, t, f, short[:size])
	shorts.Put(short) // after a panic it is left to the collector
}

// putShort appends a record, if the common case applies: it is not the first of its page,
// its time is not far from that of the one before it, and the page has room for a whole
// Short, which is copied at once. What follows the record is overwritten by the next one.
func (r *ring) putShort(time uint64, record *Short, size int) (stored, wake bool) {
	const room = entryHeader + len(Short{})
	r.mu.Lock()
	p := r.last
	at, delta := uint(p.end), time-p.last
	if at-1 >= pageRoom-uint(room) || delta > maxDelta {
		r.mu.Unlock()
		return false, false
	}
	area := (*[room]byte)(p.data[pageHeader+at:][:room])
	binary.LittleEndian.PutUint32(area[:], uint32(delta)<<typeBits|uint32(size)/4)
	*(*Short)(area[entryHeader:]) = *record
	p.end = int(at) + entryHeader + size
	p.last = time
	p.entries++
	wake = r.waitsAny
	r.waitsAny = false
	r.mu.Unlock()
	return true, wake
}
