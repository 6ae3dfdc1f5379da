package mm

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// RemapRequest holds the arguments of Mremap, as in mremap(2).
type RemapRequest struct {
	Addr, OldLength, NewLength uint64
	Flags                      int    // MREMAP_*
	NewAddr                    uint64 // with MREMAP_FIXED; a hint with MREMAP_DONTUNMAP
	Below4GiB                  bool   // as in MapRequest
	Stop                       Stop   // ends the population of a locked area early
}

// Mremap grows, shrinks or moves a mapping and returns its address
// (mremap(2)). It fails with EAGAIN, EFAULT, EINVAL, ENOMEM or EPERM.
func (as *AddressSpace) Mremap(r RemapRequest) (uint64, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	var addr uint64
	var populate bool
	var err error
	as.change(func() { addr, populate, err = as.mremap(r) })
	if err == nil && populate && r.NewLength > r.OldLength {
		as.Populate(addr+r.OldLength, r.NewLength-r.OldLength, r.Stop)
	}
	return addr, err
}

// check rounds the lengths and makes the checks that need no area.
func (r *RemapRequest) check() error {
	const known = unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED | unix.MREMAP_DONTUNMAP
	moves := r.Flags&unix.MREMAP_MAYMOVE != 0
	keeps := r.Flags&unix.MREMAP_DONTUNMAP != 0
	r.OldLength, r.NewLength = pageUp(r.OldLength), pageUp(r.NewLength)
	switch {
	case r.Flags&^known != 0,
		r.Flags&unix.MREMAP_FIXED != 0 && !moves,
		keeps && (!moves || r.OldLength != r.NewLength),
		r.Addr&pageMask != 0,
		r.NewLength == 0:
		return unix.EINVAL
	}
	return nil
}

// mremap shrinks, extends or moves the mapping. It also returns whether the
// caller must populate the new pages. The address space is locked.
func (as *AddressSpace) mremap(r RemapRequest) (addr uint64, populate bool, err error) {
	v := as.areas.find(r.Addr)
	if v == nil || v.start > r.Addr {
		return 0, false, unix.EFAULT
	}
	switch {
	case r.Flags&(unix.MREMAP_FIXED|unix.MREMAP_DONTUNMAP) != 0:
		return as.remapTo(v, r)
	case r.OldLength >= r.NewLength:
		return r.Addr, false, as.shrink(r)
	}
	if err := as.checkRemap(v, r); err != nil {
		return 0, false, err
	}
	if as.canExtend(v, r) {
		return r.Addr, v.populated(), as.extend(v, r)
	}
	if r.Flags&unix.MREMAP_MAYMOVE == 0 {
		return 0, false, unix.ENOMEM
	}
	at, err := as.freeRange(0, r.NewLength, as.searchBase(r.Below4GiB))
	if err != nil {
		return 0, false, err
	}
	return at, v.populated(), as.move(v, r, at)
}

// shrink unmaps the part of the mapping beyond the new length.
func (as *AddressSpace) shrink(r RemapRequest) error {
	if !as.withinEnd(r.Addr, r.OldLength) {
		return unix.EINVAL
	}
	return as.unmap(r.Addr+r.NewLength, r.Addr+r.OldLength)
}

// checkRemap checks whether the mapping can have the new length (mm/mremap.c,
// vma_to_resize).
func (as *AddressSpace) checkRemap(v *vma, r RemapRequest) error {
	if r.OldLength == 0 && !v.has(areaShared) {
		return unix.EINVAL
	}
	if r.Flags&unix.MREMAP_DONTUNMAP != 0 && v.has(areaFixedSize) {
		return unix.EINVAL
	}
	if r.OldLength > v.end-r.Addr {
		return unix.EFAULT
	}
	if r.NewLength == r.OldLength {
		return nil
	}
	if v.has(areaFixedSize) {
		return unix.EFAULT
	}
	offset := v.offset + (r.Addr - v.start)
	if v.object != nil && offset+r.NewLength < offset {
		return unix.EINVAL
	}
	if r.NewLength < r.OldLength {
		return nil
	}
	return as.checkGrowth(v, r.NewLength-r.OldLength)
}

// checkGrowth checks the limits for growing the area by the given bytes.
func (as *AddressSpace) checkGrowth(v *vma, bytes uint64) error {
	pages := int64(bytes / PageSize)
	if v.has(areaLocked) && as.lockedWith(pages) > as.limits.Locked {
		return unix.EAGAIN
	}
	if err := as.checkSpace(bytes, v.data()); err != nil {
		return err
	}
	if v.has(areaCharged) {
		return as.memory.mayCommit(pages)
	}
	return nil
}

// canExtend says whether the mapping ends at the end of its area and the
// addresses above it are free.
func (as *AddressSpace) canExtend(v *vma, r RemapRequest) bool {
	if r.OldLength != v.end-r.Addr || !as.withinEnd(r.Addr, r.NewLength) {
		return false
	}
	return v.next == nil || r.Addr+r.NewLength <= v.next.guardedStart()
}

