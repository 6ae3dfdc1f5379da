package mm

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/clock"
)

// The kernel's own objects live in the Go heap, which takes its frames from the
// same allocator as user pages. User pages stop at Config.Reserve free frames.
// Below it are three watermarks of free frames. At the low one, processes are killed
// until the heap has room again. At the second, Reserve refuses large allocations, and
// at the last one Admit refuses small ones, which the programs that are to survive need
// too. The frames below are for allocations that no program can multiply. A heap
// that finds no frame at all ends the machine, and the watermarks exist to prevent it.

// heapGuard is the state of the watermarks.
type heapGuard struct {
	low, large, small int // watermarks, in free frames

	collect   func() // Config.CollectHeap
	mu        sync.Mutex
	collected int64 // when collect last returned, clock.Monotonic
	took      int64 // how long it ran, in nanoseconds

	reserved atomic.Int64 // bytes of Reserve

	// The reclaimer is woken when the number of free frames leaves this range.
	below, above atomic.Int64
	wake         chan struct{}
}

// collectPeriod is the least time between two collections for want of memory, in
// nanoseconds. A collection that has just run would find little. After a long
// collection the time is longer, by collectShare: while many tasks want memory, the
// tasks that were killed to free it need the CPUs.
const (
	collectPeriod = 20e6
	collectShare  = 3 // times the duration of the last collection
)

func (g *heapGuard) init(reserve int, collect func()) {
	g.collect = collect
	g.low, g.large, g.small = reserve*7/8, reserve*3/4, reserve/2
	g.wake = make(chan struct{}, 1)
	g.below.Store(1 << 62) // the first look sets the range
}

// Admit decides whether the kernel may allocate about n bytes of its heap for a small
// object of a program, less than some pages. The caller allocates right after it, and
// the collector counts what is really used. A nil Memory admits all. Error: ENOMEM, if
// a collection does not help. It may sleep. Any goroutine may call it, with locks held.
func (m *Memory) Admit(n int64) error {
	if m == nil {
		return nil
	}
	return m.admit(n, m.heap.small)
}

// Reserve is Admit for an allocation of many pages. What is reserved is counted as
// used until Unreserve, which the caller calls when it has allocated. Without it many
// tasks could be admitted and then all wait for the collector in their allocations.
func (m *Memory) Reserve(n int64) error {
	if m == nil {
		return nil
	}
	if n/PageSize >= int64(m.total) {
		return unix.ENOMEM
	}
	m.heap.reserved.Add(n) // first, so that two callers cannot both take the last room
	err := m.admit(0, m.heap.large)
	if err != nil {
		m.heap.reserved.Add(-n)
	}
	return err
}

// Unreserve ends one Reserve of n bytes.
func (m *Memory) Unreserve(n int64) {
	if m != nil {
		m.heap.reserved.Add(-n)
	}
}

// Reserved returns how many bytes are reserved now. Any context.
func (m *Memory) Reserved() int64 { return m.heap.reserved.Load() }

// admit reports ENOMEM if fewer than watermark frames would be free after an
// allocation of n bytes.
func (m *Memory) admit(n int64, watermark int) error {
	if int64(m.machine.FreeCount()) < m.heap.below.Load() {
		m.wakeReclaimer()
	}
	if m.heapAllows(n, watermark) {
		return nil
	}
	m.Collect()
	if m.heapAllows(n, watermark) {
		return nil
	}
	if m.Shortage() != Enough {
		m.wakeReclaimer()
	}
	return unix.ENOMEM
}

// heapAllows reports whether n bytes and what is reserved fit above a watermark.
func (m *Memory) heapAllows(n int64, watermark int) bool {
	return int64(m.machine.FreeCount())-(n+m.heap.reserved.Load()+pageMask)/PageSize >= int64(watermark)
}

// Collect runs the garbage collector and frees what the heap does not use, unless
// that was done in the last collectPeriod. It may sleep. The caller may hold locks.
func (m *Memory) Collect() {
	h := &m.heap
	h.mu.Lock()
	defer h.mu.Unlock()
	if clock.Monotonic()-h.collected >= max(collectPeriod, collectShare*h.took) {
		h.run()
	}
	m.Drain()
}

// CollectNow is Collect after something large was freed: it always collects.
func (m *Memory) CollectNow() {
	h := &m.heap
	h.mu.Lock()
	defer h.mu.Unlock()
	h.run()
	m.Drain()
}

// run runs the collector. h.mu is held.
func (h *heapGuard) run() {
	if h.collect == nil {
		return
	}
	begin := clock.Monotonic()
	h.collect()
	h.collected = clock.Monotonic()
	h.took = h.collected - begin
}

// Shortage is how short the kernel's heap is of frames.
type Shortage uint8

// The values of Shortage.
const (
	Enough   Shortage = iota
	Low               // below the low watermark: processes are killed
	Critical          // large allocations are refused
)

// Shortage compares the free frames with the watermarks. Any context.
func (m *Memory) Shortage() Shortage {
	free := m.machine.FreeCount()
	switch {
	case free < m.heap.large:
		return Critical
	case free < m.heap.low:
		return Low
	}
	return Enough
}

// HeapRoom returns how many bytes of frames are free above the low watermark. It
// is 0 below it. Any context.
func (m *Memory) HeapRoom() int64 {
	return int64(max(m.machine.FreeCount()-m.heap.low, 0)) * PageSize
}

// Changed returns the channel that is sent to when the number of free frames has
// changed by a third since Watch. Only the reclaimer receives from it.
func (m *Memory) Changed() <-chan struct{} { return m.heap.wake }

// Watch makes Changed report changes from the present number of free frames.
func (m *Memory) Watch() {
	free := int64(m.machine.FreeCount())
	m.heap.below.Store(max(free*2/3, int64(m.heap.low)))
	m.heap.above.Store(max(free*3/2, int64(2*m.heap.low)))
}

// CheckWatch wakes the reclaimer if the number of free frames has left the range
// of Watch. It is called after each collection, because the heap grows without a
// call to Memory. It does not sleep.
func (m *Memory) CheckWatch() {
	if free := int64(m.machine.FreeCount()); free < m.heap.below.Load() || free > m.heap.above.Load() {
		m.wakeReclaimer()
	}
}

func (m *Memory) wakeReclaimer() {
	select {
	case m.heap.wake <- struct{}{}:
	default:
	}
}
