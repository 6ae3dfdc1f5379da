package mm

import (
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/mm/frame"
)

// Unlimited means no limit (RLIM_INFINITY).
const Unlimited = math.MaxUint64

// Limits are the resource limits on memory, in bytes (getrlimit(2)).
type Limits struct {
	Space  uint64 // RLIMIT_AS
	Data   uint64 // RLIMIT_DATA
	Stack  uint64 // RLIMIT_STACK
	Locked uint64 // RLIMIT_MEMLOCK; Unlimited for holders of CAP_IPC_LOCK
}

// AddressSpace is the user half of a set of page tables together with its
// areas: mm_struct in Linux. It is reference-counted and shared by the tasks
// that were cloned with CLONE_VM. All methods are safe for concurrent use and
// may sleep, unless they say otherwise.
type AddressSpace struct {
	memory *Memory
	refs   atomic.Int32

	mu         sync.Mutex
	tables     pageTables
	areas      areas
	gather     gather
	closing    []File // references to drop when mu is released
	limits     Limits
	layout     Layout
	brk        uint64 // end of the heap, not rounded
	lockFuture areaFlags
	reaped     bool // see Reap
	broken     bool // a change panicked: see flushAndUnlock
	dumpable   atomic.Uint32

	counters counters

	// changes counts the flushes of translations, before their frames are freed:
	// see Peek.
	changes atomic.Uint64

	breakpoints atomic.Bool              // see HasBreakpoints
	hits        atomic.Pointer[hitTable] // see PatchAt
	foreign     map[uint64]bool          // addresses of a debugger's breakpoints: see remoteWrite
	attached    atomic.Pointer[Attached] // see Attach
}

// counters are the memory statistics that proc(5) shows. They are written with
// the address space locked and read without the lock.
type counters struct {
	anonymous, file, shared atomic.Int64 // resident pages
	mapped                  atomic.Int64 // pages of all areas
	data, stack, exec       atomic.Int64 // pages of areas by kind
	locked                  atomic.Int64
	peakMapped              atomic.Int64
	peakResident            atomic.Int64
	tables                  atomic.Int64
	faults                  atomic.Int64
	areas                   atomic.Int64 // number of areas at the last change
}

// Layout is the address space layout that exec chooses. Zero fields have
// defaults.
type Layout struct {
	// MapBase is where mmap starts its search: downwards, or upwards if
	// BottomUp is set. See the function MapBase.
	MapBase  uint64
	BottomUp bool
	// BrkStart is where the heap begins, on a page boundary. The heap is empty
	// at first.
	BrkStart uint64
	// Vsyscall is what Regions shows of the vsyscall page; ProtNone hides it.
	Vsyscall Prot
	// End is the exclusive upper bound of mappings: UserEnd by default, UserEnd32 for a
	// 32-bit program.
	End uint64
}

// NewAddressSpace returns an empty address space with one reference and no limits. It
// fails with ENOMEM.
func (m *Memory) NewAddressSpace() (*AddressSpace, error) {
	as := &AddressSpace{
		memory: m,
		limits: Limits{Unlimited, Unlimited, Unlimited, Unlimited},
		layout: Layout{MapBase: MapBase(UserEnd, 8<<20, 0), End: UserEnd},
	}
	if err := as.tables.init(m, &as.counters.tables); err != nil {
		return nil, err
	}
	as.refs.Store(1)
	return as, nil
}

// Memory returns the Memory that the address space allocates its frames from.
func (as *AddressSpace) Memory() *Memory { return as.memory }

// Root returns the physical address of the page tables, for CR3. It is valid
// while the caller holds a reference.
func (as *AddressSpace) Root() uint64 { return as.tables.root.Address() }

// IncRef adds a reference. The caller must hold one. It does not sleep.
func (as *AddressSpace) IncRef() { as.refs.Add(1) }

