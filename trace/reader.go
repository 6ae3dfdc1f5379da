package trace

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/wait"
)

// Lister reads the records of an instance as text without consuming them: the file trace.
// Records that are overwritten meanwhile are skipped. Each method may be called by any
// goroutine.
type Lister struct {
	instance *Instance
	cpu      int  // or AllCPUs
	snapshot bool // the records are those of the snapshot

	mu       sync.Mutex // guards the fields below
	offset   int64      // of text in the file
	text     []byte     // generated, and not read completely
	heads    []head
	atEnd    bool
	annotate bool // note the beginning of each CPU's records
}

// head is the next record of a ring.
type head struct {
	ring   *ring
	cpu    int
	begun  bool // a record was shown
	loaded bool // record and time are valid, and after is the place behind it
	ended  bool
	record []byte
	time   uint64
	at     place
	after  place
}

// textRoom is about how much text of a file is generated at a time, in bytes.
const textRoom = 16 << 10

// NewLister returns a reader at the beginning of the records of a CPU, or of all.
func (i *Instance) NewLister(cpu int) *Lister { return &Lister{instance: i, cpu: cpu} }

// NewSnapshotLister is NewLister for the snapshot: the file snapshot.
func (i *Instance) NewSnapshotLister(cpu int) *Lister {
	return &Lister{instance: i, cpu: cpu, snapshot: true}
}

// source returns what precedes the records, and the rings.
func (l *Lister) source() (header []byte, rings []*ring) {
	if l.snapshot {
		return l.instance.snapshotHeader(l.cpu), l.instance.snapshotRings(l.cpu)
	}
	return l.instance.Header(l.cpu), l.instance.ringsOf(l.cpu)
}

// rewind goes to the beginning. l.mu is held.
func (l *Lister) rewind() {
	header, rings := l.source()
	l.offset, l.heads, l.atEnd = 0, make([]head, 0, len(rings)), false
	l.text = append(l.text[:0], header...)
	first := max(l.cpu, 0)
	overruns := int64(0)
	for n, r := range rings {
		l.heads = append(l.heads, head{ring: r, cpu: first + n})
		overruns += r.counts().overrun
	}
	l.annotate = overruns > 0 && l.instance.has(optionAnnotate)
}

// Read returns text at an offset of the file, to be used before the next call, or nothing
// at the end. A read at another offset than the end of the last one begins again, so it
// takes as long as reading all. stop ends a long search; it may be nil. Errors: EINTR.
func (l *Lister) Read(offset int64, use func(text []byte) (int, error), stop func() bool) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heads == nil || offset < l.offset || offset == 0 {
		l.rewind()
	}
	for offset >= l.offset+int64(len(l.text)) {
		if stop != nil && stop() {
			return 0, unix.EINTR
		}
		l.offset += int64(len(l.text))
		if l.text = l.fill(l.text[:0]); len(l.text) == 0 {
			return 0, nil
		}
	}
	skip := int(offset - l.offset)
	l.text, l.offset = l.text[skip:], offset
	n, err := use(l.text)
	l.text, l.offset = l.text[n:], l.offset+int64(n)
	return n, err
}

// HeldMemory returns about how many bytes the reader holds. Any goroutine may call it.
func (l *Lister) HeldMemory() int64 {
	return 2*textRoom + int64(len(l.instance.ringsOf(l.cpu)))*MaxRecord
}

// fill appends the text of the next records. l.mu is held.
func (l *Lister) fill(dst []byte) []byte {
	for len(dst) < textRoom && !l.atEnd {
		h := l.earliest()
		if h == nil {
			l.atEnd = true
			break
		}
		if l.annotate && !h.begun && len(l.heads) > 1 && l.anyBegun() {
			dst = fmt.Appendf(dst, "##### CPU %d buffer started ####\n", h.cpu)
		}
		h.begun, h.loaded, h.at = true, false, h.after
		dst = l.instance.line(dst, h.cpu, h.time, h.record)
	}
	return dst
}

// anyBegun reports whether a record was shown. Linux notes the beginning only of CPUs whose
// records follow those of another.
func (l *Lister) anyBegun() bool {
	for n := range l.heads {
		if l.heads[n].begun {
			return true
		}
	}
	return false
}

// earliest returns the ring whose next record is the earliest, or nil.
func (l *Lister) earliest() *head {
	var best *head
	for n := range l.heads {
		h := &l.heads[n]
		if !h.loaded && !h.ended {
			var ok bool
			h.record, h.time, h.after, ok = h.ring.browse(h.at, h.record)
			h.loaded, h.ended = ok, !ok
		}
		if h.loaded && (best == nil || h.time < best.time) {
			best = h
		}
	}
	return best
}

// Pipe consumes the records of an instance as text: the file trace_pipe.
type Pipe struct {
	instance *Instance
	cpu      int

	mu     sync.Mutex // guards the fields below
	text   []byte     // not read yet
	read   bool       // something was read: the end is reported when the instance is off
	buffer []byte
}

// NewPipe returns a consumer of the records of a CPU, or of all.
func (i *Instance) NewPipe(cpu int) *Pipe { return &Pipe{instance: i, cpu: cpu} }

// Read passes text to use, which returns how much of it was taken. Errors: EAGAIN if there
// are no records; those of use. It returns 0 at the end: the instance is off, and the pipe
// has given all records.
func (p *Pipe) Read(use func(text []byte) (int, error)) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.text) == 0 {
		if p.text = p.fill(p.text[:0]); len(p.text) > 0 {
			break
		}
		if p.read && !p.instance.On() {
			return 0, nil
		}
		if !p.ready() {
			return 0, unix.EAGAIN
		}
		// A record was written meanwhile.
	}
	n, err := use(p.text)
	p.text = p.text[n:]
	p.read = p.read || n > 0
	return n, err
}

