package mm

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"slowpath/mm/frame"
)

// Machine is what mm needs of the hardware and of the layer below the Go
// runtime. goos implements it on metal, mmtest for tests on the host. All
// methods are safe for concurrent use.
type Machine interface {
	// AllocFrames fills dst with free frames of unspecified contents and
	// returns how many it got.
	AllocFrames(dst []frame.Number) int
	// FreeFrames gives frames back.
	FreeFrames(src []frame.Number)
	// FreeCount returns the number of free frames.
	FreeCount() int
	// Shootdown returns when no CPU can use an old translation of the user
	// addresses [start, end) under the page tables at physical address root.
	// It may sleep.
	Shootdown(root, start, end uint64)
	// DropRoot returns when no CPU has the page tables at root loaded. It may
	// sleep.
	DropRoot(root uint64)
	// CopyUser copies n bytes between kernel memory and the user address,
	// with the page tables at root loaded, and returns how many bytes it
	// copied: all of them, or those before the first that faulted. The user
	// range does not cross a page boundary. kernel may point into the stack of
	// the calling goroutine: it must stay an unsafe.Pointer, so that it follows
	// the stack, and must not be kept.
	CopyUser(root uint64, kernel unsafe.Pointer, user uint64, n int, toUser bool) int
}

// Config says what a Memory stands on.
type Config struct {
	// Machine gives out frames and knows the CPUs.
	Machine Machine
	// DirectMap is the address at which physical address 0 is mapped.
	DirectMap uintptr
	// Infos is the address of the frame metadata (frame.Allocator.Infos).
	Infos uintptr
	// TotalFrames is how much memory the machine has, for statistics and for
	// the overcommit heuristic.
	TotalFrames int
	// Reserve is how many frames are left to the kernel's own heap: when
	// fewer are free, Allocate fails.
	Reserve int
	// KernelRoot is the physical address of a PML4 table whose upper half is
	// copied into every address space. It must not change any more. 0 leaves
	// the upper half empty.
	KernelRoot uint64
}

// magazineSize is how many free frames Memory keeps at hand; half of them move
// to or from the Machine at a time.
const magazineSize = 128

// Memory is the physical memory as user pages, page tables and page caches
// see it: frames with reference counts. All methods are safe for concurrent
// use; none sleeps.
type Memory struct {
	machine    Machine
	directMap  uintptr
	infos      uintptr
	total      int
	reserve    int
	kernelHalf [256]uint64 // PML4 entries 256..511
	zero       frame.Number

	mu       sync.Mutex
	magazine [magazineSize]frame.Number
	loaded   int // frames in the magazine

	overcommit atomic.Int32
	committed  atomic.Int64 // pages promised to private writable mappings
	tables     atomic.Int64 // frames in use as page tables
	anonymous  atomic.Int64 // mapped anonymous pages of all address spaces
	shared     atomic.Int64 // frames of shared anonymous memory and of files

	sharedInodes atomic.Uint64 // inode numbers given to shared anonymous memory
}

// New returns the memory that the configuration describes. It fails with
// ENOMEM when there is not even a frame for the zero page.
func New(c Config) (*Memory, error) {
	m := &Memory{
		machine: c.Machine, directMap: c.DirectMap, infos: c.Infos,
		total: c.TotalFrames, reserve: c.Reserve,
	}
	if c.KernelRoot != 0 {
		root := m.table(frame.Number(c.KernelRoot >> frame.Shift))
		for i := range m.kernelHalf {
			m.kernelHalf[i] = root[256+i].Load()
		}
	}
	zero, err := m.AllocateZeroed()
	m.zero = zero
	return m, err
}

// Allocate returns a frame with one reference and unspecified contents: the
// caller overwrites all of it before a user can see it. It fails with ENOMEM
// when no more than the kernel's reserve is left.
func (m *Memory) Allocate() (frame.Number, error) {
	m.mu.Lock()
	if m.loaded == 0 && !m.load() {
		m.mu.Unlock()
		return frame.None, unix.ENOMEM
	}
	m.loaded--
	n := m.magazine[m.loaded]
	m.mu.Unlock()
	frame.InfoAt(m.infos, n).Refs.Store(1)
	return n, nil
}

