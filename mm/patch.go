package mm

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// Breakpoint is the INT3 instruction, which a Patch writes.
const Breakpoint = 0xcc

// Patch is a change of a page in the address spaces that map an object privately: a
// breakpoint on an instruction, or the increment of a counter. The object and its other
// mappings do not change. Only package uprobe makes patches. It must not change after
// AddPatches.
//
// A patched page is a private copy, charged to the address space as anonymous memory. It
// is made when the page is faulted in, or by AddPatches if the page is present, and it is
// freed when its last patch is removed.
type Patch struct {
	// Offset is the offset in the object, in bytes.
	Offset uint64
	// Original are the bytes of the instruction that gets a breakpoint. A breakpoint is
	// only written where all of them are still there. nil for a counter: 1 is added to
	// the 16-bit word at Offset.
	Original []byte
	// Wants reports whether an address space gets the breakpoint. nil wants all. It is
	// called with the address space locked, and must not sleep.
	Wants func(as *AddressSpace) bool
	// Owner belongs to the caller.
	Owner any

	// removing is set while the patch is taken back from each address space in turn. Its
	// breakpoints are still found, but none is written any more.
	removing atomic.Bool
}

// counter says whether the patch increments a counter.
func (p *Patch) counter() bool { return p.Original == nil }

// active says whether the patch is not being removed.
func (p *Patch) active() bool { return !p.removing.Load() }

func (p *Patch) page() uint64 { return p.Offset / PageSize }

func (p *Patch) wanted(as *AddressSpace) bool { return p.Wants == nil || p.Wants(as) }

// patchList are the patches of one page of an object in order of their offset. Its elements
// do not change once it is in a map, because readers hold it without a lock. Only the
// newest list of a page is changed by with and without, so appending may reuse its array.
type patchList []*Patch

// at returns the index of the first patch with at least the given offset.
func (l patchList) at(offset uint64) int {
	i, _ := slices.BinarySearchFunc(l, offset, func(p *Patch, offset uint64) int {
		switch {
		case p.Offset < offset:
			return -1
		case p.Offset > offset:
			return 1
		}
		return 0
	})
	return i
}

// breakpoint returns the breakpoint at the offset, or nil.
func (l patchList) breakpoint(offset uint64) *Patch {
	for _, p := range l[l.at(offset):] {
		if p.Offset != offset {
			return nil
		}
		if !p.counter() {
			return p
		}
	}
	return nil
}

// with returns a list with an additional patch.
func (l patchList) with(p *Patch) patchList {
	i := l.at(p.Offset)
	if i == len(l) {
		return append(l, p)
	}
	list := make(patchList, 0, len(l)+1)
	return append(append(append(list, l[:i]...), p), l[i:]...)
}

// without returns a list without a patch.
func (l patchList) without(p *Patch) patchList {
	i := l.at(p.Offset)
	for i < len(l) && l[i] != p {
		i++
	}
	switch i {
	case len(l):
		return l
	case 0:
		return l[1:]
	}
	list := make(patchList, 0, len(l))
	return append(append(list, l[:i]...), l[i+1:]...)
}

// addPatches adds patches to the registry.
func (p *Mappings) addPatches(patches []*Patch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.patches == nil {
		p.patches = make(map[uint64]patchList)
	}
	for _, patch := range patches {
		p.patches[patch.page()] = p.patches[patch.page()].with(patch)
	}
	p.patched.Add(int32(len(patches)))
}

// removePatches undoes addPatches.
func (p *Mappings) removePatches(patches []*Patch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, patch := range patches {
		list := p.patches[patch.page()].without(patch)
		p.patches[patch.page()] = list
		if len(list) == 0 {
			delete(p.patches, patch.page())
		}
	}
	p.patched.Add(-int32(len(patches)))
}

// patchesOf returns the patches of a page. It is cheap if the object has none.
func (p *Mappings) patchesOf(index uint64) patchList {
	if p.patched.Load() == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.patches[index]
}

// AddPatches applies patches to the object in all address spaces that map it, now and
// later. It fails with ENOMEM, and then changes nothing. It may sleep.
func (p *Mappings) AddPatches(object Mappable, patches []*Patch) error {
	p.addPatches(patches)
	if err := p.applyPatches(object, patches); err != nil {
		p.RemovePatches(object, patches)
		return err
	}
	return nil
}

