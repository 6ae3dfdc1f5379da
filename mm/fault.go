package mm

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// Fault resolves a page fault: it makes the page at the address accessible if
// the area there permits the access. The address need not be valid. It may
// sleep.
func (as *AddressSpace) Fault(address uint64, access Access) FaultResult {
	as.mu.Lock()
	defer as.flushAndUnlock()
	as.counters.faults.Add(1)
	return as.fault(address, access)
}

// fault is Fault with the address space locked.
func (as *AddressSpace) fault(address uint64, access Access) FaultResult {
	if address >= UserEnd {
		return FaultNoMapping
	}
	if as.reaped || as.broken {
		return FaultBus
	}
	v := as.areas.find(address)
	if v == nil || v.start > address && !as.growStack(v, address) {
		return FaultNoMapping
	}
	if !v.allows(access) {
		return FaultDenied
	}
	address = pageDown(address)
	t, err := as.tables.makeLeaf(address)
	if err != nil {
		return FaultNoMemory
	}
	f := fault{as: as, v: v, address: address, write: access == AccessWrite, table: t, slot: amd64.Index(address, amd64.LevelPT)}
	return faultResult(f.resolve())
}

// faultResult converts the error of fault.resolve to a FaultResult.
func faultResult(err error) FaultResult {
	switch err {
	case nil:
		return FaultResolved
	case unix.ENOMEM:
		return FaultNoMemory
	}
	return FaultBus
}

// fault is one page fault for an access that the area permits.
type fault struct {
	as      *AddressSpace
	v       *vma
	address uint64 // of the page
	write   bool
	table   *table // the last-level table
	slot    int    // index of the entry in table
}

// resolve provides the page. Its errors are ENOMEM and those of
// Mappable.Page.
func (f *fault) resolve() error {
	e := f.table.get(f.slot)
	switch {
	case e == 0 && f.v.anonymous():
		return f.fillAnonymous()
	case e == 0:
		return f.fillFromObject()
	case f.write && e&entryWritable == 0:
		return f.makeWritable(e)
	}
	return nil // another task has resolved the fault
}

// set writes the entry for a frame and takes over the caller's reference.
func (f *fault) set(n frame.Number, writable, anonymous bool) {
	f.table.set(f.slot, makeEntry(n, f.v.prot, writable, anonymous))
}

// fillAnonymous maps the shared zero page for a read, and a new zeroed frame
// for a write.
func (f *fault) fillAnonymous() error {
	if !f.write {
		f.set(f.as.memory.zero, false, false)
		return nil
	}
	n, err := f.as.memory.AllocateZeroed()
	if err != nil {
		return err
	}
	f.v.prepareAnonymous()
	f.set(n, true, true)
	f.as.resident(f.v, true, 1)
	return nil
}

// fillFromObject maps a page of the object, or a private copy of it. In a shared
// writable area the page is mapped writable even for a read, which saves a
// second fault at the first write.
func (f *fault) fillFromObject() error {
	v := f.v
	shared := v.has(areaShared)
	n, err := v.object.Page(v.pageIndex(f.address), shared && v.prot&ProtWrite != 0)
	if err != nil {
		return err
	}
	if !shared && (f.write || f.isPatched(n)) {
		return f.fillCopy(n)
	}
	f.set(n, shared, false)
	f.as.resident(v, false, 1)
	f.fillAround()
	return nil
}

// isPatched reports whether the object's page n must be copied because a patch applies to
// it.
func (f *fault) isPatched(n frame.Number) bool {
	p, patched := f.as.patchesAt(f.v, f.address)
	return patched && p.needsCopy(f.as.memory.Bytes(n))
}

// patch applies the patches of the page to a new private copy of the object's page.
func (f *fault) patch(private frame.Number) {
	if p, patched := f.as.patchesAt(f.v, f.address); patched {
		p.patchCopy(f.as.memory.Bytes(private))
	}
}

// fillCopy maps a private copy of the object's page n and drops the reference
// to n.
func (f *fault) fillCopy(n frame.Number) error {
	private, err := f.as.memory.copyOf(n)
	f.as.memory.Put(n)
	if err != nil {
		return err
	}
	f.patch(private)
	f.v.prepareAnonymous()
	f.set(private, true, true)
	f.as.resident(f.v, true, 1)
	return nil
}

// copyOf returns a new frame with the contents of n.
func (m *Memory) copyOf(n frame.Number) (frame.Number, error) {
	private, err := m.Allocate()
	if err == nil {
		copy(m.Bytes(private), m.Bytes(n))
	}
	return private, err
}

// aroundPages is the maximum number of file pages that one fault maps, like
// fault_around_bytes in Linux.
const aroundPages = 16

// fillAround maps the surrounding pages that the object has in its cache,
// because one fault costs more than many entries. The window is aligned, so it
// stays within one table, and is clipped to the area.
func (f *fault) fillAround() {
	v := f.v
	const window = aroundPages * PageSize
	start := max(f.address&^(window-1), v.start)
	end := min(f.address&^(window-1)+window, v.end)
	var cached [aroundPages]frame.Number
	pages := cached[:(end-start)/PageSize]
	v.object.CachedPages(v.pageIndex(start), pages)
	var mapped int64
	first := amd64.Index(start, amd64.LevelPT)
	anyPatched := v.hasCopies() && v.object.Mappings().patched.Load() != 0
	for i, n := range pages {
		switch {
		case n == frame.None:
		case f.table.get(first+i) != 0 || anyPatched && f.as.isPatched(v, start+uint64(i)*PageSize):
			f.as.memory.Put(n)
		default:
			f.table.set(first+i, makeEntry(n, v.prot, v.has(areaShared), false))
			mapped++
		}
	}
	if mapped > 0 {
		f.as.resident(v, false, mapped)
	}
}

