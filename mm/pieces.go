package mm

import "slowpath/arch/amd64"

// pieceBytes is how much memory with pages an operation handles while it keeps the address space
// locked: half of what a last-level table maps. To unmap as much takes about 100 µs.
const pieceBytes = 256 * PageSize

// inPieces calls f for parts of [start, end) that have few pages each, with the address space
// locked. Between two parts it releases the lock and calls stop, so that other tasks can run, which
// may change the range meanwhile. It ends at the first error.
func (as *AddressSpace) inPieces(start, end uint64, stop Stop, f func(start, end uint64) error) error {
	for start < end {
		next, err := as.piece(start, end, f)
		if err != nil {
			return err
		}
		if start = next; start < end {
			stop.stops(Unlocked)
		}
	}
	return nil
}

// piece calls f for the first part of [start, end), and returns the end of that part.
func (as *AddressSpace) piece(start, end uint64, f func(start, end uint64) error) (next uint64, err error) {
	as.mu.Lock()
	defer as.flushAndUnlock()
	next = as.tables.reach(start, end)
	return next, f(start, next)
}

// reach returns the end of the part of [start, end) that begins at start and has at most pieceBytes
// for which there is a last-level table. It does not look into these tables, because that takes as
// long as the operation itself if they have few pages.
func (p *pageTables) reach(start, end uint64) uint64 {
	next, _ := p.reachLevel(p.memory.table(p.root), rootLevel, start, end)
	return next
}

// reachLevel is reach below a table. It reports whether the part has a last-level table.
func (p *pageTables) reachLevel(t *table, level int, start, end uint64) (next uint64, found bool) {
	for address := start; address < end; address = next {
		next = min(address&^(span(level)-1)+span(level), end)
		e := t.get(amd64.Index(address, level))
		switch {
		case e == 0:
		case level == 1:
			return min(address&^(pieceBytes-1)+pieceBytes, end), true
		default:
			if next, found = p.reachLevel(p.memory.table(e.frame()), level-1, address, next); found {
				return next, true
			}
		}
	}
	return end, false
}
