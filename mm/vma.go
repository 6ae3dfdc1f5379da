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
	offset uint64   // of start in object, in bytes
	name   string   // "[stack]", "[vdso]", ... or empty
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

// mergeable says whether v can be merged with below.
func (v *vma) mergeable(below *vma) bool {
	return below.end == v.start && below.prot == v.prot && below.maxProt == v.maxProt &&
		below.flags == v.flags && !v.has(areaFixedSize) &&
		below.object == v.object && below.file == v.file && below.name == v.name &&
		(v.object == nil || below.offset+below.length() == v.offset)
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
	if v == nil || v.start >= end {
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
	if v.start < start {
		v = as.split(v, start)
	}
	if last := as.areas.find(end - 1); last != nil && last.start < end && last.end > end {
		as.split(last, end)
	}
	return v, nil
}

// merge merges adjacent areas in [start, end], including the neighbours that
// touch the range at either end.
func (as *AddressSpace) merge(start, end uint64) {
	v := as.areas.find(start)
	if v != nil && v.prev != nil && v.prev.end == v.start {
		v = v.prev
	}
	for v != nil && v.next != nil && v.next.start <= end {
		next := v.next
		if !next.mergeable(v) {
			v = next
			continue
		}
		upper := next.end
		as.areas.remove(next)
		as.release(next)
		as.areas.resize(v, v.start, upper)
	}
}