// TryIncRef adds a reference unless the count is 0, in which case it returns
// false. Code that inspects other tasks uses it. It does not sleep.
func (as *AddressSpace) TryIncRef() bool {
	for {
		refs := as.refs.Load()
		if refs == 0 {
			return false
		}
		if as.refs.CompareAndSwap(refs, refs+1) {
			return true
		}
	}
}

// Refs returns the number of references.
func (as *AddressSpace) Refs() int { return int(as.refs.Load()) }

// DecRef drops a reference. Dropping the last one frees everything that the
// address space holds, after the page tables are unloaded from all CPUs.
func (as *AddressSpace) DecRef() { as.DecRefInPieces(nil) }

// DecRefInPieces is DecRef for a caller that holds no lock. While it frees many pages, it calls stop
// now and then, but does not end early.
func (as *AddressSpace) DecRefInPieces(stop Stop) {
	if as.refs.Add(-1) == 0 {
		as.destroy(stop)
	}
}

func (as *AddressSpace) destroy(stop Stop) {
	as.memory.machine.DropRoot(as.Root())
	as.emptyAreas(stop)
	for as.destroyAreas() {
		stop.stops(Unlocked)
	}
	as.mu.Lock()
	defer as.flushAndUnlock()
	as.gather.table(as.tables.root)
	as.tables.addCount(-1)
	if a := as.Attached(); a != nil {
		a.SpaceDestroyed()
	}
}

// emptyAreas frees the pages of large areas, piece by piece, if stop is not nil.
func (as *AddressSpace) emptyAreas(stop Stop) {
	if stop == nil {
		return
	}
	for start, more := as.emptyPiece(0); more; start, more = as.emptyPiece(start) {
		stop.stops(Unlocked)
	}
}

// emptyPiece frees some pages of the first large area that has an address from start on. It returns
// from where to go on, and false if there is none.
func (as *AddressSpace) emptyPiece(start uint64) (next uint64, more bool) {
	as.mu.Lock()
	defer as.flushAndUnlock()
	for v := as.areas.find(start); v != nil; v = v.next {
		if v.end-v.start <= pieceBytes {
			continue
		}
		start = max(start, v.start)
		next = as.tables.reach(start, v.end)
		as.zap(v, start, next)
		as.gather.start, as.gather.end = 0, 0 // DropRoot left no CPU with a translation
		return next, true
	}
	return 0, false
}

// destroyBatch is how many areas are destroyed at a time. The list of files that are
// dropped with them takes memory, which many dying processes may need at once.
const destroyBatch = 256

// destroyAreas destroys some areas, and reports whether there are more.
func (as *AddressSpace) destroyAreas() (more bool) {
	as.mu.Lock()
	defer as.flushAndUnlock()
	v := as.areas.first
	for n := 0; v != nil && n < destroyBatch; n++ {
		v = as.drop(v, 0)
	}
	as.changes.Add(1)
	as.gather.start, as.gather.end = 0, 0 // DropRoot left no CPU with a translation
	return v != nil
}

// flushAndUnlock ends a change of the address space that began with mu.Lock. It
// flushes the changed translations from every TLB, frees their frames, releases
// the lock, and drops the references to files that are no longer mapped. The
// files come last because closing one may take other locks.
//
// Defer it, because a panic must release the lock too.
//
// After a panic the areas and the page tables may contradict each other, so every later
// page fault fails. Another process may share the address space (vfork(2)).
func (as *AddressSpace) flushAndUnlock() {
	v := recover()
	as.broken = as.broken || v != nil
	for _, f := range as.endChange() {
		f.DecRef()
	}
	if v != nil {
		panic(v)
	}
}

// endChange is flushAndUnlock but for the files, which it returns.
func (as *AddressSpace) endChange() (closing []File) {
	defer as.mu.Unlock()
	closing, as.closing = as.closing, nil
	as.flush()
	as.counters.areas.Store(int64(as.areas.count))
	return closing
}

// change calls f with the address space locked.
func (as *AddressSpace) change(f func()) {
	as.mu.Lock()
	defer as.flushAndUnlock()
	f()
}

