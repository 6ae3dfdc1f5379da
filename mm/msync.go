package mm

import (
	"golang.org/x/sys/unix"

	"slowpath/mm/frame"
)

// Msync checks its arguments (msync(2)). It writes nothing back, because all
// files exist only in the page cache. It fails with EINVAL, EBUSY or ENOMEM.
func (as *AddressSpace) Msync(start, length uint64, flags int) error {
	const both = unix.MS_SYNC | unix.MS_ASYNC
	if flags&^(both|unix.MS_INVALIDATE) != 0 || flags&both == both || start&pageMask != 0 {
		return unix.EINVAL
	}
	end := start + pageUp(length)
	if end < start {
		return unix.ENOMEM
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	var err error
	for start < end {
		v := as.areas.find(start)
		if v == nil || v.start >= end {
			return unix.ENOMEM
		}
		if v.start > start {
			err = unix.ENOMEM // the remaining areas are still checked, for EBUSY
		}
		if flags&unix.MS_INVALIDATE != 0 && v.has(areaLocked) {
			return unix.EBUSY
		}
		start = v.end
	}
	return err
}

// mincoreBatch is how many pages Mincore passes to put in one call.
const mincoreBatch = 512

// Mincore reports which pages of the range are resident (mincore(2)). It passes
// one byte per page to put, in order and in batches, without holding locks. It
// fails with EINVAL, ENOMEM, or the error of put.
func (as *AddressSpace) Mincore(start, length uint64, put func(vec []byte) error) error {
	if start&pageMask != 0 {
		return unix.EINVAL
	}
	if length > UserEnd || start > UserEnd-length {
		return unix.ENOMEM
	}
	vec := make([]byte, mincoreBatch)
	for end := start + pageUp(length); start < end; {
		n := min(mincoreBatch, (end-start)/PageSize)
		if err := as.residency(start, vec[:n]); err != nil {
			return err
		}
		if err := put(vec[:n]); err != nil {
			return err
		}
		start += n * PageSize
	}
	return nil
}

// residency fills vec for the pages from start on.
func (as *AddressSpace) residency(start uint64, vec []byte) error {
	as.mu.Lock()
	defer as.mu.Unlock()
	var cached [1]frame.Number
	for i := range vec {
		address := start + uint64(i)*PageSize
		v := as.areas.find(address)
		if v == nil || v.start > address {
			return unix.ENOMEM
		}
		vec[i] = 0
		if as.tables.lookup(address).held() {
			vec[i] = 1
			continue
		}
		if v.object == nil {
			continue
		}
		v.object.CachedPages(v.pageIndex(address), cached[:])
		if cached[0] != frame.None {
			as.memory.Put(cached[0])
			vec[i] = 1
		}
	}
	return nil
}