// HeldMemory returns about how many bytes the reader holds. Any goroutine may call it.
func (p *Pipe) HeldMemory() int64 { return 2*pipeRoom + MaxRecord }

// pipeRoom is about how much text is generated at a time: a page, as on Linux.
const pipeRoom = 4096

// fill consumes records and appends their text. p.mu is held.
func (p *Pipe) fill(dst []byte) []byte {
	for len(dst) < pipeRoom {
		cpu, _, ok := p.earliest()
		if !ok {
			break
		}
		r := p.instance.rings[cpu]
		record, time, lost, ok := r.consume(p.buffer)
		if !ok {
			continue // another reader has taken it
		}
		p.buffer = record
		if lost > 0 {
			dst = fmt.Appendf(dst, "CPU:%d [LOST %d EVENTS]\n", cpu, lost)
		}
		dst = p.instance.line(dst, cpu, time, record)
	}
	return dst
}

// earliest returns the CPU whose next record is the earliest.
func (p *Pipe) earliest() (cpu int, time uint64, ok bool) {
	first := max(p.cpu, 0)
	for n, r := range p.instance.ringsOf(p.cpu) {
		var t uint64
		var found bool
		if p.buffer, t, found = r.peek(p.buffer); found && (!ok || t < time) {
			cpu, time, ok = first+n, t, true
		}
	}
	return cpu, time, ok
}

// ready reports whether there are records. If not, the queue is woken when there are.
func (p *Pipe) ready() bool {
	ready := false
	for _, r := range p.instance.ringsOf(p.cpu) {
		ready = r.ready(anyRecords, 0) || ready
	}
	return ready
}

// Ready reports whether poll(2) reports the file as readable: if Read would return text, or
// with the option block always. If not, the queue is woken when it would.
func (p *Pipe) Ready() bool {
	if p.instance.has(optionBlock) {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.text) > 0 || p.ready() || p.read && !p.instance.On()
}

// Queue returns the queue that is woken when there are records. For all CPUs it is the
// queue of the instance.
func (p *Pipe) Queue() *wait.Queue {
	if p.cpu == AllCPUs {
		return &p.instance.queue
	}
	return &p.instance.rings[p.cpu].queue
}

// Raw consumes the records of a CPU as pages: the file trace_pipe_raw.
type Raw struct {
	instance *Instance
	ring     *ring

	mu   sync.Mutex // guards the fields below
	page []byte
	at   int // the bytes before it were read
}

// NewRaw returns a consumer of the pages of a CPU.
func (i *Instance) NewRaw(cpu int) *Raw { return &Raw{instance: i, ring: i.rings[cpu], at: PageSize} }

// Read passes bytes of the current page to use, and takes a page out of the ring if all of
// it was read. limit is the size of the reader's buffer: a page has entries of at most
// this size, less the header. Errors: EAGAIN if there are no records; those of use.
func (r *Raw) Read(limit int, use func(bytes []byte) (int, error)) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.page == nil {
		r.page = make([]byte, PageSize)
	}
	if r.at == PageSize {
		if err := r.ring.readPage(r.page, limit-pageHeader, anyRecords, 0); err != nil {
			if err == unix.EINVAL {
				return 0, nil // as Linux: the buffer is too small for a record
			}
			return 0, err
		}
		r.at = 0
	}
	n, err := use(r.page[r.at:])
	r.at += n
	return n, err
}

// Splice passes whole full pages to use, at most limit bytes, for splice(2). Errors:
// EINVAL if limit is less than a page, EAGAIN if less of the ring is full than Percent says
// and the instance is on; those of use. It returns 0 if there is no full page and the
// instance is off.
func (r *Raw) Splice(limit int, use func(bytes []byte) (int, error)) (int, error) {
	if limit < PageSize {
		return 0, unix.EINVAL
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	page := make([]byte, PageSize)
	total := 0
	for limit-total >= PageSize {
		if err := r.ring.readPage(page, pageRoom, fullPages, r.wanted()); err != nil {
			break
		}
		n, err := use(page)
		total += n
		if err != nil || n < PageSize {
			return total, err
		}
	}
	switch {
	case total > 0 || !r.instance.On():
		return total, nil
	case r.instance.Percent() == 0:
		return r.splicePart(use, page)
	}
	return 0, unix.EAGAIN
}

// splicePart passes a page that is not full.
func (r *Raw) splicePart(use func(bytes []byte) (int, error), page []byte) (int, error) {
	if err := r.ring.readPage(page, pageRoom, anyRecords, 0); err != nil {
		return 0, err
	}
	return use(page)
}

// wanted returns how many full pages a waiting reader is woken for.
func (r *Raw) wanted() int { return r.ring.pages() * r.instance.Percent() / 100 }

// Ready reports whether poll(2) reports the file as readable: if there are as many full
// pages as Percent says. If not, the queue is woken when there are.
func (r *Raw) Ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at < PageSize {
		return true
	}
	if r.instance.Percent() == 0 {
		return r.ring.ready(anyRecords, 0)
	}
	return r.ring.ready(fullPages, r.wanted())
}

// HeldMemory returns about how many bytes the reader holds. Any goroutine may call it.
func (r *Raw) HeldMemory() int64 { return PageSize }

// Queue returns the queue that is woken when there are records.
func (r *Raw) Queue() *wait.Queue { return &r.ring.queue }
