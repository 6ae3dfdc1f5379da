package perf

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task"
)

// Ring is the buffer of events that a program maps (perf_event_open(2), "MMAP layout"):
// a page with the positions, and 2^n pages of records. The kernel owns the head, and
// keeps it outside of the pages; from the pages it reads only the tail.
//
// The pages are charged to the user who maps them first: perf_event_mlock_kb for each
// CPU, then RLIMIT_MEMLOCK. The ring is freed with the last event that writes to it.
type Ring struct {
	perf  *Perf
	pages *mm.Special
	uid   uint32
	size  uint64 // of the records, in bytes
	// overwrites is set if the program maps the buffer without PROT_WRITE: old records
	// are then lost, not new ones.
	overwrites atomic.Bool
	paused     atomic.Bool // PERF_EVENT_IOC_PAUSE_OUTPUT

	references atomic.Int32
	wakeup     atomic.Bool

	mu   sync.Mutex
	head uint64
	lost uint64 // records since the last one that was written
	// woken is the head at the last wake-up, events the records since then.
	woken, events uint64
}

// Offsets in the first page, struct perf_event_mmap_page.
const (
	pageOffset       = 16   // int64: what to add to the hardware counter
	pageTimeEnabled  = 24   // uint64
	pageTimeRunning  = 32   // uint64
	pageHeaderSize   = 72   // uint32
	pageHead         = 1024 // uint64
	pageTail         = 1032 // uint64
	pageDataOffset   = 1040 // uint64
	pageDataSize     = 1048 // uint64
	knownHeaderBytes = 96
)

// newRing allocates a ring with this many pages of records. Errors: EPERM if the user
// has no room, ENOMEM.
func (p *Perf) newRing(t *task.Task, pages int) (*Ring, error) {
	uid := t.Credentials().UID
	if err := p.charge(t, uid, pages+1); err != nil {
		return nil, err
	}
	special, err := p.memory.NewSpecial(pages + 1)
	if err != nil {
		p.accounts.Charge(uid, fs.PerfPages, -int64(pages+1))
		return nil, err
	}
	r := &Ring{perf: p, pages: special, uid: uid, size: uint64(pages) * mm.PageSize}
	r.references.Store(1)
	header := special.Bytes(0)
	binary.LittleEndian.PutUint32(header[pageHeaderSize:], knownHeaderBytes)
	special.StoreUint64(pageDataOffset, mm.PageSize)
	special.StoreUint64(pageDataSize, r.size)
	return r, nil
}

// charge charges pages to the user (Linux: perf_mmap). A privileged caller is not
// limited.
func (p *Perf) charge(t *task.Task, uid uint32, pages int) error {
	held := p.accounts.Charge(uid, fs.PerfPages, int64(pages))
	free := p.settings.PerfEventMlockKB.Get() * 1024 / mm.PageSize * int64(p.kernel.CPUs())
	limit := t.Group().Limits.Soft(unix.RLIMIT_MEMLOCK) / mm.PageSize
	if over := held - free; over > 0 && uint64(over) > limit && !t.Credentials().Has(cred.IPCLock) && p.settings.PerfEventParanoid.Get() > -1 {
		p.accounts.Charge(uid, fs.PerfPages, -int64(pages))
		return unix.EPERM
	}
	return nil
}

func (r *Ring) bytes() int64 { return int64(r.pages.Pages()) * mm.PageSize }

// put drops a reference. The last one frees the pages: no mapping is left then, because
// each holds the file of an event.
func (r *Ring) put() {
	if r.references.Add(-1) > 0 {
		return
	}
	r.perf.accounts.Charge(r.uid, fs.PerfPages, -int64(r.pages.Pages()))
	r.pages.Free()
}

