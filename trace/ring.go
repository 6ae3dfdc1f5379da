package trace

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/guard"
	"slowpath/mm"
	"slowpath/wait"
)

// ring is the buffer of one CPU. Records are appended to its last page. Readers take the
// first page out and keep it while they read it, as in Linux, so that trace_pipe_raw can
// hand out whole pages.
//
// The pages are kernel memory that whoever may write into tracefs makes grow: only root,
// and mm.Memory.Reserve bounds their number. They belong to the instance, which frees
// them.
type ring struct {
	queue wait.Queue  // readers of the ring
	all   *wait.Queue // readers of all rings of the instance

	mu sync.Mutex // guards the fields below
	ringContents
	// overwrite says that the oldest page is overwritten when all are full. Otherwise new
	// records are dropped.
	overwrite bool

	// waitsAny is set by a reader that waits for a record, waitsFull by one that waits
	// for full pages, at least wanted.
	waitsAny  bool
	waitsFull bool
	wanted    int
}

// ringContents are the pages of a ring with their records, which a snapshot exchanges.
type ringContents struct {
	size int       // pages in used and free together
	used pageQueue // the first is the oldest; the last one is written unless that is reader
	free []*page
	// reader is the page that readers consume, at read. The writer may still be on it,
	// if used is empty.
	reader *page
	read   cursor
	last   *page // the page that is written: the last of used, or reader

	next    uint64 // the sequence of the next page
	overrun uint64 // records overwritten
	dropped uint64 // records dropped
	left    uint64 // records in the pages that the writer has left
	gotten  uint64 // records read
}

// newRing returns a ring with this number of pages and one for the reader. The caller has
// reserved the memory.
func newRing(pages int, all *wait.Queue) *ring {
	r := &ring{all: all, ringContents: ringContents{size: pages, free: newPages(pages), reader: newPages(1)[0]}, overwrite: true}
	r.begin(r.reader)
	return r
}

// written returns the number of records written. r.mu is held.
func (r *ring) written() uint64 { return r.left + uint64(r.last.entries) }

// bytes returns the size of the records that are not read. r.mu is held.
func (r *ring) bytes() int {
	n := r.reader.end - r.read.at
	for i := range r.used.length() {
		n += r.used.at(i).end
	}
	return n
}

// begin empties a page and makes it the one that is written. r.mu is held.
func (r *ring) begin(p *page) {
	p.reset(r.next)
	r.next++
	r.last = p
}

// write appends a record with the time of the clock. It reports whether the record was
// stored.
func (r *ring) write(now func() uint64, record []byte) bool {
	wake, stored := r.append(now, record)
	if wake {
		r.wakeLater()
	}
	return stored
}

// append is write without the wake-up.
func (r *ring) append(now func() uint64, record []byte) (wake, stored bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	time := now()
	began := false
	if !r.last.put(time, record) {
		p := r.advance()
		if p == nil {
			r.dropped++
			return false, false
		}
		began = true
		p.put(time, record) // a record fits into an empty page
	}
	wake = r.waitsAny || r.waitsFull && began && r.full() >= r.wanted
	if wake {
		r.waitsAny, r.waitsFull = false, false
	}
	return wake, true
}

// advance begins the next page and returns it, or nil if there is none. r.mu is held.
func (r *ring) advance() *page {
	if len(r.free) == 0 {
		if !r.overwrite {
			return nil
		}
		oldest := r.used.pop()
		r.overrun += uint64(oldest.entries)
		// The page that is now the first follows the lost records.
		r.used.at(0).lost += oldest.lost + uint64(oldest.entries)
		r.free = append(r.free, oldest)
	}
	p := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	r.left += uint64(r.last.entries)
	r.begin(p)
	r.used.push(p)
	return p
}

// full returns the number of pages that the writer has left and no reader has taken. r.mu
// is held.
func (r *ring) full() int {
	n := r.used.length() - 1
	if n >= 0 && r.read.at < r.reader.end {
		n++
	}
	return max(n, 0)
}

// readerPage makes a page with unread records the reader's page. It reports false if
// there are none. r.mu is held.
func (r *ring) readerPage() bool {
	if r.read.at < r.reader.end {
		return true
	}
	if r.used.length() == 0 {
		return false
	}
	r.free = append(r.free, r.reader)
	r.reader = r.used.pop()
	r.read = cursor{}
	return r.reader.end > 0
}

// peek returns the next record that is not read, without reading it. The record is copied
// into buffer. It reports false if there is none.
func (r *ring) peek(buffer []byte) (record []byte, time uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.readerPage() {
		return nil, 0, false
	}
	ahead := r.read
	e, ok := ahead.next(r.reader)
	return append(buffer[:0], e.record...), e.time, ok
}

// consume reads the next record, and returns how many were lost before it. The record is
// copied into buffer. It reports false if there is none.
func (r *ring) consume(buffer []byte) (record []byte, time, lost uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.readerPage() {
		return nil, 0, 0, false
	}
	lost, r.reader.lost = r.reader.lost, 0
	e, ok := r.read.next(r.reader)
	if ok {
		r.gotten++
	}
	return append(buffer[:0], e.record...), e.time, lost, ok
}

// whole says whether readPage waits for the writer to leave a page.
type whole bool

const (
	anyRecords whole = false
	fullPages  whole = true
)

// readPage stores unread records as a page into dst, which has PageSize bytes, and
// consumes them. It takes at most limit bytes of entries. EAGAIN: there are none, or no
// full page; the queue is woken when there are, or when wanted pages are full.
func (r *ring) readPage(dst []byte, limit int, w whole, wanted int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.readerPage() || w == fullPages && r.used.length() == 0 {
		r.await(w, wanted)
		return unix.EAGAIN
	}
	entries := r.reader.copyRaw(dst, &r.read, limit, r.reader.lost)
	if entries == 0 {
		return unix.EINVAL // limit is too small for one record
	}
	r.reader.lost = 0
	r.gotten += uint64(entries)
	return nil
}

