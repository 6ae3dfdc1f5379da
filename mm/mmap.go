package mm

import (
	"golang.org/x/sys/unix"

	"slowpath/mm/frame"
)

// MapRequest holds the arguments of Mmap.
type MapRequest struct {
	// Addr is the address with MAP_FIXED or MAP_FIXED_NOREPLACE, else a hint.
	// Length is in bytes.
	Addr, Length uint64
	// Prot is the protection of the mapping.
	Prot Prot
	// MaxProt is the most that mprotect may set later. 0 means ProtAll.
	MaxProt Prot
	// Flags are MAP_* of mmap(2). MAP_ANONYMOUS is ignored: a nil Object means
	// anonymous memory.
	Flags int
	// Object is the mapped object, or nil for anonymous memory.
	Object Mappable
	// File is the mapped open file, or nil. Mmap takes its own references.
	File File
	// Offset is the start of the mapping in Object, in bytes, a multiple of
	// PageSize.
	Offset uint64
	// Name is the name in /proc/pid/maps of a mapping without a file, such as
	// "[stack]".
	Name string
	// Below4GiB places a mapping without a fixed address below UserEnd32: the call was made
	// by 32-bit code, whose pointers are no wider.
	Below4GiB bool
	// Stop ends MAP_POPULATE early.
	Stop Stop
}

// Mmap maps a range and returns its address (mmap(2)). It fails with EINVAL,
// ENOMEM, EEXIST, EPERM, EAGAIN or EOVERFLOW as the man page says. The caller
// must check the errors that depend on the file descriptor (EBADF, EACCES,
// ENODEV).
func (as *AddressSpace) Mmap(r MapRequest) (uint64, error) {
	v, err := r.area()
	if err != nil {
		return 0, err
	}
	length := v.length()
	var addr uint64
	var populate bool
	as.change(func() {
		addr, err = as.mmap(r, v)
		populate = v.populated() || r.Flags&(unix.MAP_POPULATE|unix.MAP_NONBLOCK) == unix.MAP_POPULATE
	})
	if err == nil && populate {
		as.Populate(addr, length, r.Stop)
	}
	return addr, err
}

// area validates the request and converts it to an area at address 0.
func (r *MapRequest) area() (*vma, error) {
	length := pageUp(r.Length)
	if r.Length == 0 || r.Offset&pageMask != 0 {
		return nil, unix.EINVAL
	}
	if length == 0 || length > UserEnd {
		return nil, unix.ENOMEM
	}
	if r.Offset+length < r.Offset {
		return nil, unix.EOVERFLOW
	}
	shared := r.Flags&unix.MAP_TYPE != unix.MAP_PRIVATE
	if shared && r.Flags&unix.MAP_GROWSDOWN != 0 {
		return nil, unix.EINVAL
	}
	v := &vma{
		end: length, prot: r.Prot & ProtAll, maxProt: r.MaxProt,
		object: r.Object, file: r.File, offset: r.Offset, name: r.Name,
	}
	if v.maxProt == ProtNone {
		v.maxProt = ProtAll
	}
	if shared {
		v.flags |= areaShared
	}
	for _, f := range mapFlags {
		if r.Flags&f.mmap != 0 {
			v.flags |= f.area
		}
	}
	return v, nil
}

// mapFlags are the flags of mmap(2) that become properties of the area.
var mapFlags = [...]struct {
	mmap int
	area areaFlags
}{
	{unix.MAP_GROWSDOWN, areaGrowsDown},
	{unix.MAP_NORESERVE, areaNoReserve},
	{unix.MAP_LOCKED, areaLocked},
}