// RemovePatches undoes AddPatches. A breakpoint is found until it is gone from every address
// space. It may sleep.
func (p *Mappings) RemovePatches(object Mappable, patches []*Patch) {
	for _, patch := range patches {
		patch.removing.Store(true)
	}
	defer p.removePatches(patches)
	p.visitSpaces(func(as *AddressSpace) error {
		as.removePatches(object, patches)
		return nil
	})
}

// RefreshPatches makes breakpoints follow a change of the results of Wants. It fails
// with ENOMEM if an address space now wants a breakpoint and there is no memory for it.
// It may sleep.
func (p *Mappings) RefreshPatches(object Mappable, patches []*Patch) error {
	return p.applyPatches(object, patches)
}

func (p *Mappings) applyPatches(object Mappable, patches []*Patch) error {
	return p.visitSpaces(func(as *AddressSpace) error { return as.refreshPatches(object, patches) })
}

// visitSpaces calls f once for each address space that maps the object, including those
// that a concurrent fork makes (see Zap), until f fails.
func (p *Mappings) visitSpaces(f func(as *AddressSpace) error) error {
	var visited map[*AddressSpace]bool
	for {
		spaces, arrivals := p.snapshot(visited)
		for _, as := range spaces {
			if err := f(as); err != nil {
				return err
			}
		}
		if p.arrivedSince(arrivals) == 0 {
			return nil
		}
		if visited == nil {
			visited = make(map[*AddressSpace]bool)
		}
		for _, as := range spaces {
			visited[as] = true
		}
	}
}

// snapshot returns the address spaces that are not in visited, and how many have ever begun
// to map the object.
func (p *Mappings) snapshot(visited map[*AddressSpace]bool) (spaces []*AddressSpace, arrivals uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spaces = make([]*AddressSpace, 0, len(p.spaces))
	for as := range p.spaces {
		if !visited[as] {
			spaces = append(spaces, as)
		}
	}
	return spaces, p.arrivals
}

// arrivedSince returns how many address spaces have begun to map the object since a
// snapshot.
func (p *Mappings) arrivedSince(arrivals uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.arrivals - arrivals
}

// takesBreakpoints says whether breakpoints are written into the area (Linux: valid_vma
// for a registration).
func (v *vma) takesBreakpoints() bool { return v.hasBreakpoints() && v.prot&ProtWrite == 0 }

// hasBreakpoints says whether the area can have breakpoints that were written before it
// became writable (Linux: valid_vma for a removal).
func (v *vma) hasBreakpoints() bool {
	return v.object != nil && v.flags&(areaShared|areaFixedSize) == 0 && v.maxProt&ProtExec != 0
}

// hasCopies says whether the area can have private copies of the object's pages.
func (v *vma) hasCopies() bool { return v.object != nil && v.flags&(areaShared|areaFixedSize) == 0 }

// patchedPage is a page of an area whose object has patches on it.
type patchedPage struct {
	as      *AddressSpace
	v       *vma
	address uint64
	list    patchList // all patches of the page
}

// patchesAt returns the page at the address and reports whether its object has patches
// there.
func (as *AddressSpace) patchesAt(v *vma, address uint64) (patchedPage, bool) {
	if !v.hasCopies() {
		return patchedPage{}, false
	}
	address = pageDown(address)
	list := v.object.Mappings().patchesOf(v.pageIndex(address))
	return patchedPage{as, v, address, list}, len(list) > 0
}

// isPatched reports whether the object of an area has patches on the page at the address.
func (as *AddressSpace) isPatched(v *vma, address uint64) bool {
	_, patched := as.patchesAt(v, address)
	return patched
}

// addressOf returns the address of a patch of the page.
func (p *patchedPage) addressOf(patch *Patch) uint64 { return p.address + patch.Offset&pageMask }

// needsCopy reports whether the page with these bytes of the object must become a
// private copy before the program accesses it.
func (p *patchedPage) needsCopy(bytes []byte) bool {
	for _, patch := range p.list {
		if patch.counts() && p.v.prot&ProtWrite != 0 || p.insertable(patch, bytes) {
			return true
		}
	}
	return false
}

// insertable reports whether the breakpoint must be written into the page with these
// bytes.
func (p *patchedPage) insertable(patch *Patch, bytes []byte) bool {
	return !patch.counter() && !patch.removing.Load() && p.v.takesBreakpoints() && bytes[patch.Offset&pageMask] != Breakpoint &&
		p.matches(patch, bytes) && patch.wanted(p.as)
}

