package mm

import (
	"golang.org/x/sys/unix"

	"slowpath/mm/frame"
)

// Mprotect changes the protection of a range (mprotect(2)). prot holds PROT_*
// bits and may include PROT_GROWSDOWN. It fails with EINVAL, EACCES or ENOMEM, and
// with EINTR if stop reports true between two areas. On failure, the areas below the
// failing address have already changed.
func (as *AddressSpace) Mprotect(start, length uint64, prot int, stop Stop) error {
	const known = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC | protSemaphore | unix.PROT_GROWSDOWN
	if start&pageMask != 0 {
		return unix.EINVAL
	}
	if length == 0 {
		return nil
	}
	end := start + pageUp(length)
	if end <= start {
		return unix.ENOMEM
	}
	if prot&^known != 0 {
		return unix.EINVAL
	}
	as.mu.Lock()
	defer as.flushAndUnlock()
	if prot&unix.PROT_GROWSDOWN != 0 {
		var err error
		if start, err = as.growsDownStart(start, end); err != nil {
			return err
		}
	}
	err := as.protect(start, end, Prot(prot)&ProtAll, stop)
	as.merge(start, end)
	return err
}

// protSemaphore is PROT_SEM, which x86 accepts and ignores.
const protSemaphore = 8

// growsDownStart returns the start of the area that contains start and grows
// down. PROT_GROWSDOWN extends the change down to it.
func (as *AddressSpace) growsDownStart(start, end uint64) (uint64, error) {
	v := as.areas.find(start)
	if v == nil || v.start >= end {
		return 0, unix.ENOMEM
	}
	if !v.has(areaGrowsDown) {
		return 0, unix.EINVAL
	}
	return min(start, v.start), nil
}

// protect changes area by area and stops at a hole or at an error.
func (as *AddressSpace) protect(start, end uint64, prot Prot, stop Stop) error {
	for start < end {
		if stop.stops(Locked) {
			return unix.EINTR
		}
		v := as.areas.find(start)
		if v == nil || v.start > start {
			return unix.ENOMEM
		}
		next := min(v.end, end)
		if err := as.protectArea(v, start, next, prot); err != nil {
			return err
		}
		start = next
	}
	return nil
}

// protectArea changes [start, end), which lies in the area.
func (as *AddressSpace) protectArea(v *vma, start, end uint64, prot Prot) error {
	if prot&^v.maxProt != 0 {
		return unix.EACCES
	}
	if prot == v.prot {
		return nil
	}
	flags, err := as.chargeFor(v, int64(end-start)/PageSize, prot)
	if err != nil {
		return err
	}
	if v, err = as.isolate(start, end, 0); err != nil {
		return err
	}
	as.account(v, -v.pages())
	before := v.prot
	v.prot, v.flags = prot, flags
	as.account(v, v.pages())
	as.protectEntries(v)
	as.protectPatches(v, before)
	return nil
}

// chargeFor checks the limits for giving that many pages of the area the
// protection, and returns the area's new flags.
func (as *AddressSpace) chargeFor(v *vma, pages int64, prot Prot) (areaFlags, error) {
	changed := vma{prot: prot, flags: v.flags}
	if changed.data() && !v.data() {
		used := uint64(as.counters.data.Load()+pages) * PageSize
		if used > as.limits.Data {
			return 0, unix.ENOMEM
		}
	}
	if changed.chargeable() && !v.has(areaCharged) {
		if err := as.memory.mayCommit(pages); err != nil {
			return 0, err
		}
		changed.flags |= areaCharged
	}
	return changed.flags, nil
}

// revokes says whether a cached translation of e would allow more than the new
// entry, so that a TLB shootdown is needed. A translation that allows less
// needs none: the access faults and Fault resolves it.
func (e entry) revokes(changed entry) bool {
	const rights = entryPresent | entryWritable
	return e&^changed&rights != 0 || e&entryPresent != 0 && changed&^e&entryNoExec != 0
}

// protectEntries updates the entries of the area to its protection. It makes a
// page writable only if a write needs no copy and no call of Mappable.Page.
func (as *AddressSpace) protectEntries(v *vma) {
	as.tables.visit(v.start, v.end, func(address uint64, t *table, i int) {
		e := t.get(i)
		own := e&entryAnonymous != 0 && as.memory.Refs(e.frame()) == 1
		changed := e.protect(v.prot, own || e&entryWritable != 0)
		if changed == e {
			return
		}
		t.set(i, changed)
		if e.revokes(changed) {
			as.gather.page(address, frame.None)
		}
	})
}
