package mm

import "golang.org/x/sys/unix"

// vma is a virtual memory area: a range of pages with one protection and one
// source. An area belongs to one address space, whose lock protects it.
type vma struct {
	node

	start, end uint64
	prot       Prot
	maxProt    Prot // the most that mprotect may set
	flags      areaFlags

	object Mappable // nil for private anonymous memory
	file   File     // nil if the mapping has no open file
	// offset of start in object, in bytes. Without an object it is the address that
	// start had before the area was moved (Linux: vm_pgoff).
	offset uint64
	name   string // "[stack]", "[vdso]", ... or empty

	anon *anonymousPages // nil until the area has an anonymous page
	// inherited is set if the area was copied by fork(2) and had anonymous pages
	// then (Linux: its anon_vma_chain is not singular).
	inherited bool
}

// anonymousPages is the identity of the anonymous pages of an area (Linux: anon_vma).
// Areas with different ones are not merged, which /proc/pid/maps shows.
type anonymousPages struct {
	_ byte // so that two of them have different addresses
}

// areaFlags are the properties of an area beyond its protection (VM_* in Linux).
type areaFlags uint16

const (
	areaShared     areaFlags = 1 << iota // MAP_SHARED
	areaGrowsDown                        // MAP_GROWSDOWN
	areaNoReserve                        // MAP_NORESERVE
	areaLocked                           // mlock
	areaLockFault                        // MLOCK_ONFAULT: locked, not populated
	areaDontFork                         // MADV_DONTFORK
	areaWipeOnFork                       // MADV_WIPEONFORK
	areaDontDump                         // MADV_DONTDUMP
	areaSequential                       // MADV_SEQUENTIAL
	areaRandom                           // MADV_RANDOM
	areaFixedSize                        // special mapping: mremap cannot grow it, madvise cannot drop its pages
	areaCharged                          // counted in Committed_AS
	areaKernelData                       // only the program's own accesses reach it (VM_IO): the data of the vDSO
)

func (v *vma) length() uint64 { return v.end - v.start }
func (v *vma) pages() int64   { return int64(v.length() / PageSize) }

func (v *vma) has(f areaFlags) bool { return v.flags&f != 0 }

// anonymous says whether the area is private memory without an object.
func (v *vma) anonymous() bool { return v.object == nil }

// mayWriteShared says whether the area is shared and writable, or can become
// writable through mprotect.
func (v *vma) mayWriteShared() bool {
	return v.has(areaShared) && v.maxProt&ProtWrite != 0
}

// chargeable says whether the area counts in Committed_AS: only private
// writable memory does (Linux, Documentation/mm/overcommit-accounting).
func (v *vma) chargeable() bool {
	return v.prot&ProtWrite != 0 && v.flags&(areaShared|areaNoReserve) == 0
}

// data says whether the area counts for RLIMIT_DATA (getrlimit(2)).
func (v *vma) data() bool {
	return v.prot&ProtWrite != 0 && v.flags&(areaShared|areaGrowsDown) == 0
}

// populated says whether the area's pages must be present before the first
// access because the area is locked.
func (v *vma) populated() bool {
	return v.flags&(areaLocked|areaLockFault) == areaLocked && v.prot != ProtNone
}

// guardedStart returns the lowest address that no other area may use: the start
// of the area, less the guard gap of an area that grows down.
func (v *vma) guardedStart() uint64 {
	if !v.has(areaGrowsDown) {
		return v.start
	}
	return v.start - min(v.start, StackGuardGap)
}

// pageIndex returns the index of the object's page at the address.
func (v *vma) pageIndex(address uint64) uint64 {
	return (v.offset + (address - v.start)) / PageSize
}

// allows says whether the protection permits the access.
func (v *vma) allows(access Access) bool {
	switch access {
	case AccessWrite:
		return v.prot&ProtWrite != 0
	case AccessExec:
		return v.prot&ProtExec != 0
	}
	return v.prot != ProtNone
}

// continues says whether v and the area below it have the same properties, and the
// addresses and offsets of v follow those of below. Whether they can be merged then
// depends on their anonymous pages.
func (v *vma) continues(below *vma) bool {
	return below.end == v.start && below.prot == v.prot && below.maxProt == v.maxProt &&
		below.flags == v.flags && !v.has(areaFixedSize) &&
		below.object == v.object && below.file == v.file && below.name == v.name &&
		below.offset+below.length() == v.offset
}

// mergesWith says whether the anonymous pages of v permit a merge with a changed or new
// area that has the anonymous pages anon (Linux: is_mergeable_anon_vma).
func (v *vma) mergesWith(anon *anonymousPages) bool {
	return v.anon == anon || anon == nil && v.anon != nil && !v.inherited
}

// prepareAnonymous gives the area an identity of its anonymous pages before the first
// one: that of a neighbour with the same properties, so that the two can be merged,
// or a new one (Linux: find_mergeable_anon_vma).
func (v *vma) prepareAnonymous() {
	if v.anon != nil {
		return
	}
	switch {
	case v.next != nil && v.next.hasReusableIdentity(v, v.next):
		v.anon = v.next.anon
	case v.prev != nil && v.prev.hasReusableIdentity(v.prev, v):
		v.anon = v.prev.anon
	default:
		v.anon = new(anonymousPages)
	}
}