// matches reports whether the complete original instruction is there. The breakpoint of
// another patch stands for its original byte: two probes may overlap.
func (p *patchedPage) matches(patch *Patch, bytes []byte) bool {
	at := patch.Offset & pageMask
	for i, want := range patch.Original {
		if at+uint64(i) == PageSize {
			return p.nextPageBegins(patch.Original[i:])
		}
		if bytes[at+uint64(i)] == want {
			continue
		}
		other := p.list.breakpoint(patch.Offset + uint64(i))
		if i == 0 || bytes[at+uint64(i)] != Breakpoint || other == nil || other.Original[0] != want {
			return false
		}
	}
	return true
}

// nextPageBegins reports whether the page above begins with the rest of an instruction.
// If the page is not in memory, it does.
func (p *patchedPage) nextPageBegins(rest []byte) bool {
	next := p.address + PageSize
	if e := p.as.tables.lookup(next); e.held() && next < p.v.end {
		return p.restMatches(rest, p.as.memory.Bytes(e.frame()))
	}
	var cached [1]frame.Number
	p.v.object.CachedPages(p.v.pageIndex(next), cached[:])
	if cached[0] == frame.None {
		return true
	}
	defer p.as.memory.Put(cached[0])
	return p.restMatches(rest, p.as.memory.Bytes(cached[0]))
}

func (p *patchedPage) restMatches(rest, page []byte) bool {
	list := p.v.object.Mappings().patchesOf(p.v.pageIndex(p.address) + 1)
	for i, want := range rest {
		if page[i] == want {
			continue
		}
		other := list.breakpoint((p.v.pageIndex(p.address)+1)*PageSize + uint64(i))
		if page[i] != Breakpoint || other == nil || other.Original[0] != want {
			return false
		}
	}
	return true
}

// patchCopy applies all patches to the bytes of a new private copy of the object's page.
func (p *patchedPage) patchCopy(bytes []byte) {
	for _, patch := range p.list {
		if patch.counter() {
			p.setCounter(patch, bytes)
		} else {
			p.insert(patch, bytes)
		}
	}
}

// insert writes a breakpoint into the bytes of a private page, if it must be there.
func (p *patchedPage) insert(patch *Patch, bytes []byte) {
	if p.insertable(patch, bytes) {
		bytes[patch.Offset&pageMask] = Breakpoint
		p.as.breakpoints.Store(true)
	}
}

// counts reports whether the patch increments a counter now.
func (p *Patch) counts() bool { return p.counter() && !p.removing.Load() }

// setCounter sets the 16-bit counter of a patch in a private page: the object's value, and 1
// for each patch. Unlike an increment it can be repeated, so it does not matter whether a
// copy was made before or after a patch was registered.
func (p *patchedPage) setCounter(patch *Patch, page []byte) {
	value := p.objectWord(patch.Offset)
	for _, other := range p.list[p.list.at(patch.Offset):] {
		if other.Offset != patch.Offset {
			break
		}
		if other.counts() {
			value++
		}
	}
	binary.LittleEndian.PutUint16(page[patch.Offset&pageMask:], value)
}

// objectWord returns the 16-bit word of the object at an offset in the page, 0 if the page
// is not in memory.
func (p *patchedPage) objectWord(offset uint64) uint16 {
	var cached [1]frame.Number
	p.v.object.CachedPages(p.v.pageIndex(p.address), cached[:])
	if cached[0] == frame.None {
		return 0
	}
	defer p.as.memory.Put(cached[0])
	return binary.LittleEndian.Uint16(p.as.memory.Bytes(cached[0])[offset&pageMask:])
}

// refreshPatches applies patches, sorted by offset, to the present pages of an address
// space, and takes back breakpoints that it does not want any more.
func (as *AddressSpace) refreshPatches(object Mappable, patches []*Patch) error {
	as.mu.Lock()
	defer as.flushAndUnlock()
	return as.visitPatches(object, patches, func(p *patchedPage, patch *Patch) error {
		if !patch.counter() && !patch.wanted(as) {
			return p.takeBack(patch, privately)
		}
		return p.apply(patch)
	})
}

// removePatches takes patches back from an address space. They are not registered any
// more.
func (as *AddressSpace) removePatches(object Mappable, patches []*Patch) {
	as.mu.Lock()
	defer as.flushAndUnlock()
	as.visitPatches(object, patches, func(p *patchedPage, patch *Patch) error {
		p.takeBack(patch, everywhere)
		p.restoreFilePage()
		return nil
	})
}