// hold adds a reference, unless the ring was freed.
func (r *Ring) hold() bool {
	for {
		n := r.references.Load()
		if n == 0 {
			return false
		}
		if r.references.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// MappingOf implements fs.SizedMapping: it makes the ring, or returns the one that the
// event has. The size is one page and a power of two of pages. Errors: EINVAL; EPERM and
// ENOMEM of newRing.
func (e *Event) MappingOf(caller fs.Caller, m fs.MappingShape) (mm.Mappable, error) {
	t, ok := caller.(*task.Task)
	pages := int64(m.Length/mm.PageSize) - 1
	if !ok || !m.Shared || m.Offset != 0 || pages < 0 || pages&(pages-1) != 0 || m.Length%mm.PageSize != 0 {
		return nil, unix.EINVAL
	}
	if e.cpu == -1 && e.attr.Has(unix.PerfBitInherit) {
		return nil, unix.EINVAL // several CPUs would write to one buffer (Linux: perf_mmap)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.ring.Load(); r != nil {
		if r.size == uint64(pages)*mm.PageSize {
			return r.pages, nil
		}
		if r.pages.Mappings().Mapped() || r.references.Load() > 1 {
			return nil, unix.EINVAL
		}
	}
	r, err := e.perf.newRing(t, int(pages))
	if err != nil {
		return nil, err
	}
	r.overwrites.Store(!m.Writable)
	e.updatePage(r)
	e.setRing(r)
	return r.pages, nil
}

// shareRing makes the event write to the ring of another event
// (PERF_EVENT_IOC_SET_OUTPUT). Errors: EINVAL as on Linux.
func (e *Event) shareRing(output *Event) error {
	if output == e || output.cpu != e.cpu || e.cpu == -1 && !sameTask(e, output) || e.attr.Clockid != output.attr.Clockid {
		return unix.EINVAL
	}
	r := output.ring.Load()
	if r != nil && !r.hold() {
		return unix.EINVAL
	}
	err := e.replaceRing(r)
	if err != nil && r != nil {
		r.put()
	}
	return err
}

// replaceRing replaces the ring, which may be nil; r has a reference. Error: EINVAL if the
// old ring is mapped: its pages stay as long as an event has it.
func (e *Event) replaceRing(r *Ring) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.ring.Load(); old != nil && old.pages.Mappings().Mapped() {
		return unix.EINVAL
	}
	e.setRing(r)
	return nil
}

// sameTask reports whether two events count for the same tasks.
func sameTask(a, b *Event) bool {
	if a.wide || b.wide {
		return a.wide == b.wide
	}
	for _, t := range a.countedTasks() { // with one of the two locks at a time
		if !b.countsFor(t) {
			return false
		}
	}
	return true
}

// countedTasks returns the tasks for which the event counts.
func (e *Event) countedTasks() []*task.Task {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Keys(e.tasks))
}

// setRing replaces the ring; r has a reference.
func (e *Event) setRing(r *Ring) {
	if old := e.ring.Swap(r); old != nil {
		old.put()
	}
}

// updatePage stores count and times in the first page for programs that read them there.
func (e *Event) updatePage(r *Ring) {
	r.pages.StoreUint64(pageOffset, e.count.Load())
	time := uint64(e.time + e.runningTime())
	r.pages.StoreUint64(pageTimeEnabled, time)
	r.pages.StoreUint64(pageTimeRunning, time)
}

// takeWakeup reports whether there was a wake-up since the last call.
func (r *Ring) takeWakeup() bool { return r.wakeup.Swap(false) }

// write appends a record. lostRecord returns the record that reports n lost ones. It
// reports whether the record fits, and whether the readers must wake.
func (r *Ring) write(record []byte, a *Attributes, lostRecord func(n uint64) []byte) (fits, wake bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.paused.Load() || r.size == 0 {
		return false, false
	}
	var first []byte
	if r.lost > 0 {
		first = lostRecord(r.lost)
	}
	if !r.overwrites.Load() {
		used := r.head - r.pages.LoadUint64(pageTail)
		if need := uint64(len(first) + len(record)); used > r.size || r.size-used <= need {
			r.lost++
			return false, false
		}
	}
	r.append(first)
	r.append(record)
	r.lost = 0
	r.pages.StoreUint64(pageHead, r.head)
	r.events++
	if !r.due(a) {
		return true, false
	}
	r.woken, r.events = r.head, 0
	r.wakeup.Store(true)
	return true, true
}

// due reports whether the record that was written last wakes the readers: after
// wakeup_events records, or at wakeup_watermark bytes. The default is half of the ring.
func (r *Ring) due(a *Attributes) bool {
	if a.Wakeup != 0 && !a.Has(unix.PerfBitWatermark) {
		return r.events >= uint64(a.Wakeup)
	}
	watermark := r.size / 2
	if a.Has(unix.PerfBitWatermark) && a.Wakeup != 0 {
		watermark = min(uint64(a.Wakeup), r.size)
	}
	return r.head-r.woken >= watermark
}

// append copies bytes to the head. r.mu is held.
func (r *Ring) append(p []byte) {
	for len(p) > 0 {
		at := r.head % r.size
		n := copy(r.pages.Bytes(1 + int(at/mm.PageSize))[at%mm.PageSize:], p)
		r.head += uint64(n)
		p = p[n:]
	}
}
