package mm

// Brk moves the end of the heap to the address and returns the resulting end.
// The end is unchanged if the address is below the heap's start, overlaps
// another mapping, or exceeds a limit or the available memory (brk(2), "C
// library/kernel differences"). stop ends the population of a locked heap early.
func (as *AddressSpace) Brk(address uint64, stop Stop) uint64 {
	var old, brk uint64
	var ok, populate bool
	as.change(func() {
		old = as.brk
		if ok = as.moveBrk(address); ok {
			as.brk = address
		}
		brk, populate = as.brk, as.lockFuture == areaLocked
	})
	if ok && populate && address > old {
		as.Populate(pageUp(old), pageUp(address)-pageUp(old), stop)
	}
	return brk
}

// Heap is the range of the heap. End is not rounded to pages.
type Heap struct{ Start, End uint64 }

// Heap returns the range of the heap.
func (as *AddressSpace) Heap() Heap {
	as.mu.Lock()
	defer as.mu.Unlock()
	return Heap{as.layout.BrkStart, as.brk}
}

// SetHeap sets the range of the heap, and changes no mapping (prctl(2), PR_SET_MM_BRK).
func (as *AddressSpace) SetHeap(h Heap) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.layout.BrkStart, as.brk = h.Start, h.End
}

// AreaEndsAbove says whether an area ends above the address (Linux: find_vma).
func (as *AddressSpace) AreaEndsAbove(address uint64) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.areas.find(address) != nil
}

// moveBrk maps or unmaps the pages between the old and the new end, and says
// whether it succeeded. The address space is locked.
func (as *AddressSpace) moveBrk(address uint64) bool {
	if address < as.layout.BrkStart || as.layout.BrkStart == 0 || address > as.layout.End-PageSize {
		return false
	}
	oldEnd, newEnd := pageUp(as.brk), pageUp(address)
	switch {
	case newEnd == oldEnd:
		return true
	case newEnd < oldEnd:
		return as.unmap(newEnd, oldEnd) == nil
	}
	next := as.areas.find(oldEnd)
	if next != nil && newEnd+PageSize > next.guardedStart() {
		return false
	}
	v := &vma{start: oldEnd, end: newEnd, offset: oldEnd, prot: ProtRead | ProtWrite, maxProt: ProtAll, flags: as.lockFuture}
	if as.checkRoom(v, oldEnd, newEnd) != nil {
		return false
	}
	as.link(v)
	as.mergeBelow(v)
	return true
}
