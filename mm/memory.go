package mm

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"slowpath/guard"
	"slowpath/mm/frame"
	"slowpath/sysctl"
	"slowpath/tracepoint"
)

// Machine is the interface of mm to the hardware and to the layer below the Go
// runtime. goos implements it on bare metal, mmtest for tests on the host. All
// methods are safe for concurrent use.
type Machine interface {
	// AllocFrames fills dst with free frames of unspecified contents and
	// returns how many it allocated.
	AllocFrames(dst []frame.Number) int
	// FreeFrames frees the frames.
	FreeFrames(src []frame.Number)
	// FreeCount returns the number of free frames.
	FreeCount() int
	// Shootdown flushes the user addresses [start, end) of the page tables at
	// physical address root from the TLBs of all CPUs, and returns when that is
	// done. It may sleep.
	Shootdown(root, start, end uint64)
	// DropRoot unloads the page tables at root from all CPUs, and returns when
	// that is done. It may sleep.
	DropRoot(root uint64)
	// CopyUser copies n bytes between kernel memory and the user address,
	// with the page tables at root loaded, and returns how many bytes it
	// copied: n, or the number before the first fault. The user range must not
	// cross a page boundary. kernel may point into the stack of the calling
	// goroutine. The implementation must keep it as an unsafe.Pointer, because
	// the runtime adjusts only pointers when it moves the stack, and must not
	// retain it after the call.
	CopyUser(root uint64, kernel unsafe.Pointer, user uint64, n int, toUser bool) int
	// LoadUser reads the word at a user address that is a multiple of 4 atomically, with
	// the page tables at root loaded. It reports false if the access faults.
	LoadUser(root, user uint64) (value uint32, ok bool)
}

// Config is the configuration of a Memory.
type Config struct {
	// Machine allocates frames and flushes TLBs.
	Machine Machine
	// DirectMap is the address at which physical address 0 is mapped.
	DirectMap uintptr
	// Infos is the address of the frame metadata (frame.Allocator.Infos).
	Infos uintptr
	// TotalFrames is the number of frames of the machine, for statistics and
	// for the overcommit heuristic.
	TotalFrames int
	// Reserve is the number of frames reserved for the kernel's own heap.
	// Allocate fails rather than use them. The watermarks of Admit follow from it.
	Reserve int
	// CollectHeap runs the garbage collector and frees the memory that the heap does
	// not use. nil stands for doing nothing.
	CollectHeap func()
	// KernelRoot is the physical address of a PML4 table whose upper half is
	// copied into every address space. That half must not change after New.
	// 0 leaves the upper half empty.
	KernelRoot uint64
	// Settings are those of /proc/sys/vm. nil stands for sysctl.Defaults.
	Settings *sysctl.Settings
}

// magazineSize is how many free frames Memory caches. Half of them move to or
// from the Machine at a time.
const magazineSize = 128

// Memory allocates reference-counted frames for user pages, page tables and
// page caches. All methods are safe for concurrent use. None sleeps.
type Memory struct {
	// CopyFaults: a copy between the kernel and user memory has caused a page fault, which is
	// about to be resolved (exceptions:page_fault_kernel). The function runs on the goroutine
	// that copies, and may sleep if that may.
	CopyFaults tracepoint.Point[CopyFault]

	machine    Machine
	directMap  uintptr
	infos      uintptr
	total      int
	reserve    int
	kernelHalf [256]uint64 // PML4 entries 256..511
	zero       frame.Number
	heap       heapGuard

	mu       sync.Mutex
	magazine [magazineSize]frame.Number
	loaded   int // frames in the magazine

	settings  *sysctl.Settings
	committed atomic.Int64 // pages charged to private writable mappings (Committed_AS)
	tables    atomic.Int64 // frames in use as page tables
	anonymous atomic.Int64 // mapped anonymous pages of all address spaces
	shared    atomic.Int64 // frames of shared anonymous memory and of files

	sharedInodes atomic.Uint64 // last inode number assigned to shared anonymous memory
}

