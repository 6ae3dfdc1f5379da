package mm

import (
	"golang.org/x/sys/unix"
)

// advice implements one MADV_* value: it changes flags of areas or acts on their
// pages. The zero advice is accepted and has no effect: there is no read-ahead
// and no swap.
type advice struct {
	set, clear areaFlags
	// refuses returns the errno with which the advice fails on an area, or 0.
	refuses func(v *vma) unix.Errno
	// apply acts on [start, end) of an area. The address space is locked.
	apply func(as *AddressSpace, v *vma, start, end uint64)
}

// advices are the supported MADV_* values, except those that Madvise handles
// without the lock held (MADV_REMOVE and MADV_POPULATE_*). MADV_HUGEPAGE and
// MADV_MERGEABLE fail as on a Linux without transparent huge pages and KSM.
var advices = map[int]advice{
	unix.MADV_NORMAL:     {clear: areaSequential | areaRandom},
	unix.MADV_RANDOM:     {set: areaRandom, clear: areaSequential},
	unix.MADV_SEQUENTIAL: {set: areaSequential, clear: areaRandom},
	unix.MADV_WILLNEED:   {},
	unix.MADV_DONTNEED:   {refuses: refuseFixed, apply: (*AddressSpace).zap},
	unix.MADV_FREE:       {refuses: refuseFree, apply: (*AddressSpace).zap},
	unix.MADV_COLD:       {refuses: refuseFixed},
	unix.MADV_PAGEOUT:    {refuses: refuseFixed},
	unix.MADV_DONTFORK:   {set: areaDontFork},
	unix.MADV_DOFORK:     {clear: areaDontFork},
	unix.MADV_DONTDUMP:   {set: areaDontDump},
	unix.MADV_DODUMP:     {clear: areaDontDump},
	unix.MADV_WIPEONFORK: {set: areaWipeOnFork, refuses: refuseObject},
	unix.MADV_KEEPONFORK: {clear: areaWipeOnFork},
}

func refuseFixed(v *vma) unix.Errno {
	if v.flags&(areaLocked|areaFixedSize) != 0 {
		return unix.EINVAL
	}
	return 0
}

func refuseObject(v *vma) unix.Errno {
	if !v.anonymous() {
		return unix.EINVAL
	}
	return 0
}

func refuseFree(v *vma) unix.Errno {
	if e := refuseObject(v); e != 0 {
		return e
	}
	return refuseFixed(v)
}

// Madvise applies advice to a range (madvise(2)). It fails with EINVAL, ENOMEM,
// EACCES, EFAULT, or EINTR if stop reports true. Holes in the range are skipped, and
// the result is ENOMEM.
func (as *AddressSpace) Madvise(start, length uint64, behavior int, stop Stop) error {
	a, known := advices[behavior]
	special := behavior == unix.MADV_REMOVE || behavior == unix.MADV_POPULATE_READ || behavior == unix.MADV_POPULATE_WRITE
	end := start + pageUp(length)
	switch {
	case !known && !special, start&pageMask != 0, length > 0 && pageUp(length) == 0, end < start:
		return unix.EINVAL
	case end == start:
		return nil
	case behavior == unix.MADV_REMOVE:
		return as.removePages(start, end)
	case special:
		access := AccessRead
		if behavior == unix.MADV_POPULATE_WRITE {
			access = AccessWrite
		}
		return as.prefault(start, end, access, stop)
	}
	if a.apply != nil {
		return as.applyInPieces(start, end, a, stop)
	}
	as.mu.Lock()
	defer as.flushAndUnlock()
	err := as.advise(start, end, a)
	as.merge(start, end)
	return err
}

// applyInPieces applies advice that changes no flags. It goes on after a hole.
func (as *AddressSpace) applyInPieces(start, end uint64, a advice, stop Stop) error {
	var hole error
	err := as.inPieces(start, end, stop, func(start, end uint64) error {
		err := as.advise(start, end, a)
		if err == unix.ENOMEM {
			hole, err = err, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return hole
}

// advise applies the advice area by area.
func (as *AddressSpace) advise(start, end uint64, a advice) error {
	var result error
	for start < end {
		v := as.areas.find(start)
		if v == nil || v.start >= end {
			return unix.ENOMEM
		}
		if v.start > start {
			result = unix.ENOMEM
			start = v.start
		}
		next := min(v.end, end)
		if err := as.adviseArea(v, start, next, a); err != nil {
			return err
		}
		start = next
	}
	return result
}

func (as *AddressSpace) adviseArea(v *vma, start, end uint64, a advice) error {
	if a.refuses != nil {
		if errno := a.refuses(v); errno != 0 {
			return errno
		}
	}
	if a.apply != nil {
		a.apply(as, v, start, end)
	}
	flags := v.flags&^a.clear | a.set
	if flags == v.flags {
		return nil
	}
	v, err := as.isolate(start, end, 0)
	if err == nil {
		v.flags = flags
	}
	return err
}

// removePages implements MADV_REMOVE: it punches holes into the objects of
// shared writable areas. It calls PunchHole without the lock held, because
// PunchHole calls Mappings.Zap, which takes it.
func (as *AddressSpace) removePages(start, end uint64) error {
	for start < end {
		puncher, file, offset, next, err := as.holeAt(start, end)
		if err != nil {
			return err
		}
		err = puncher.PunchHole(offset, next-start)
		file.DecRef()
		if err != nil {
			return err
		}
		start = next
	}
	return nil
}

// holeAt returns the hole to punch at start: the object, its file with a
// reference that the caller drops, the offset in the object, and the end of the
// area.
func (as *AddressSpace) holeAt(start, end uint64) (HolePuncher, File, uint64, uint64, error) {
	as.mu.Lock()
	defer as.mu.Unlock()
	v := as.areas.find(start)
	if v == nil || v.start > start {
		return nil, nil, 0, 0, unix.ENOMEM
	}
	puncher, ok := v.object.(HolePuncher)
	if !ok || v.file == nil || v.has(areaLocked) {
		return nil, nil, 0, 0, unix.EINVAL
	}
	if !v.has(areaShared) || v.prot&ProtWrite == 0 {
		return nil, nil, 0, 0, unix.EACCES
	}
	v.file.IncRef()
	return puncher, v.file, v.offset + start - v.start, min(v.end, end), nil
}

// prefault implements MADV_POPULATE_READ and MADV_POPULATE_WRITE.
func (as *AddressSpace) prefault(start, end uint64, access Access, stop Stop) error {
	for ; start < end; start += PageSize {
		if stop.stops(Unlocked) {
			return unix.EINTR
		}
		hole, result := false, FaultNoMapping
		as.change(func() {
			v := as.areas.find(start)
			switch hole = v == nil || v.start > start; {
			case hole:
			case access == AccessRead && v.prot&ProtRead == 0:
				result = FaultDenied // though the CPU reads what can be written (Linux: check_vma_flags)
			default:
				result = as.fault(start, access)
			}
		})
		switch {
		case hole, result == FaultNoMemory:
			return unix.ENOMEM
		case result == FaultDenied:
			return unix.EINVAL
		case result != FaultResolved:
			return unix.EFAULT
		}
	}
	return nil
}