// Dumpable says who may read the memory of a program (prctl(2), PR_SET_DUMPABLE).
type Dumpable uint32

// The values of Dumpable, with those of /proc/sys/fs/suid_dumpable.
const (
	NotDumpable    Dumpable = 0 // SUID_DUMP_DISABLE: a privileged task
	DumpableByUser Dumpable = 1 // SUID_DUMP_USER: every task with the same ids
	DumpableByRoot Dumpable = 2 // SUID_DUMP_ROOT: a privileged task; a core file belongs to root
)

// Dumpable returns the value, NotDumpable for a new address space. Any context.
func (as *AddressSpace) Dumpable() Dumpable { return Dumpable(as.dumpable.Load()) }

// SetDumpable sets the value. Any context.
func (as *AddressSpace) SetDumpable(d Dumpable) { as.dumpable.Store(uint32(d)) }

// SetLimits sets the resource limits for subsequent calls.
func (as *AddressSpace) SetLimits(l Limits) {
	as.mu.Lock()
	as.limits = l
	as.mu.Unlock()
}

// SetLayout sets where mmap and brk place mappings. exec calls it before the
// program runs.
func (as *AddressSpace) SetLayout(l Layout) {
	if l.End == 0 {
		l.End = UserEnd
	}
	as.mu.Lock()
	as.layout = l
	as.brk = l.BrkStart
	as.mu.Unlock()
}

// MapBase returns the Layout.MapBase for the end of the user addresses and a stack limit
// in bytes: the end less the space that the stack may need, less a random number of bytes
// that the caller chooses (arch/x86/mm/mmap.c, mmap_base).
func MapBase(end, stackLimit, random uint64) uint64 {
	const smallest = 128 << 20
	gap := stackLimit
	if room := StackRandom(end) + StackGuardGap; gap+room > gap {
		gap += room
	}
	gap = min(max(gap, smallest), end/6*5)
	return pageDown(end - gap - min(random, (end-gap)/2))
}

// StackRandom returns the number of bytes by which exec may move the stack down from the
// end of the user addresses: 22 bits of pages, or 11 bits for 32-bit programs
// (arch/x86/include/asm/elf.h, __STACK_RND_MASK).
func StackRandom(end uint64) uint64 {
	if end <= UserEnd32 {
		return 8 << 20
	}
	return 16 << 30
}

// account adds pages (which may be negative) to the counters that the area's
// flags and protection select.
func (as *AddressSpace) account(v *vma, pages int64) {
	c := &as.counters
	raisePeak(&c.peakMapped, c.mapped.Add(pages))
	if v.data() {
		c.data.Add(pages)
	}
	if v.has(areaGrowsDown) {
		c.stack.Add(pages)
	}
	if v.prot&ProtExec != 0 && v.prot&ProtWrite == 0 {
		c.exec.Add(pages)
	}
	if v.has(areaLocked) {
		c.locked.Add(pages)
	}
	if v.has(areaCharged) {
		as.memory.committed.Add(pages)
	}
}

// raisePeak stores value in peak if it is higher.
func raisePeak(peak *atomic.Int64, value int64) {
	if value > peak.Load() {
		peak.Store(value)
	}
}

// resident adds n pages to the resident set counter of their kind.
func (as *AddressSpace) resident(v *vma, anonymous bool, n int64) {
	c := &as.counters
	switch {
	case anonymous:
		c.anonymous.Add(n)
		as.memory.anonymous.Add(n)
	case v.isSharedAnonymous():
		c.shared.Add(n)
	default:
		c.file.Add(n)
	}
	if n > 0 {
		raisePeak(&c.peakResident, c.anonymous.Load()+c.file.Load()+c.shared.Load())
	}
}