// visitPatches calls f for each of the patches, sorted by offset, and each private area
// that contains it, until f fails. The cached hits are dropped.
func (as *AddressSpace) visitPatches(object Mappable, patches []*Patch, f func(p *patchedPage, patch *Patch) error) error {
	as.hits.Store(nil)
	for v := as.areas.first; v != nil; v = v.next {
		if v.object != object || !v.hasCopies() {
			continue
		}
		for _, patch := range patches[patchList(patches).at(v.offset):] {
			if patch.Offset >= v.offset+v.length() {
				break
			}
			address := pageDown(v.start + patch.Offset - v.offset)
			p := patchedPage{as, v, address, object.Mappings().patchesOf(v.pageIndex(address))}
			if err := f(&p, patch); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply applies one patch to the page, if it is present.
func (p *patchedPage) apply(patch *Patch) error {
	e := p.as.tables.lookup(p.address)
	switch {
	case !e.held():
		return nil // Fault does it
	case patch.counter():
		return p.count(e, patch)
	case !p.insertable(patch, p.as.memory.Bytes(e.frame())):
		return nil
	}
	bytes, err := p.private(e)
	if err == nil {
		p.insert(patch, bytes)
	}
	return err
}

// count increments a counter of a present page. A page of the object itself becomes a
// private copy if the program can write it, because the program may read the counter.
// Otherwise the copy of a later write gets the increment.
func (p *patchedPage) count(e entry, patch *Patch) error {
	if e&entryAnonymous == 0 && p.v.prot&ProtWrite == 0 {
		return nil
	}
	bytes, err := p.private(e)
	if err == nil {
		p.setCounter(patch, bytes)
	}
	return err
}

// reach says which address spaces that share a page a change is for.
type reach bool

const (
	privately  reach = false // only one
	everywhere reach = true  // all: they map the same object, and each is to lose the patch
)

// takeBack undoes a patch of the page. A breakpoint that goes away everywhere is
// overwritten in place, which needs no memory. Otherwise takeBack fails with ENOMEM if
// other address spaces share the page and there is no memory for a copy.
func (p *patchedPage) takeBack(patch *Patch, r reach) error {
	e := p.as.tables.lookup(p.address)
	if !e.held() || e&entryAnonymous == 0 {
		return nil
	}
	page := p.as.memory.Bytes(e.frame())
	if !patch.counter() && !p.ours(patch, page) {
		return nil
	}
	if r == everywhere && !patch.counter() {
		page[patch.Offset&pageMask] = patch.Original[0]
		p.as.gather.page(p.address, frame.None)
		return nil
	}
	page, err := p.private(e)
	switch {
	case err != nil:
		return err
	case patch.counter():
		p.setCounter(patch, page)
	default:
		page[patch.Offset&pageMask] = patch.Original[0]
	}
	return nil
}

// ours reports whether the page has the breakpoint of the patch, and not one that a
// debugger has written.
func (p *patchedPage) ours(patch *Patch, bytes []byte) bool {
	return bytes[patch.Offset&pageMask] == Breakpoint && !p.as.foreign[p.addressOf(patch)]
}

// private returns the bytes of the present page after it has become a private copy that
// no other address space shares. The translation is flushed, which also serializes the
// CPUs that execute the page. A new copy of the object's page has all its patches.
func (p *patchedPage) private(e entry) ([]byte, error) {
	m := p.as.memory
	if e&entryAnonymous != 0 && m.Refs(e.frame()) == 1 {
		p.as.gather.page(p.address, frame.None)
		return m.Bytes(e.frame()), nil
	}
	n, err := m.copyOf(e.frame())
	if err != nil {
		return nil, err
	}
	p.v.prepareAnonymous()
	t := p.as.tables.leaf(p.address)
	t.set(amd64.Index(p.address, amd64.LevelPT), makeEntry(n, p.v.prot, true, true))
	p.as.gather.page(p.address, e.frame())
	if e&entryAnonymous == 0 {
		p.as.resident(p.v, false, -1)
		p.as.resident(p.v, true, 1)
		p.patchCopy(m.Bytes(n))
	}
	return m.Bytes(n), nil
}

// restoreFilePage replaces a private copy without patches by the object's page again, if
// they are equal. That frees the copy (Linux: uprobe_write_opcode).
func (p *patchedPage) restoreFilePage() {
	m := p.as.memory
	e := p.as.tables.lookup(p.address)
	if e&entryAnonymous == 0 || p.v.prot&ProtWrite != 0 || slices.ContainsFunc(p.list, (*Patch).active) {
		return
	}
	var cached [1]frame.Number
	p.v.object.CachedPages(p.v.pageIndex(p.address), cached[:])
	n := cached[0]
	if n == frame.None {
		return
	}
	if !bytes.Equal(m.Bytes(n), m.Bytes(e.frame())) {
		m.Put(n)
		return
	}
	t := p.as.tables.leaf(p.address)
	t.set(amd64.Index(p.address, amd64.LevelPT), makeEntry(n, p.v.prot, false, false))
	p.as.gather.page(p.address, e.frame())
	p.as.resident(p.v, true, -1)
	p.as.resident(p.v, false, 1)
}

// protectPatches applies the patches to the present pages of an area that was made
// writable, or is not writable any more. Without memory, a page of the object is
// unmapped, so that the next access tries again.
func (as *AddressSpace) protectPatches(v *vma, before Prot) {
	if (before^v.prot)&ProtWrite == 0 || !v.hasCopies() || v.object.Mappings().patched.Load() == 0 {
		return
	}
	as.tables.visit(v.start, v.end, func(address uint64, t *table, i int) {
		p, patched := as.patchesAt(v, address)
		if !patched {
			return
		}
		e := t.get(i)
		if e&entryAnonymous == 0 {
			if p.needsCopy(as.memory.Bytes(e.frame())) {
				t.set(i, 0)
				as.gather.page(address, e.frame())
				as.resident(v, false, -1)
			}
			return
		}
		for _, patch := range p.list {
			if !patch.counter() {
				p.apply(patch) // an error leaves the page without the breakpoint, as on Linux
			}
		}
	})
}

// maxForeign is the maximum number of a debugger's breakpoints that an address space
// keeps apart from those of patches.
const maxForeign = 4096

// foreignBytes is about what an entry of the map of foreign breakpoints needs.
const foreignBytes = 32

// remoteWrite writes src to a page of an area at an address for a debugger. A debugger's
// breakpoint stays its own, even if a patch is added to the same instruction later. An
// original instruction that a debugger writes over a breakpoint of a patch gets that
// breakpoint again.
func (as *AddressSpace) remoteWrite(v *vma, page []byte, at uint64, src []byte) int {
	if !v.hasBreakpoints() {
		return copy(page[at&pageMask:], src)
	}
	target := page[at&pageMask:]
	src = src[:min(len(src), len(target))]
	p, _ := as.patchesAt(v, at)
	for i, b := range src {
		as.noteForeign(&p, at+uint64(i), target[i], b, len(src) == 1)
		target[i] = b
	}
	for _, patch := range p.list {
		if !patch.counter() {
			p.insert(patch, page)
		}
	}
	return len(src)
}

// noteForeign notes whose breakpoint is at an address at which a debugger writes b over
// old. A write of one byte over a breakpoint inserts or removes a debugger's breakpoint:
// a debugger that found the breakpoint of a patch writes the same byte in both cases.
// Longer writes leave the bytes around as they were.
func (as *AddressSpace) noteForeign(p *patchedPage, address uint64, old, b byte, single bool) {
	switch {
	case b != Breakpoint:
		as.setForeign(address, false)
	case old != Breakpoint:
		as.setForeign(address, true)
	case single && p.list.breakpoint((p.v.pageIndex(p.address))*PageSize+address&pageMask) != nil:
		as.setForeign(address, !as.foreign[address])
	}
}

// setForeign notes that the breakpoint at an address is a debugger's, or that it is not.
func (as *AddressSpace) setForeign(address uint64, foreign bool) {
	switch {
	case !foreign && !as.foreign[address]:
		return
	case !foreign:
		delete(as.foreign, address)
	case len(as.foreign) < maxForeign && as.memory.Admit(foreignBytes) == nil:
		if as.foreign == nil {
			as.foreign = make(map[uint64]bool)
		}
		as.foreign[address] = true
	}
	as.hits.Store(nil)
}

// dropForeign forgets a debugger's breakpoints in a range whose pages go away.
func (as *AddressSpace) dropForeign(start, end uint64) {
	for address := range as.foreign {
		if address >= start && address < end {
			delete(as.foreign, address)
		}
	}
}

// moveForeign moves a debugger's breakpoints with their pages.
func (as *AddressSpace) moveForeign(start, end, to uint64) {
	var moved []uint64
	for address := range as.foreign {
		if address >= start && address < end {
			moved = append(moved, address)
		}
	}
	for _, address := range moved {
		delete(as.foreign, address)
		as.foreign[to+address-start] = true
	}
}