// makeWritable resolves a write to a page that is mapped read-only: a page of a
// shared area, the zero page, a file page, or a page shared by fork. An
// anonymous page with a single reference becomes writable in place. Other
// private pages are copied.
func (f *fault) makeWritable(e entry) error {
	m := f.as.memory
	if f.v.has(areaShared) {
		return f.makeSharedWritable(e)
	}
	anonymous := e&entryAnonymous != 0
	if anonymous && m.Refs(e.frame()) == 1 {
		f.table.set(f.slot, e.protect(f.v.prot, true))
		return nil
	}
	private, err := m.copyOf(e.frame())
	if err != nil {
		return err
	}
	if !anonymous && e.frame() != m.zero {
		f.patch(private)
	}
	f.v.prepareAnonymous()
	f.set(private, true, true)
	f.as.gather.page(f.address, e.frame())
	if anonymous {
		return nil
	}
	if e.frame() != m.zero {
		f.as.resident(f.v, false, -1)
	}
	f.as.resident(f.v, true, 1)
	return nil
}

// makeSharedWritable gets write access to the page from the object, then makes
// the entry writable.
func (f *fault) makeSharedWritable(e entry) error {
	n, err := f.v.object.Page(f.v.pageIndex(f.address), true)
	if err != nil {
		return err
	}
	f.as.memory.Put(n) // the entry already holds a reference
	f.table.set(f.slot, e.protect(f.v.prot, true))
	return nil
}

// Stop reports whether a long operation must end early, because the task that
// requested it has a fatal signal. A nil Stop never does. With Unlocked it may let other tasks
// run; with Locked it must not sleep.
type Stop func(Point) bool

// Point says where an operation calls a Stop.
type Point uint8

// The values of Point.
const (
	Locked   Point = iota // the address space is locked
	Unlocked              // the operation holds no lock
)

// stops calls a Stop that may be nil.
func (s Stop) stops(at Point) bool { return s != nil && s(at) }

// Populate makes the pages of the range present; pages of private writable
// areas become writable (MAP_POPULATE, mlock). It stops at the first failure
// and returns EINTR if stop reports true, ENOMEM if nothing is mapped there or no
// memory is free, EFAULT otherwise. It may sleep.
func (as *AddressSpace) Populate(start, length uint64, stop Stop) error {
	end := start + length
	for address := start; address < end; {
		if stop.stops(Unlocked) {
			return unix.EINTR
		}
		next, err := as.populateRange(address, min(end, address+populateBatch))
		if err != nil {
			return err
		}
		address = next
	}
	return nil
}

// populateLocked makes the pages of all locked areas present. It ignores failures
// other than EINTR (Linux: mm_populate).
func (as *AddressSpace) populateLocked(stop Stop) {
	for address := uint64(0); ; {
		start, end := as.nextPopulated(address)
		if start == end || as.Populate(start, end-start, stop) == unix.EINTR {
			return
		}
		address = end
	}
}

// nextPopulated returns the bounds of the first area above the address whose pages
// must be present, or an empty range.
func (as *AddressSpace) nextPopulated(address uint64) (start, end uint64) {
	as.mu.Lock()
	defer as.mu.Unlock()
	for v := as.areas.find(address); v != nil; v = v.next {
		if v.populated() {
			return max(v.start, address), v.end
		}
	}
	return 0, 0
}

// populateBatch is how many bytes Populate handles before it releases the
// address space's lock.
const populateBatch = 64 * PageSize

// populateRange is populate with the address space not locked.
func (as *AddressSpace) populateRange(start, end uint64) (uint64, error) {
	as.mu.Lock()
	defer as.flushAndUnlock()
	return as.populate(start, end)
}

// populate makes [start, end) present and returns end. The address space is
// locked.
func (as *AddressSpace) populate(start, end uint64) (uint64, error) {
	for address := start; address < end; address += PageSize {
		v := as.areas.find(address)
		if v == nil || v.start > address {
			return address, unix.ENOMEM
		}
		access := AccessRead
		if v.prot&ProtWrite != 0 && !v.has(areaShared) {
			access = AccessWrite
		}
		switch as.fault(address, access) {
		case FaultResolved:
		case FaultNoMemory:
			return address, unix.ENOMEM
		default:
			return address, unix.EFAULT
		}
	}
	return end, nil
}

// growStack extends v, the first area above the address, down to the address.
// It returns false if v does not grow down, or if the guard gap or a limit
// forbids it (mm/mmap.c, expand_downwards and acct_stack_growth).
func (as *AddressSpace) growStack(v *vma, address uint64) bool {
	address = pageDown(address)
	if !v.has(areaGrowsDown) || address < MinAddress {
		return false
	}
	below := v.prev
	if below != nil && !below.has(areaGrowsDown) && below.prot != ProtNone && address-min(address, below.end) < StackGuardGap {
		return false
	}
	grow := v.start - address
	if v.end-address > as.limits.Stack || as.checkSpace(grow, false) != nil {
		return false
	}
	pages := int64(grow / PageSize)
	if v.has(areaLocked) && as.lockedWith(pages) > as.limits.Locked {
		return false
	}
	if v.has(areaCharged) && as.memory.mayCommit(pages) != nil {
		return false
	}
	as.areas.resize(v, address, v.end)
	if v.anonymous() {
		v.offset -= grow
	}
	as.account(v, pages)
	return true
}