// mmap places the area and links it. The address space is locked.
func (as *AddressSpace) mmap(r MapRequest, v *vma) (uint64, error) {
	v.flags |= as.lockFuture
	if as.memory.Overcommit() == OvercommitNever {
		v.flags &^= areaNoReserve
	}
	if r.Flags&unix.MAP_LOCKED != 0 && as.limits.Locked == 0 {
		return 0, unix.EPERM
	}
	addr, err := as.place(r, v.length())
	if err != nil {
		return 0, err
	}
	end := addr + v.length()
	if err := as.checkRoom(v, addr, end); err != nil {
		return 0, err
	}
	if err := as.unmap(addr, end); err != nil {
		return 0, err
	}
	v.start, v.end = addr, end
	if v.anonymous() {
		v.offset = addr
	}
	if v.has(areaShared) && v.object == nil {
		object := newSharedAnonymous(as.memory, uint64(v.pages()))
		v.object, v.file, v.offset = object, object, 0
		as.closing = append(as.closing, object) // drops the reference that newSharedAnonymous returned
	}
	as.link(v)
	as.mergeNew(v)
	return addr, nil
}

// place chooses the address of a mapping (mmap(2), the paragraphs on addr,
// MAP_FIXED and MAP_FIXED_NOREPLACE).
func (as *AddressSpace) place(r MapRequest, length uint64) (uint64, error) {
	switch {
	case r.Flags&(unix.MAP_FIXED|unix.MAP_FIXED_NOREPLACE) != 0:
	case r.Flags&unix.MAP_32BIT != 0 && !r.Below4GiB: // 32-bit code has no such flag
		return as.freeLowRange(r.Addr, length)
	default:
		return as.freeRange(r.Addr, length, as.searchBase(r.Below4GiB))
	}
	if r.Addr&pageMask != 0 {
		return 0, unix.EINVAL
	}
	if !as.withinEnd(r.Addr, length) {
		return 0, unix.ENOMEM
	}
	if r.Addr < as.memory.minAddress() {
		return 0, unix.EPERM
	}
	if r.Flags&unix.MAP_FIXED_NOREPLACE != 0 && as.overlaps(r.Addr, r.Addr+length) {
		return 0, unix.EEXIST
	}
	return r.Addr, nil
}

// overlaps says whether any area overlaps the range.
func (as *AddressSpace) overlaps(start, end uint64) bool {
	v := as.areas.find(start)
	return v != nil && v.start < end
}

// mapBase32 is where a search for a mapping of 32-bit code in a 64-bit program starts
// (Linux: mmap_compat_base).
var mapBase32 = MapBase(UserEnd32, 8<<20, 0)

// searchBase returns where the search for a free range starts.
func (as *AddressSpace) searchBase(below4GiB bool) uint64 {
	if below4GiB {
		return min(as.layout.MapBase, mapBase32)
	}
	return as.layout.MapBase
}

// freeRange returns the start of a free range of the length: the hint if it is
// not 0 and free, else an address that the layout determines. base is where the search
// starts: the layout's MapBase, or less.
func (as *AddressSpace) freeRange(hint, length, base uint64) (uint64, error) {
	if at := max(pageUp(hint), as.memory.minAddress()); hint != 0 && as.isFree(at, length) {
		return at, nil
	}
	if !as.layout.BottomUp {
		if at := as.areas.highestGap(length, base); at != 0 {
			return at, nil
		}
	}
	end := as.layout.End
	if base < as.layout.MapBase {
		end = UserEnd32
	}
	// Fall back to the same address as Linux, TASK_UNMAPPED_BASE.
	low := pageDown(end / 3)
	if as.layout.BottomUp && as.layout.MapBase != 0 {
		low = base
	}
	if at := as.areas.lowestGap(length, low, end); at != 0 && at <= end-length {
		return at, nil
	}
	return 0, unix.ENOMEM
}

// isFree says whether a range lies below the end of the layout and overlaps neither an
// area nor a guard gap.
func (as *AddressSpace) isFree(at, length uint64) bool {
	if !as.withinEnd(at, length) {
		return false
	}
	next := as.areas.find(at)
	return next == nil || at+length <= next.guardedStart()
}

// freeLowRange is freeRange for MAP_32BIT. It searches the second gigabyte.
func (as *AddressSpace) freeLowRange(hint, length uint64) (uint64, error) {
	const start, end = 1 << 30, 2 << 30
	if length > end-start {
		return 0, unix.ENOMEM
	}
	if at := pageUp(hint); hint != 0 && at >= as.memory.minAddress() && at <= end-length && as.isFree(at, length) {
		return at, nil
	}
	if at := as.areas.lowestGap(length, start, end); at != 0 && at <= end-length {
		return at, nil
	}
	return 0, unix.ENOMEM
}

