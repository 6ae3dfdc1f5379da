package tmpfs

import (
	"math"
	"sync/atomic"

	"slowpath/mm/frame"
)

// chunkPages is the number of pages in one chunk of a pageTable.
const chunkPages = 64

// chunk has the frames of consecutive pages. A hole is frame.None, the zero
// value of frame.Number.
type chunk struct {
	frames  [chunkPages]frame.Number
	present int
}

// pageTable maps the page indexes of a file to frames. A chunk without pages
// uses no memory. The caller locks it.
type pageTable struct {
	chunks map[uint64]*chunk
	count  atomic.Int64 // present pages; read without the lock by HeldMemory
}

// noPage is an index above that of every page.
const noPage = math.MaxUint64

func (p *pageTable) get(index uint64) frame.Number {
	c := p.chunks[index/chunkPages]
	if c == nil {
		return frame.None
	}
	return c.frames[index%chunkPages]
}

// getAll fills dst with the pages from first on, frame.None for holes.
func (p *pageTable) getAll(first uint64, dst []frame.Number) {
	for len(dst) > 0 {
		n := min(len(dst), chunkPages-int(first%chunkPages))
		if c := p.chunks[first/chunkPages]; c != nil {
			copy(dst[:n], c.frames[first%chunkPages:])
		} else {
			clear(dst[:n])
		}
		first, dst = first+uint64(n), dst[n:]
	}
}

// put stores the frame of a page that is a hole.
func (p *pageTable) put(index uint64, n frame.Number) {
	c := p.chunks[index/chunkPages]
	if c == nil {
		if p.chunks == nil {
			p.chunks = make(map[uint64]*chunk)
		}
		c = &chunk{}
		p.chunks[index/chunkPages] = c
	}
	c.frames[index%chunkPages] = n
	c.present++
	p.count.Add(1)
}

// take removes the pages in [first, end) and returns their frames.
func (p *pageTable) take(first, end uint64) []frame.Number {
	if first >= end || p.count.Load() == 0 {
		return nil
	}
	var taken []frame.Number
	if (end-1)/chunkPages-first/chunkPages < uint64(len(p.chunks)) {
		for key := first / chunkPages; key <= (end-1)/chunkPages; key++ {
			taken = p.takeFrom(taken, key, first, end)
		}
		return taken
	}
	for key := range p.chunks {
		taken = p.takeFrom(taken, key, first, end)
	}
	return taken
}

func (p *pageTable) takeFrom(taken []frame.Number, key, first, end uint64) []frame.Number {
	c := p.chunks[key]
	if c == nil {
		return taken
	}
	for i, n := range c.frames {
		index := key*chunkPages + uint64(i)
		if n == frame.None || index < first || index >= end {
			continue
		}
		taken = append(taken, n)
		c.frames[i] = frame.None
		c.present--
		p.count.Add(-1)
	}
	if c.present == 0 {
		delete(p.chunks, key)
	}
	return taken
}

// nextPresent returns the first index at or above from that has a page.
func (p *pageTable) nextPresent(from uint64) uint64 {
	if c := p.chunks[from/chunkPages]; c != nil {
		for i := from % chunkPages; i < chunkPages; i++ {
			if c.frames[i] != frame.None {
				return from/chunkPages*chunkPages + i
			}
		}
	}
	nearest := uint64(noPage)
	for key := range p.chunks {
		if key > from/chunkPages && key < nearest {
			nearest = key
		}
	}
	if nearest == noPage {
		return noPage
	}
	for i, n := range p.chunks[nearest].frames {
		if n != frame.None {
			return nearest*chunkPages + uint64(i)
		}
	}
	return noPage
}

// nextHole returns the first index at or above from that has no page.
func (p *pageTable) nextHole(from uint64) uint64 {
	for p.get(from) != frame.None {
		from++
	}
	return from
}
