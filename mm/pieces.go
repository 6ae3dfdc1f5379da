package mm

import "slowpath/arch/amd64"

// piecePages is how many pages an operation handles while it keeps the address space locked. As
// many take about 100 µs to unmap.
const piecePages = 256

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
	next = as.tables.reach(start, end, piecePages)
	return next, f(start, next)
}

// reach returns the end of the part of [start, end) that begins at start and has at most the given
// number of pages. The range must not be empty.
func (p *pageTables) reach(start, end uint64, pages int) uint64 {
	return p.reachLevel(p.memory.table(p.root), rootLevel, start, end, &pages)
}

func (p *pageTables) reachLevel(t *table, level int, start, end uint64, left *int) uint64 {
	address := start
	for address < end && *left > 0 {
		next := min(address&^(span(level)-1)+span(level), end)
		e := t.get(amd64.Index(address, level))
		switch {
		case e == 0:
		case level == 0:
			*left--
		default:
			next = p.reachLevel(p.memory.table(e.frame()), level-1, address, next, left)
		}
		address = next
	}
	return address
}