// checkSpace returns ENOMEM if mapping the given number of additional bytes
// would exceed RLIMIT_AS, or RLIMIT_DATA if they count as data.
func (as *AddressSpace) checkSpace(bytes uint64, data bool) error {
	mapped := uint64(as.counters.mapped.Load()) * PageSize
	if bytes > as.limits.Space || mapped > as.limits.Space-bytes {
		return unix.ENOMEM
	}
	if !data {
		return nil
	}
	used := uint64(as.counters.data.Load()) * PageSize
	if bytes > as.limits.Data || used > as.limits.Data-bytes {
		return unix.ENOMEM
	}
	return nil
}

// gather collects the frames that a page table change releases. They are freed
// after the TLB shootdown, when no CPU can reach them (mmu_gather in Linux).
type gather struct {
	frames     []frame.Number
	start, end uint64 // address range to flush from the TLBs
}

// gatherLimit is the number of collected frames at which zap flushes.
const gatherLimit = 2048

// page records that the entry of the address has changed. flush drops one
// reference to frame n, unless n is frame.None.
func (g *gather) page(address uint64, n frame.Number) {
	g.cover(address, address+PageSize)
	if n != frame.None {
		g.frames = append(g.frames, n)
	}
}

// cover records that translations of [start, end) have changed.
func (g *gather) cover(start, end uint64) {
	if g.end == 0 {
		g.start, g.end = start, end
		return
	}
	g.start, g.end = min(g.start, start), max(g.end, end)
}

// table records a page table that flush must free.
func (g *gather) table(n frame.Number) { g.frames = append(g.frames, n) }

// flush removes the changed translations from all TLBs, and then drops the
// references to the collected frames. The address space is locked.
func (as *AddressSpace) flush() {
	g := &as.gather
	if g.end != 0 {
		as.changes.Add(1)
		as.memory.machine.Shootdown(as.Root(), g.start, g.end)
		g.start, g.end = 0, 0
	}
	if len(g.frames) == 0 {
		return
	}
	as.memory.PutAll(g.frames)
	if cap(g.frames) > gatherLimit {
		g.frames = nil
	} else {
		g.frames = g.frames[:0]
	}
}

// zap unmaps the pages of [start, end), which lies in the area.
func (as *AddressSpace) zap(v *vma, start, end uint64) {
	as.dropForeign(start, end)
	var anonymous, other int64
	as.tables.visit(start, end, func(address uint64, t *table, i int) {
		e := t.get(i)
		t.set(i, 0)
		if e.frame() == as.memory.zero {
			as.gather.page(address, frame.None)
			return
		}
		as.gather.page(address, e.frame())
		if e&entryAnonymous != 0 {
			anonymous++
		} else {
			other++
		}
		if len(as.gather.frames) >= gatherLimit {
			as.flush()
		}
	})
	as.uncount(v, anonymous, other)
}

func (as *AddressSpace) uncount(v *vma, anonymous, other int64) {
	if anonymous != 0 {
		as.resident(v, true, -anonymous)
	}
	if other != 0 {
		as.resident(v, false, -other)
	}
}

// zapObject is Mappings.Zap for one address space.
func (as *AddressSpace) zapObject(object Mappable, first, end uint64, private bool) {
	as.mu.Lock()
	defer as.flushAndUnlock()
	for v := as.areas.first; v != nil; v = v.next {
		if v.object != object {
			continue
		}
		low := v.offset / PageSize
		high := low + uint64(v.pages())
		if from, to := max(first, low), min(end, high); from < to {
			as.zapPages(v, v.start+(from-low)*PageSize, v.start+(to-low)*PageSize, private)
		}
	}
}

// zapPages is like zap, but keeps private copies unless private is set.
func (as *AddressSpace) zapPages(v *vma, start, end uint64, private bool) {
	if private {
		as.zap(v, start, end)
		return
	}
	var other int64
	as.tables.visit(start, end, func(address uint64, t *table, i int) {
		e := t.get(i)
		if e&entryAnonymous != 0 {
			return
		}
		t.set(i, 0)
		as.gather.page(address, e.frame())
		other++
	})
	as.uncount(v, 0, other)
}