// AllocateZeroed is Allocate for a frame full of zeros.
func (m *Memory) AllocateZeroed() (frame.Number, error) {
	n, err := m.Allocate()
	if err == nil {
		clear(m.Bytes(n))
	}
	return n, err
}

// load fills half of the empty magazine. m.mu is held.
func (m *Memory) load() bool {
	spare := m.machine.FreeCount() - m.reserve
	if spare <= 0 {
		return false
	}
	m.loaded = m.machine.AllocFrames(m.magazine[:min(spare, magazineSize/2)])
	return m.loaded > 0
}

// Get adds a reference to a frame that the caller knows to have one.
func (m *Memory) Get(n frame.Number) {
	if n != m.zero {
		frame.InfoAt(m.infos, n).Refs.Add(1)
	}
}

// Put drops a reference. With the last one the frame is free.
func (m *Memory) Put(n frame.Number) {
	if n != m.zero && m.drop(n) {
		m.mu.Lock()
		m.keep(n)
		m.mu.Unlock()
	}
}

// PutAll drops a reference of each frame, for less than as many calls of Put
// cost.
func (m *Memory) PutAll(frames []frame.Number) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range frames {
		if n != m.zero && m.drop(n) {
			m.keep(n)
		}
	}
}

// drop drops a reference and says whether it was the last. A count below zero
// is a frame that was freed twice: the machine's state cannot be trusted then.
func (m *Memory) drop(n frame.Number) (last bool) {
	refs := frame.InfoAt(m.infos, n).Refs.Add(-1)
	if refs < 0 {
		panic("mm: reference of a free frame dropped")
	}
	return refs == 0
}

// keep puts a free frame into the magazine. m.mu is held.
func (m *Memory) keep(n frame.Number) {
	if m.loaded == magazineSize {
		m.loaded = magazineSize / 2
		m.machine.FreeFrames(m.magazine[m.loaded:])
	}
	m.magazine[m.loaded] = n
	m.loaded++
}

// Drain gives the frames at hand back to the Machine, so that the kernel's
// heap can have them.
func (m *Memory) Drain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.machine.FreeFrames(m.magazine[:m.loaded])
	m.loaded = 0
}

// Refs returns how many references the frame has.
func (m *Memory) Refs(n frame.Number) int { return int(frame.InfoAt(m.infos, n).Refs.Load()) }

// Zero returns the frame of zeros that all address spaces share. Nobody may
// write into it, and its references are not counted.
func (m *Memory) Zero() frame.Number { return m.zero }

// Bytes returns the PageSize bytes of the frame, by the direct map. The caller
// holds a reference for as long as it uses them.
func (m *Memory) Bytes(n frame.Number) []byte {
	return (*[PageSize]byte)(pointer(m.directMap + uintptr(n)<<frame.Shift))[:]
}

// Stats is what /proc/meminfo and sysinfo(2) tell about memory, in pages.
type Stats struct {
	Total      int   // all memory of the machine
	Free       int   // free, the frames at hand included
	Available  int   // free and not reserved to the kernel
	Anonymous  int64 // mapped anonymous pages
	Shared     int64 // pages of shared anonymous memory and of files in memory (Shmem)
	PageTables int64 // page tables
	Committed  int64 // promised to private writable mappings (Committed_AS)
}

// Stats returns a snapshot.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	free := m.machine.FreeCount() + m.loaded
	m.mu.Unlock()
	return Stats{
		Total: m.total, Free: free, Available: max(free-m.reserve, 0),
		Anonymous: m.anonymous.Load(), Shared: m.shared.Load(),
		PageTables: m.tables.Load(), Committed: m.committed.Load(),
	}
}

// CountShared adds pages to Stats.Shared: a file system in memory says so what
// its files have. Any context.
func (m *Memory) CountShared(pages int64) { m.shared.Add(pages) }

// pointer turns an address of the direct map, which is no Go object, into a
// pointer. The detour by memory tells vet and checkptr that this is meant.
//
//go:nosplit
func pointer(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}