// hasReusableIdentity says whether a neighbour of v can use the identity of v. below and
// above are the two in order of address. Only the protection may differ (Linux:
// reusable_anon_vma).
func (v *vma) hasReusableIdentity(below, above *vma) bool {
	return v.anon != nil && !v.inherited && below.end == above.start && below.flags == above.flags &&
		below.object == above.object && below.file == above.file && below.offset+below.length() == above.offset
}

// retain takes the area's reference to its file and registers the area with its
// object.
func (as *AddressSpace) retain(v *vma) {
	if v.file != nil {
		v.file.IncRef()
	}
	if v.object != nil {
		v.object.Mappings().add(as, v)
	}
}

// release undoes retain. flushAndUnlock drops the file reference after the
// lock is released.
func (as *AddressSpace) release(v *vma) {
	if v.object != nil {
		as.hits.Store(nil)
		v.object.Mappings().remove(as, v)
	}
	if v.file != nil {
		as.closing = append(as.closing, v.file)
	}
}

// link adds an area to the address space and its counters. The caller must have
// checked all limits.
func (as *AddressSpace) link(v *vma) {
	as.retain(v)
	as.areas.insert(v)
	as.account(v, v.pages())
}

// unlink undoes link. The caller must have unmapped the area's pages.
func (as *AddressSpace) unlink(v *vma) {
	as.account(v, -v.pages())
	as.areas.remove(v)
	as.release(v)
}

// split divides an area at the address and returns the upper part.
func (as *AddressSpace) split(v *vma, address uint64) *vma {
	upper := new(vma)
	*upper = *v
	upper.node = node{}
	upper.start = address
	upper.offset += address - v.start
	as.areas.resize(v, v.start, address)
	as.retain(upper)
	as.areas.insert(upper)
	return upper
}

// isolate splits areas so that one begins at start and one ends at end, and
// returns the first area in the range, or nil. It fails with ENOMEM if more than
// max_map_count areas would remain after the caller removes the given number.
func (as *AddressSpace) isolate(start, end uint64, removes int) (*vma, error) {
	v := as.areas.find(start)
	if start >= end || v == nil || v.start >= end {
		return nil, nil
	}
	splits := 0
	if v.start < start {
		splits++
	}
	if last := as.areas.find(end - 1); last != nil && last.start < end && last.end > end {
		splits++
	}
	if splits > 0 && as.areas.count+splits-removes > as.memory.maxMapCount() {
		return nil, unix.ENOMEM
	}
	if splits > removes && as.memory.Admit(int64(splits)*areaBytes) != nil {
		return nil, unix.ENOMEM
	}
	if v.start < start {
		v = as.split(v, start)
	}
	if last := as.areas.find(end - 1); last != nil && last.start < end && last.end > end {
		as.split(last, end)
	}
	return v, nil
}

// merge merges the areas in [start, end], whose properties have changed, with each
// other and with the neighbours that touch the range at either end (Linux:
// vma_merge).
func (as *AddressSpace) merge(start, end uint64) {
	v := as.areas.find(start)
	if v == nil {
		return
	}
	changed := v.anon // of the changed area that v ends with
	if v.prev != nil && v.prev.end == v.start {
		v = v.prev
	}
	for v.next != nil && v.next.start <= end {
		next := v.next
		var join bool
		if next.start < end {
			changed = next.anon
			join = v.mergesWith(changed)
		} else {
			join = next.mergesWith(changed) && (v.anon == nil || next.anon == nil || v.anon == next.anon)
		}
		if !join || !next.continues(v) {
			v = next
			continue
		}
		as.join(v)
	}
}

// mergeNew merges a new area, which has no anonymous pages, with its neighbours. As in
// Linux (mmap_region), the one above comes first: if both have anonymous pages of
// different identity, it is merged with that one only.
func (as *AddressSpace) mergeNew(v *vma) {
	if next := v.next; next != nil && next.continues(v) && next.mergesWith(nil) {
		as.join(v)
	}
	as.mergeBelow(v)
}

// mergeBelow merges an area with the one below it, if possible.
func (as *AddressSpace) mergeBelow(v *vma) {
	if prev := v.prev; prev != nil && v.continues(prev) && prev.mergesWith(v.anon) {
		as.join(prev)
	}
}

// mergeAbove merges an area that has grown with the one above it, if possible.
func (as *AddressSpace) mergeAbove(v *vma) {
	if next := v.next; next != nil && next.continues(v) && next.mergesWith(v.anon) {
		as.join(v)
	}
}

// join extends v over the next area and removes that one.
func (as *AddressSpace) join(v *vma) {
	next := v.next
	if v.anon == nil {
		v.anon, v.inherited = next.anon, next.inherited
	}
	end := next.end
	as.areas.remove(next)
	as.release(next)
	as.areas.resize(v, v.start, end)
}