// await makes the writer wake the queue. r.mu is held.
func (r *ring) await(w whole, wanted int) {
	if w == fullPages {
		if wanted = max(wanted, 1); r.waitsFull {
			wanted = min(wanted, r.wanted) // another reader waits too
		}
		r.waitsFull, r.wanted = true, wanted
	} else {
		r.waitsAny = true
	}
}

// ready reports whether there are unread records, or with fullPages at least wanted full
// pages. If not, the writer wakes the queue when there are.
func (r *ring) ready(w whole, wanted int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w == fullPages && r.full() >= max(wanted, 1) || w == anyRecords && r.unread() {
		return true
	}
	r.await(w, wanted)
	return false
}

// wakeLater wakes all readers on a goroutine of its own, because the caller of Record may
// hold the lock of a wait queue (Linux: rb_wake_up_waiters, an irq_work).
func (r *ring) wakeLater() {
	go func() {
		defer guard.Contain("the wake-up of a reader of trace events")
		r.wakeReaders()
	}()
}

// wakeReaders wakes all readers.
func (r *ring) wakeReaders() {
	r.queue.Wake(wait.Readable)
	r.all.Wake(wait.Readable)
}

// unread reports whether there are unread records. r.mu is held.
func (r *ring) unread() bool {
	return r.read.at < r.reader.end || r.used.length() > 0 && r.used.at(0).end > 0
}

// reset removes all records.
func (r *ring) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.used.length() > 0 {
		r.free = append(r.free, r.used.pop())
	}
	r.overrun, r.dropped, r.left, r.gotten = 0, 0, 0, 0
	r.begin(r.reader)
	r.read = cursor{}
}

// setOverwrite sets the mode.
func (r *ring) setOverwrite(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.overwrite = on
}

// pages returns the number of pages.
func (r *ring) pages() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size
}

// resize changes the number of pages. If it becomes smaller, the oldest records are lost.
// Error: ENOMEM.
func (r *ring) resize(pages int, memory *mm.Memory) error {
	more := pages - r.pages()
	var added []*page
	if more > 0 {
		if err := memory.Reserve(int64(more) * PageSize); err != nil {
			return err
		}
		defer memory.Unreserve(int64(more) * PageSize)
		added = newPages(more)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.size = pages
	r.free = append(r.free, added...)
	for len(r.free) > 0 && len(r.free)+r.used.length() > pages {
		r.free[len(r.free)-1] = nil
		r.free = r.free[:len(r.free)-1]
	}
	for r.used.length() > pages {
		oldest := r.used.pop()
		r.overrun += uint64(oldest.entries)
		r.used.at(0).lost += oldest.lost + uint64(oldest.entries)
	}
	return nil
}

// counts are the numbers of the file stats.
type counts struct {
	entries, overrun, bytes, dropped, read int64
	oldest                                 uint64 // the time of the oldest unread page
}

func (r *ring) counts() counts {
	held := guard.Lock(&r.mu)
	defer held.Release()
	c := counts{
		entries: int64(r.written() - r.overrun - r.gotten), overrun: int64(r.overrun), bytes: int64(r.bytes()),
		dropped: int64(r.dropped), read: int64(r.gotten),
	}
	if r.read.at < r.reader.end {
		c.oldest = r.reader.stamp
	} else if r.used.length() > 0 {
		c.oldest = r.used.at(0).stamp
	}
	return c
}

// place is a place in a ring for a reader that does not consume.
type place struct {
	sequence uint64 // of the page
	cursor
}

// browse returns the record at a place, copied into buffer, and the place after it. A page
// that was overwritten or consumed is skipped. It reports false at the end.
func (r *ring) browse(at place, buffer []byte) (record []byte, time uint64, after place, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := place{sequence: r.reader.sequence, cursor: r.read}
	if at.sequence < first.sequence || at.sequence == first.sequence && at.cursor.at < first.cursor.at {
		at = first
	}
	for {
		p := r.page(at.sequence)
		if p == nil {
			return nil, 0, at, false
		}
		if e, ok := at.cursor.next(p); ok {
			return append(buffer[:0], e.record...), e.time, at, true
		}
		next := r.after(p)
		if next == nil {
			return nil, 0, at, false
		}
		at = place{sequence: next.sequence}
	}
}

// page returns the page with a sequence, or the first one after it, or nil. r.mu is held.
func (r *ring) page(sequence uint64) *page {
	if sequence <= r.reader.sequence {
		return r.reader
	}
	if r.used.length() == 0 {
		return nil
	}
	// The sequences of used have no gaps.
	n := int64(sequence - r.used.at(0).sequence)
	if n >= int64(r.used.length()) {
		return nil
	}
	return r.used.at(int(max(n, 0)))
}

// after returns the page after p, or nil. r.mu is held.
func (r *ring) after(p *page) *page { return r.page(p.sequence + 1) }

// pageQueue is a queue of pages. The zero value is empty.
type pageQueue struct {
	items []*page
	first int // items before it are nil
}

func (q *pageQueue) length() int { return len(q.items) - q.first }

// at returns a page, 0 for the oldest.
func (q *pageQueue) at(n int) *page { return q.items[q.first+n] }

func (q *pageQueue) push(p *page) {
	if len(q.items) == cap(q.items) && q.first > len(q.items)/2 {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, p)
}

func (q *pageQueue) pop() *page {
	p := q.items[q.first]
	q.items[q.first] = nil
	q.first++
	return p
}