// New returns the memory that the configuration describes. It fails with
// ENOMEM if no frame is free for the zero page.
func New(c Config) (*Memory, error) {
	m := &Memory{
		machine: c.Machine, directMap: c.DirectMap, infos: c.Infos,
		total: c.TotalFrames, reserve: c.Reserve, settings: c.Settings,
	}
	if m.settings == nil {
		m.settings = sysctl.Defaults()
	}
	m.heap.init(c.Reserve, c.CollectHeap)
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

// Settings returns the settings of Config.
func (m *Memory) Settings() *sysctl.Settings { return m.settings }

// Allocate returns a frame with one reference and unspecified contents. The
// caller must overwrite all of it before it becomes visible to a user. It fails
// with ENOMEM when only the kernel's reserve is left.
func (m *Memory) Allocate() (frame.Number, error) {
	locked := guard.Lock(&m.mu)
	defer locked.Release()
	if m.loaded == 0 && !m.refill() {
		return frame.None, unix.ENOMEM
	}
	m.loaded--
	n := m.magazine[m.loaded]
	locked.Release()
	frame.InfoAt(m.infos, n).Refs.Store(1)
	return n, nil
}

// AllocateZeroed is like Allocate, but the frame is filled with zeros.
func (m *Memory) AllocateZeroed() (frame.Number, error) {
	n, err := m.Allocate()
	if err == nil {
		clear(m.Bytes(n))
	}
	return n, err
}

// refill fills half of the empty magazine. m.mu is held.
func (m *Memory) refill() bool {
	free := m.machine.FreeCount()
	if int64(free) < m.heap.below.Load() {
		m.wakeReclaimer()
	}
	spare := free - m.userReserve()
	if spare <= 0 {
		return false
	}
	m.loaded = m.machine.AllocFrames(m.magazine[:min(spare, magazineSize/2)])
	return m.loaded > 0
}

// userReserve returns the number of free frames that user pages leave: Config.Reserve,
// or min_free_kbytes if that is more.
func (m *Memory) userReserve() int {
	return max(m.reserve, int(m.settings.MinFreeKBytes.Get()/(PageSize/1024)))
}

// Get adds a reference to a frame. The caller must know that it has one.
func (m *Memory) Get(n frame.Number) {
	if n != m.zero {
		frame.InfoAt(m.infos, n).Refs.Add(1)
	}
}

// Put drops a reference. Dropping the last one frees the frame.
func (m *Memory) Put(n frame.Number) {
	if n != m.zero && m.drop(n) {
		m.release(n)
	}
}

// release frees a frame without references.
func (m *Memory) release(n frame.Number) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pushFree(n)
}

// PutAll drops one reference of each frame. It is cheaper than one Put each
// because it takes the lock once.
func (m *Memory) PutAll(frames []frame.Number) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range frames {
		if n != m.zero && m.drop(n) {
			m.pushFree(n)
		}
	}
}

// drop drops a reference and says whether it was the last. It panics on a count
// below zero: the frame was freed twice and may be in use elsewhere.
func (m *Memory) drop(n frame.Number) (last bool) {
	refs := frame.InfoAt(m.infos, n).Refs.Add(-1)
	if refs < 0 {
		panic("mm: a reference to a free frame was dropped (double free)")
	}
	return refs == 0
}

// pushFree puts a free frame into the magazine, and first returns half of a full
// magazine to the Machine. m.mu is held.
func (m *Memory) pushFree(n frame.Number) {
	if m.loaded == magazineSize {
		m.loaded = magazineSize / 2
		m.machine.FreeFrames(m.magazine[m.loaded:])
	}
	m.magazine[m.loaded] = n
	m.loaded++
}

// Drain returns the cached frames to the Machine, which makes them available to
// the kernel's heap.
func (m *Memory) Drain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.machine.FreeFrames(m.magazine[:m.loaded])
	m.loaded = 0
}

// Refs returns how many references the frame has.
func (m *Memory) Refs(n frame.Number) int { return int(frame.InfoAt(m.infos, n).Refs.Load()) }

// Zero returns the zero page that all address spaces share. It must not be
// written, and its references are not counted.
func (m *Memory) Zero() frame.Number { return m.zero }

// Bytes returns the PageSize bytes of the frame through the direct map. The
// caller must hold a reference for as long as it uses them.
func (m *Memory) Bytes(n frame.Number) []byte {
	return (*[PageSize]byte)(pointer(m.directMap + uintptr(n)<<frame.Shift))[:]
}

// Stats are the memory statistics of /proc/meminfo and sysinfo(2), in pages.
type Stats struct {
	Total      int   // all memory of the machine
	Free       int   // free, including frames cached by Memory
	Available  int   // free and not reserved for the kernel
	Anonymous  int64 // mapped anonymous pages
	Shared     int64 // pages of shared anonymous memory and of files in memory (Shmem)
	PageTables int64 // page tables
	Committed  int64 // charged to private writable mappings (Committed_AS)
}

// Stats returns a snapshot.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	free := m.machine.FreeCount() + m.loaded
	return Stats{
		Total: m.total, Free: free, Available: max(free-m.userReserve(), 0),
		Anonymous: m.anonymous.Load(), Shared: m.shared.Load(),
		PageTables: m.tables.Load(), Committed: m.committed.Load(),
	}
}

// CountShared adds pages (which may be negative) to Stats.Shared. An in-memory
// file system calls it for the pages of its files. Any context.
func (m *Memory) CountShared(pages int64) { m.shared.Add(pages) }

// pointer converts an address of the direct map, which is not a Go object, to a
// pointer. The load through memory keeps vet and checkptr from reporting it.
//
//go:nosplit
func pointer(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}
