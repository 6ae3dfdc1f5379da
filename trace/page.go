package trace

import "encoding/binary"

// PageSize is the size of a page of a ring buffer, as trace_pipe_raw gives it to
// programs: a header of pageHeader bytes and pageRoom bytes of entries
// (events/header_page).
const (
	PageSize   = 4096
	pageHeader = 16
	pageRoom   = PageSize - pageHeader
)

// MaxRecord is the greatest length of a record in bytes (Linux: BUF_MAX_DATA_SIZE).
const MaxRecord = pageRoom - 2*entryHeader

// Entries of a page begin with a word of entryHeader bytes: a type of typeBits bits and a
// time since the previous entry (events/header_event). Types up to maxSmall are the length
// of the data in words. Type 0 has the length in the next word.
const (
	entryHeader  = 4
	typeBits     = 5
	deltaBits    = 32 - typeBits
	maxDelta     = 1<<deltaBits - 1
	maxSmall     = 28
	typeExtend   = 30 // a longer time: the low bits in the header, the high bits in the next word
	extendLength = 8
)

// Bits of the commit field of a page that follows lost events: their number is stored
// behind the entries if missedStored is set.
const (
	missedEvents = 1 << 31
	missedStored = 1 << 30
)

// page is a page of a ring buffer.
type page struct {
	data    *[PageSize]byte // the header is only written for a program
	stamp   uint64          // the time of the first entry
	last    uint64          // the time of the last entry
	end     int             // the end of the entries, an offset from pageHeader
	entries int             // records
	// lost is how many records were overwritten or dropped since the page before this one.
	lost uint64
	// sequence counts the pages that the ring has begun.
	sequence uint64
}

// newPages returns empty pages. The caller has reserved the memory. Each page is written, so
// that it has a frame: a page fault would take longer than many records.
func newPages(n int) []*page {
	pages := make([]*page, n)
	for i := range pages {
		pages[i] = &page{data: new([PageSize]byte)}
		pages[i].data[0] = 1 // the header is not used
	}
	return pages
}

// reset empties the page.
func (p *page) reset(sequence uint64) {
	p.stamp, p.last, p.end, p.entries, p.lost, p.sequence = 0, 0, 0, 0, 0, sequence
}

// entrySize returns the size of the entry of a record in bytes (Linux:
// rb_calculate_event_length).
func entrySize(record int) int {
	size := max(record, 1) + entryHeader
	if record > 4*maxSmall {
		size += 4
	}
	size = (size + 3) &^ 3
	if size == extendLength+4 {
		size += 4 // room to replace the entry by a time extend
	}
	return size
}

// put appends a record with a time, if it fits. It reports whether it did.
func (p *page) put(time uint64, record []byte) bool {
	size := entrySize(len(record))
	if delta := time - p.last; p.end > 0 && delta <= maxDelta && len(record) <= 4*maxSmall && p.end+size <= pageRoom {
		return p.putSmall(time, uint32(delta), record, size)
	}
	if p.end == 0 {
		p.stamp, p.last = time, time
	}
	time = max(time, p.last) // a clock that runs backwards stands still
	delta := time - p.last
	extend := 0
	if delta > maxDelta {
		extend = extendLength
	}
	if p.end+extend+size > pageRoom {
		return false
	}
	if extend > 0 {
		p.word(uint32(delta&maxDelta)<<typeBits | typeExtend)
		p.word(uint32(delta >> deltaBits))
		delta = 0
	}
	data := size - entryHeader
	if data > 4*maxSmall {
		p.word(uint32(delta) << typeBits)
		p.word(uint32(data))
		data -= 4
	} else {
		p.word(uint32(delta)<<typeBits | uint32(data/4))
	}
	area := p.data[pageHeader+p.end:][:data]
	clear(area[copy(area, record):])
	p.end += data
	p.last = time
	p.entries++
	return true
}

// putSmall appends a record that fits, has its length in the header, and is at most maxDelta
// after the last one: the common case.
func (p *page) putSmall(time uint64, delta uint32, record []byte, size int) bool {
	area := p.data[pageHeader+p.end:][:size]
	binary.LittleEndian.PutUint32(area, delta<<typeBits|uint32(size-entryHeader)/4)
	if rest := area[entryHeader:]; copy(rest, record) < len(rest) {
		clear(rest[len(record):])
	}
	p.end += size
	p.last = time
	p.entries++
	return true
}

func (p *page) word(w uint32) {
	binary.LittleEndian.PutUint32(p.data[pageHeader+p.end:], w)
	p.end += 4
}

// cursor is a place in a page.
type cursor struct {
	at   int    // an offset from pageHeader
	time uint64 // of the entry before it
}

// entry is what a cursor has found.
type entry struct {
	time   uint64
	record []byte // in the page
	begin  int    // of the entry, with a time extend before it
}

// next returns the next record of the page, and moves the cursor behind it. It reports
// false at the end.
func (c *cursor) next(p *page) (e entry, ok bool) {
	if c.at == 0 {
		c.time = p.stamp
	}
	e.begin = c.at
	for c.at < p.end {
		word := binary.LittleEndian.Uint32(p.data[pageHeader+c.at:])
		kind, delta := word&(1<<typeBits-1), uint64(word>>typeBits)
		c.at += entryHeader
		if kind == typeExtend {
			c.time += delta | uint64(binary.LittleEndian.Uint32(p.data[pageHeader+c.at:]))<<deltaBits
			c.at += 4
			continue
		}
		c.time += delta
		size := int(kind) * 4
		if kind == 0 {
			size = int(binary.LittleEndian.Uint32(p.data[pageHeader+c.at:])) - 4
			c.at += 4
		}
		e.record = p.data[pageHeader+c.at:][:size]
		e.time = c.time
		c.at += size
		return e, true
	}
	return entry{}, false
}

// copyRaw stores the entries from a cursor to the end, with a header, into dst, which has
// PageSize bytes, and moves the cursor behind them. It stores whole entries of at most
// limit bytes together, and returns how many records they are.
func (p *page) copyRaw(dst []byte, c *cursor, limit int, lost uint64) (entries int) {
	begin, stamp := c.at, c.time
	if begin == 0 {
		stamp = p.stamp
	}
	for ahead := *c; ; entries++ {
		if _, ok := ahead.next(p); !ok || ahead.at-begin > limit {
			break
		}
		*c = ahead
	}
	size := copy(dst[pageHeader:], p.data[pageHeader+begin:pageHeader+c.at])
	clear(dst[pageHeader+size:])
	commit := uint64(size)
	if lost > 0 {
		commit |= missedEvents
		if size+8 <= pageRoom {
			binary.LittleEndian.PutUint64(dst[pageHeader+size:], lost)
			commit |= missedStored
		}
	}
	binary.LittleEndian.PutUint64(dst, stamp)
	binary.LittleEndian.PutUint64(dst[8:], commit)
	return entries
}