// extend grows the area in place.
func (as *AddressSpace) extend(v *vma, r RemapRequest) error {
	as.account(v, int64(r.NewLength-r.OldLength)/PageSize)
	as.areas.resize(v, v.start, r.Addr+r.NewLength)
	as.mergeAbove(v)
	return nil
}

// remapTo handles MREMAP_FIXED and MREMAP_DONTUNMAP (mm/mremap.c, mremap_to).
func (as *AddressSpace) remapTo(v *vma, r RemapRequest) (addr uint64, populate bool, err error) {
	if err := as.checkTarget(&r); err != nil {
		return 0, false, err
	}
	at := r.NewAddr
	if r.Flags&unix.MREMAP_FIXED != 0 {
		if err := as.unmap(at, at+r.NewLength); err != nil {
			return 0, false, err
		}
	}
	if r.OldLength > r.NewLength {
		if err := as.shrink(r); err != nil {
			return 0, false, err
		}
		r.OldLength = r.NewLength
	}
	if v = as.areas.find(r.Addr); v == nil || v.start > r.Addr {
		return 0, false, unix.EFAULT
	}
	if err := as.checkRemap(v, r); err != nil {
		return 0, false, err
	}
	if r.Flags&unix.MREMAP_DONTUNMAP != 0 && as.checkSpace(r.NewLength, v.data()) != nil {
		return 0, false, unix.ENOMEM
	}
	if r.Flags&unix.MREMAP_FIXED == 0 {
		if at, err = as.freeRange(r.NewAddr, r.NewLength, as.searchBase(r.Below4GiB)); err != nil {
			return 0, false, err
		}
	}
	return at, v.populated(), as.move(v, r, at)
}

// checkTarget checks the new address of the request.
func (as *AddressSpace) checkTarget(r *RemapRequest) error {
	if r.NewAddr&pageMask != 0 || !as.withinEnd(r.NewAddr, r.NewLength) {
		return unix.EINVAL
	}
	if r.Addr+r.OldLength > r.NewAddr && r.NewAddr+r.NewLength > r.Addr {
		return unix.EINVAL
	}
	if r.Flags&unix.MREMAP_FIXED != 0 && r.NewAddr < as.memory.minAddress() {
		return unix.EPERM
	}
	return nil
}

// move moves the mapping to a free range at the address. With an old length of
// 0 it maps the same pages of a shared object a second time.
func (as *AddressSpace) move(v *vma, r RemapRequest, at uint64) error {
	if as.areas.count >= as.memory.maxMapCount()-3 {
		return unix.ENOMEM
	}
	moved := new(vma)
	*moved = *v
	moved.node = node{}
	moved.offset += r.Addr - v.start
	moved.start, moved.end = at, at+r.NewLength
	if v.anonymous() && v.anon == nil {
		moved.offset = at
	}
	if err := as.prepareMove(r, at); err != nil {
		return err
	}
	as.link(moved)
	as.moveEntries(r, at)
	err := as.vacateSource(r)
	as.merge(at, at+r.NewLength)
	return err
}

// prepareMove allocates the tables at the new address in advance, because
// moveEntries must not fail.
func (as *AddressSpace) prepareMove(r RemapRequest, at uint64) error {
	var failed error
	as.tables.visit(r.Addr, r.Addr+r.OldLength, func(address uint64, _ *table, _ int) {
		if failed == nil {
			_, failed = as.tables.makeLeaf(at + (address - r.Addr))
		}
	})
	return failed
}

// moveEntries moves the page table entries to the new address.
func (as *AddressSpace) moveEntries(r RemapRequest, at uint64) {
	as.hits.Store(nil)
	as.moveForeign(r.Addr, r.Addr+r.OldLength, at)
	as.tables.visit(r.Addr, r.Addr+r.OldLength, func(address uint64, t *table, i int) {
		target := at + (address - r.Addr)
		as.tables.leaf(target).set(amd64.Index(target, amd64.LevelPT), t.get(i))
		t.set(i, 0)
		as.gather.page(address, frame.None)
	})
}

// vacateSource unmaps the old range. With MREMAP_DONTUNMAP it keeps the old
// range mapped without pages, and unlocks its whole area, as Linux 6.1.
func (as *AddressSpace) vacateSource(r RemapRequest) error {
	start, end := r.Addr, r.Addr+r.OldLength
	if start == end {
		return nil
	}
	if r.Flags&unix.MREMAP_DONTUNMAP == 0 {
		return as.unmap(start, end)
	}
	v := as.areas.find(start)
	as.setFlags(v, v.flags&^(areaLocked|areaLockFault))
	return nil
}

// setFlags changes the flags of a whole area and adjusts the counters.
func (as *AddressSpace) setFlags(v *vma, flags areaFlags) {
	as.account(v, -v.pages())
	v.flags = flags
	as.account(v, v.pages())
}
