package mm

import (
	"maps"

	"golang.org/x/sys/unix"
)

// Fork returns a copy of the address space with one reference, for fork(2).
// Private pages are shared copy-on-write. It fails with ENOMEM, or with EINTR if stop
// reports true.
func (as *AddressSpace) Fork(stop Stop) (*AddressSpace, error) {
	child, err := as.memory.NewAddressSpace()
	if err != nil {
		return nil, err
	}
	complete := false
	defer func() {
		if !complete { // an error, or a panic
			child.DecRef()
		}
	}()
	if err := as.copyTo(child, stop); err != nil {
		return nil, err
	}
	complete = true
	return child, nil
}

// copyTo copies the areas, the limits and the layout to a new child. It fails with
// ENOMEM.
func (as *AddressSpace) copyTo(child *AddressSpace, stop Stop) error {
	as.mu.Lock()
	defer as.flushAndUnlock()
	size := int64(as.areas.count) * areaBytes
	if err := as.memory.Reserve(size); err != nil {
		return err
	}
	defer as.memory.Unreserve(size)
	child.mu.Lock()
	defer child.flushAndUnlock()
	child.SetDumpable(as.Dumpable())
	child.breakpoints.Store(as.HasBreakpoints())
	child.foreign = maps.Clone(as.foreign)
	child.limits, child.layout, child.brk = as.limits, as.layout, as.brk
	return as.copyAreas(child, stop)
}

// copyAreas copies the areas that the child inherits: all but those with
// MADV_DONTFORK. The copies are not locked (mlock(2), "Notes").
func (as *AddressSpace) copyAreas(child *AddressSpace, stop Stop) error {
	for v := as.areas.first; v != nil; v = v.next {
		if v.has(areaDontFork) {
			continue
		}
		if v.has(areaCharged) {
			if err := as.memory.mayCommit(v.pages()); err != nil {
				return err
			}
		}
		inherited := new(vma)
		*inherited = *v
		inherited.node = node{}
		inherited.flags &^= areaLocked | areaLockFault
		inherited.inheritAnonymous()
		child.link(inherited)
		if v.has(areaWipeOnFork) {
			continue
		}
		if err := as.copyEntries(child, v, inherited, stop); err != nil {
			return err
		}
	}
	return nil
}

// inheritAnonymous gives the copy of an area an identity of its own, if the area has
// anonymous pages that the copy keeps (Linux: anon_vma_fork).
func (v *vma) inheritAnonymous() {
	switch {
	case v.has(areaWipeOnFork):
		v.anon, v.inherited = nil, false
	case v.anon != nil:
		v.anon, v.inherited = new(anonymousPages), true
	}
}

// copyEntries copies the page table entries of the area. Private pages become
// read-only in parent and child, so that the next write copies them. Entries of the
// zero page are left out: the child faults them in.
func (as *AddressSpace) copyEntries(child *AddressSpace, v, inherited *vma, stop Stop) error {
	m := as.memory
	private := !v.has(areaShared)
	var anonymous, other, visited int64
	var failed error
	as.tables.visit(v.start, v.end, func(address uint64, t *table, i int) {
		if visited++; failed == nil && visited%tableLength == 0 && stop.stops(Locked) {
			failed = unix.EINTR
		}
		if failed != nil || t.get(i).frame() == m.zero {
			return
		}
		target, err := child.tables.makeLeaf(address)
		if err != nil {
			failed = err
			return
		}
		e := t.get(i)
		if private && e&entryWritable != 0 {
			e &^= entryWritable
			t.set(i, e)
			as.gather.cover(address, address+PageSize)
		}
		m.Get(e.frame())
		target.set(i, e)
		if e&entryAnonymous != 0 {
			anonymous++
		} else {
			other++
		}
	})
	child.uncount(inherited, -anonymous, -other)
	return failed
}
