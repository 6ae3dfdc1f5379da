package mm

import (
	"sync/atomic"
	"unsafe"
)

// hitTable finds patches by the address of their breakpoint, without a lock. It is a
// hash table with open addressing, filled as breakpoints are hit. The address space's
// lock serializes the writers. The whole table is dropped when an area or a patch goes
// away.
type hitTable struct {
	shift uint64 // 64 less the logarithm of the number of slots
	used  int
	slots []hit
}

// hit is an entry of a hitTable. address is written last, and 0 in an empty entry.
type hit struct {
	address atomic.Uint64
	patch   *Patch
}

// hitBits is the logarithm of the number of slots of the smallest table. hitBytes is
// about what an entry of a table needs: two slots at most half full, and the hit.
const (
	hitBits  = 4
	hitBytes = 4 * 8
)

func newHitTable(bits uint64) *hitTable {
	return &hitTable{shift: 64 - bits, slots: make([]hit, 1<<bits)}
}

// start returns the slot at which the search for an address begins (Fibonacci hashing).
func (t *hitTable) start(address uint64) uint64 {
	return address * 0x9e3779b97f4a7c15 >> (t.shift & 63)
}

// find returns the patch at the address, or nil.
func (t *hitTable) find(address uint64) *Patch {
	for i := t.start(address); ; i++ {
		switch h := &t.slots[i&uint64(len(t.slots)-1)]; h.address.Load() {
		case 0:
			return nil
		case address:
			return h.patch
		}
	}
}

// add adds an entry to a table that has room.
func (t *hitTable) add(address uint64, patch *Patch) {
	for i := t.start(address); ; i++ {
		if h := &t.slots[i&uint64(len(t.slots)-1)]; h.address.Load() == 0 {
			h.patch = patch
			h.address.Store(address)
			t.used++
			return
		}
	}
}

// HasBreakpoints reports whether a breakpoint was ever written into the address space.
// Any context.
func (as *AddressSpace) HasBreakpoints() bool { return as.breakpoints.Load() }

// CachedPatch is PatchAt for an address at which a patch was found before. It returns nil
// if none was, or if the table of hits has another one in its place. It does not sleep.
func (as *AddressSpace) CachedPatch(address uint64) *Patch {
	t := as.hits.Load()
	if t == nil {
		return nil
	}
	h := (*hit)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(t.slots)), t.start(address)*hitSize))
	if h.address.Load() != address {
		return nil
	}
	return h.patch
}

// hitSize is the size of a slot in bytes. start returns an index of a slot.
const hitSize = uint64(unsafe.Sizeof(hit{}))

// PatchAt returns the patch whose breakpoint is at the address, or nil: there is none, or
// the breakpoint there is a debugger's. It may sleep, but not for an address that was
// found before.
func (as *AddressSpace) PatchAt(address uint64) *Patch {
	patch, _ := as.BreakpointAt(address)
	return patch
}

// BreakpointAt is PatchAt for an address at which a program has executed INT3. present
// reports whether INT3 is there now: without it, the patch was removed in the meantime. Both
// results are those of one moment, so a patch that is removed and added again is not taken
// for a breakpoint of the program.
func (as *AddressSpace) BreakpointAt(address uint64) (patch *Patch, present bool) {
	if t := as.hits.Load(); t != nil {
		if p := t.find(address); p != nil {
			return p, true
		}
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	if p := as.findPatch(address); p != nil {
		return p, true
	}
	e := as.tables.lookup(address)
	return nil, e&entryPresent != 0 && as.memory.Bytes(e.frame())[address&pageMask] == Breakpoint
}

// findPatch is PatchAt with the address space locked. It adds the patch to the table.
func (as *AddressSpace) findPatch(address uint64) *Patch {
	v := as.areas.find(address)
	if v == nil || v.start > address || !v.hasBreakpoints() || as.foreign[address] {
		return nil
	}
	offset := v.offset + address - v.start
	p := v.object.Mappings().patchesOf(offset / PageSize).breakpoint(offset)
	if p != nil && p.active() {
		as.cacheHit(address, p)
	}
	return p
}

// TakeBackBreakpoint restores the original byte of the breakpoint at an address, in this
// address space only. A later change of the protection or of the patch may write it again.
// It may sleep.
func (as *AddressSpace) TakeBackBreakpoint(address uint64) {
	patch := as.PatchAt(address)
	if patch == nil {
		return
	}
	as.mu.Lock()
	defer as.flushAndUnlock()
	v := as.areas.find(address)
	if v == nil || v.start > address {
		return
	}
	if p, patched := as.patchesAt(v, address); patched && p.list.breakpoint(patch.Offset) == patch {
		p.takeBack(patch, privately)
	}
}

// cacheHit adds an entry to the table of hits, if the kernel's heap has room for it.
func (as *AddressSpace) cacheHit(address uint64, p *Patch) {
	t := as.hits.Load()
	switch {
	case t == nil:
		t = newHitTable(hitBits)
	case t.find(address) != nil:
		return
	case 2*(t.used+1) > len(t.slots):
		if as.memory.Admit(int64(len(t.slots))*2*hitBytes) != nil {
			return
		}
		larger := newHitTable(64 - t.shift + 1)
		for i := range t.slots {
			if old := &t.slots[i]; old.address.Load() != 0 {
				larger.add(old.address.Load(), old.patch)
			}
		}
		t = larger
	}
	t.add(address, p)
	as.hits.Store(t)
}

// heldByHits returns about how many bytes the table of hits needs.
func (as *AddressSpace) heldByHits() int64 {
	if t := as.hits.Load(); t != nil {
		return int64(len(t.slots)) / 2 * hitBytes
	}
	return 0
}

// Attached is an object of a layer above that lives as long as an address space.
type Attached interface {
	// SpaceDestroyed is called when the address space has no areas any more.
	SpaceDestroyed()
}

// Attached returns the object that Attach has stored, or nil. Any context.
func (as *AddressSpace) Attached() Attached {
	if a := as.attached.Load(); a != nil {
		return *a
	}
	return nil
}

// Attach stores an object, unless there is one already, and returns the stored one. The
// caller holds a reference to the address space.
func (as *AddressSpace) Attach(a Attached) Attached {
	if as.attached.CompareAndSwap(nil, &a) {
		return a
	}
	return as.Attached()
}
