package mm

import (
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// entry is a page table entry (Intel SDM, volume 3, section 4.5.5). A non-zero
// entry of the last level holds a reference to a frame. If its present bit is
// clear, the area's protection is PROT_NONE and the page keeps its contents.
type entry amd64.PTE

const (
	entryPresent  = entry(amd64.Present)
	entryWritable = entry(amd64.Writable)
	entryUser     = entry(amd64.User)
	entryAccessed = entry(amd64.Accessed)
	entryDirty    = entry(amd64.Dirty)
	entryNoExec   = entry(amd64.NoExecute)
	entryAddress  = entry(amd64.AddressMask)

	// entryAnonymous is a software-available bit: the frame is anonymous memory
	// and not part of a page cache.
	entryAnonymous entry = 1 << 9
	// entryHeld is a software-available bit: the entry holds a frame, present
	// or not.
	entryHeld entry = 1 << 10

	// entryTable are the bits of an entry that points to a table.
	entryTable = entryPresent | entryWritable | entryUser | entryAccessed
)

// The levels of the tables: level 0 maps pages, the highest is the root.
const (
	rootLevel   = amd64.LevelPML4
	indexBits   = 9
	tableLength = 1 << indexBits
)

// table is a page table. Its entries are atomic because the CPUs read them and
// set accessed and dirty bits at any time.
type table [tableLength]atomic.Uint64

func (t *table) get(i int) entry    { return entry(t[i].Load()) }
func (t *table) set(i int, e entry) { t[i].Store(uint64(e)) }

func (e entry) frame() frame.Number { return frame.Number(e & entryAddress >> frame.Shift) }
func (e entry) held() bool          { return e != 0 }

// span returns how many bytes an entry of the level maps.
func span(level int) uint64 { return PageSize << (indexBits * level) }

// table returns the page table in the frame.
func (m *Memory) table(n frame.Number) *table {
	return (*table)(pointer(m.directMap + uintptr(n)<<frame.Shift))
}

// makeEntry returns the entry for a frame under a protection.
func makeEntry(n frame.Number, prot Prot, writable, anonymous bool) entry {
	e := entry(n.Address()) | entryHeld | entryUser | entryAccessed | entryDirty
	if anonymous {
		e |= entryAnonymous
	}
	return e.protect(prot, writable)
}

// protect returns the entry with the bits of the protection. If writable is
// false, the entry stays read-only even with ProtWrite, and the first write
// faults.
func (e entry) protect(prot Prot, writable bool) entry {
	e &^= entryPresent | entryWritable | entryNoExec
	if prot != ProtNone {
		e |= entryPresent
	}
	if prot&ProtExec == 0 {
		e |= entryNoExec
	}
	if prot&ProtWrite != 0 && writable {
		e |= entryWritable
	}
	return e
}

// pageTables are the page tables of one address space. The address space's lock
// protects them. The CPUs also read the entries.
type pageTables struct {
	memory *Memory
	root   frame.Number
	count  *atomic.Int64 // frames in use as tables
	last   *table        // the table that leaf found last, or nil
	lastAt uint64        // the first address that last maps
}

// init allocates a root table that maps only the kernel half. count counts the
// tables from then on. It fails with ENOMEM.
func (p *pageTables) init(m *Memory, count *atomic.Int64) error {
	p.memory, p.count = m, count
	root, err := p.newTable()
	if err != nil {
		return err
	}
	p.root = root
	t := m.table(root)
	for i, e := range m.kernelHalf {
		t[tableLength/2+i].Store(e)
	}
	return nil
}

// newTable allocates an empty table.
func (p *pageTables) newTable() (frame.Number, error) {
	n, err := p.memory.AllocateZeroed()
	if err == nil {
		p.addCount(1)
	}
	return n, err
}

// addCount adds n to the number of tables.
func (p *pageTables) addCount(n int64) {
	p.count.Add(n)
	p.memory.tables.Add(n)
}

// leaf returns the last-level table that maps the address, or nil.
func (p *pageTables) leaf(address uint64) *table {
	at := address &^ (span(1) - 1)
	if p.last != nil && p.lastAt == at {
		return p.last
	}
	t := p.memory.table(p.root)
	for level := rootLevel; level > 0; level-- {
		e := t.get(amd64.Index(address, level))
		if e == 0 {
			return nil
		}
		t = p.memory.table(e.frame())
	}
	p.last, p.lastAt = t, at
	return t
}

// makeLeaf returns the last-level table that maps the address. It allocates the
// missing tables on the path. It fails with ENOMEM.
func (p *pageTables) makeLeaf(address uint64) (*table, error) {
	if t := p.leaf(address); t != nil {
		return t, nil
	}
	t := p.memory.table(p.root)
	for level := rootLevel; level > 0; level-- {
		i := amd64.Index(address, level)
		e := t.get(i)
		if e == 0 {
			n, err := p.newTable()
			if err != nil {
				return nil, err
			}
			e = entry(n.Address()) | entryTable
			t.set(i, e)
		}
		t = p.memory.table(e.frame())
	}
	return t, nil
}

// lookup returns the last-level entry of the address, or 0.
func (p *pageTables) lookup(address uint64) entry {
	t := p.leaf(address)
	if t == nil {
		return 0
	}
	return t.get(amd64.Index(address, amd64.LevelPT))
}

// visit calls f for each entry in [start, end) that holds a frame. f may
// change the entry. Ranges without tables are skipped.
func (p *pageTables) visit(start, end uint64, f func(address uint64, t *table, i int)) {
	p.visitLevel(p.memory.table(p.root), rootLevel, start, end, f)
}

func (p *pageTables) visitLevel(t *table, level int, start, end uint64, f func(uint64, *table, int)) {
	if level == 0 {
		visitLeaf(t, start, end, f)
		return
	}
	for address := start; address < end; {
		next := min(address&^(span(level)-1)+span(level), end)
		if e := t.get(amd64.Index(address, level)); e != 0 {
			p.visitLevel(p.memory.table(e.frame()), level-1, address, next, f)
		}
		address = next
	}
}

// visitLeaf visits a last-level table. The range must not be empty and must lie
// within the table.
func visitLeaf(t *table, start, end uint64, f func(uint64, *table, int)) {
	first := amd64.Index(start, amd64.LevelPT)
	entries := t[first : amd64.Index(end-1, amd64.LevelPT)+1]
	for i := range entries {
		if entries[i].Load() != 0 {
			f(start+uint64(i)*PageSize, t, first+i)
		}
	}
}

// detach removes the tables that map parts of [start, end) and no address
// outside [floor, ceiling), and passes each to free. No area may remain in
// [floor, ceiling), and the range must hold no frames.
func (p *pageTables) detach(start, end, floor, ceiling uint64, free func(frame.Number)) {
	p.last = nil
	gap := gap{floor: floor, ceiling: ceiling, free: free}
	p.detachLevel(p.memory.table(p.root), rootLevel, start, end, &gap)
}

// gap is a range without areas. Tables that map only the gap can be freed.
type gap struct {
	floor, ceiling uint64
	free           func(frame.Number)
}

func (p *pageTables) detachLevel(t *table, level int, start, end uint64, g *gap) {
	for address := start; address < end; {
		i := amd64.Index(address, level)
		first := address &^ (span(level) - 1)
		next := first + span(level)
		if e := t.get(i); e != 0 {
			if level > 1 {
				p.detachLevel(p.memory.table(e.frame()), level-1, address, min(next, end), g)
			}
			if first >= g.floor && next <= g.ceiling {
				t.set(i, 0)
				p.addCount(-1)
				g.free(e.frame())
			}
		}
		address = next
	}
}