// checkRoom checks all limits for a new area that replaces the mappings in the
// range, and sets areaCharged if the area counts in Committed_AS.
func (as *AddressSpace) checkRoom(v *vma, start, end uint64) error {
	if as.areas.count >= as.memory.maxMapCount() || as.memory.Admit(areaBytes) != nil {
		return unix.ENOMEM
	}
	old := as.mappedIn(start, end)
	if err := as.checkSpace(v.length()-min(old, v.length()), v.data()); err != nil {
		return err
	}
	if v.has(areaLocked) && as.lockedWith(v.pages()) > as.limits.Locked {
		return unix.EAGAIN
	}
	if v.has(areaShared) && v.anonymous() && !v.has(areaNoReserve) {
		return as.memory.mayCommit(v.pages())
	}
	if !v.chargeable() {
		return nil
	}
	if err := as.memory.mayCommit(v.pages()); err != nil {
		return err
	}
	v.flags |= areaCharged
	return nil
}

// lockedWith returns how many bytes would be locked after locking the given
// number of additional pages.
func (as *AddressSpace) lockedWith(pages int64) uint64 {
	return uint64(as.counters.locked.Load()+pages) * PageSize
}

// mappedIn returns how many bytes of the range are mapped.
func (as *AddressSpace) mappedIn(start, end uint64) uint64 {
	var sum uint64
	for v := as.areas.find(start); v != nil && v.start < end; v = v.next {
		sum += min(v.end, end) - max(v.start, start)
	}
	return sum
}

// Munmap unmaps a range (munmap(2)). It fails with EINVAL, or with ENOMEM if a
// split would exceed max_map_count. It unmaps many pages piece by piece, and calls stop between
// the pieces, but does not end early.
func (as *AddressSpace) Munmap(addr, length uint64, stop Stop) error {
	length = pageUp(length)
	if addr&pageMask != 0 || length == 0 {
		return unix.EINVAL
	}
	if !as.withinEnd(addr, length) {
		return unix.EINVAL
	}
	end := addr + length
	return as.inPieces(addr, end, stop, func(start, next uint64) error {
		err := as.unmap(start, next)
		if err == unix.ENOMEM && next < end {
			// Two splits are too many. To unmap the rest at once may take only one.
			err = as.unmap(start, end)
		}
		return err
	})
}

// withinEnd reports whether a range lies below the end of the layout, which a task changes only in
// execve(2).
func (as *AddressSpace) withinEnd(addr, length uint64) bool {
	return length <= as.layout.End && addr <= as.layout.End-length
}

// unmap removes all areas from the range and the page tables that become
// unused. The address space is locked.
func (as *AddressSpace) unmap(start, end uint64) error {
	v, err := as.isolate(start, end, 1)
	if v == nil {
		return err
	}
	floor := uint64(0)
	if v.prev != nil {
		floor = v.prev.end
	}
	for v != nil && v.start < end {
		v = as.drop(v, floor)
	}
	return nil
}

// drop removes an area and the page tables that become unused, and returns the
// next area. No other area may lie between floor and the area.
func (as *AddressSpace) drop(v *vma, floor uint64) (next *vma) {
	next = v.next
	ceiling := uint64(1 << 47)
	if next != nil {
		ceiling = next.start
	}
	as.zap(v, v.start, v.end)
	as.unlink(v)
	as.detachTables(v.start, v.end, floor, ceiling)
	return next
}

// detachTables frees the tables that map parts of [start, end) and no address
// outside [floor, ceiling). The caller guarantees that no area remains in
// [floor, ceiling).
func (as *AddressSpace) detachTables(start, end, floor, ceiling uint64) {
	as.tables.detach(start, end, floor, ceiling, func(n frame.Number) {
		as.gather.table(n)
		// One page is enough: INVLPG invalidates all paging-structure caches,
		// regardless of its address (Intel SDM, volume 3, section 4.10.4.1).
		as.gather.cover(start, start+PageSize)
	})
}
