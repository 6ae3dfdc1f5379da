// Package mmtest is a fake machine for tests of memory management on the host.
// Its physical memory is an arena, and it translates user addresses by walking
// the page tables like the hardware. Only tests import it.
package mmtest

import (
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/mm/frame"
	"slowpath/sysctl"
)

// Machine implements mm.Machine. Its other methods let tests inspect its state
// and inject failures.
type Machine struct {
	arena []byte
	infos []frame.Info

	mu     sync.Mutex
	frames frame.Allocator

	// copying is read-locked by CopyUser, which stands in for user code that
	// runs with interrupts on, and write-locked by Shootdown.
	copying    sync.RWMutex
	shootdowns atomic.Int64
	limit      atomic.Int64 // frames that may still be allocated; negative means no limit
	dropped    sync.Map     // roots passed to DropRoot
}

// NewMachine returns a machine with the given number of frames. Close frees them.
func NewMachine(frames int) (*Machine, error) {
	arena, err := unix.Mmap(-1, 0, frames*frame.Size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	m := &Machine{arena: arena, infos: make([]frame.Info, frames)}
	m.Reset()
	return m, nil
}

// Reset makes every frame free and removes the limit of Limit. No goroutine may use
// the machine.
func (m *Machine) Reset() {
	clear(m.infos)
	m.limit.Store(-1)
	m.dropped.Clear()
	m.frames = frame.Allocator{}
	m.frames.Init(uintptr(unsafe.Pointer(&m.infos[0])), frame.Number(len(m.infos)))
	if !m.frames.AddRange(1, frame.Number(len(m.infos))) {
		panic("mmtest: the allocator refuses the frames")
	}
}

// Close frees the memory of the machine. No goroutine may use it any more.
func (m *Machine) Close() { unix.Munmap(m.arena) }

// NewMemory returns a memory whose frames are those of the machine. hardware
// implements mm.Machine: it is m, or a type that embeds m.
func (m *Machine) NewMemory(hardware mm.Machine) (*mm.Memory, error) {
	c := m.Config()
	c.Machine = hardware
	return mm.New(c)
}

// Config returns the configuration of a memory whose frames are those of the machine.
// Eight of them are reserved for the kernel's heap.
func (m *Machine) Config() mm.Config {
	settings := sysctl.Defaults()
	settings.MinFreeKBytes.Set(0) // the machine is smaller than the default
	return mm.Config{
		Settings:    settings,
		Machine:     m,
		DirectMap:   uintptr(unsafe.Pointer(&m.arena[0])),
		Infos:       m.frames.Infos(),
		TotalFrames: len(m.infos) - 1,
		Reserve:     8,
	}
}

// FillHeap reserves the room of the kernel's heap except about the given number of
// bytes. free ends that.
func FillHeap(m *mm.Memory, left int64) (free func()) {
	reserved := int64(0)
	for m.Reserve(mm.PageSize) == nil {
		reserved += mm.PageSize
	}
	left = min(left, reserved)
	m.Unreserve(left)
	return func() { m.Unreserve(reserved - left) }
}

// New returns a memory with the given number of frames, and its machine. The
// test must free every frame that it allocates: New registers a cleanup that
// fails the test if frames have leaked.
func New(t testing.TB, frames int) (*mm.Memory, *Machine) {
	t.Helper()
	m, err := NewMachine(frames)
	if err != nil {
		t.Fatalf("mmap of the arena: %v", err)
	}
	memory, err := m.NewMemory(m)
	if err != nil {
		t.Fatalf("mm.New: %v", err)
	}
	free := memory.Stats().Free
	t.Cleanup(func() {
		if now := memory.Stats().Free; now != free && !t.Failed() {
			t.Errorf("%d frames are still in use at the end of the test", free-now)
		}
		m.Close()
	})
	return memory, m
}

// AllocFrames implements mm.Machine.
func (m *Machine) AllocFrames(dst []frame.Number) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range dst {
		if m.limit.Load() == 0 {
			return i
		}
		n, ok := m.frames.Alloc(0)
		if !ok {
			return i
		}
		if m.limit.Load() > 0 {
			m.limit.Add(-1)
		}
		dst[i] = n
		fill(m.bytes(n)) // detects code that expects unspecified contents to be zero
	}
	return len(dst)
}

// FreeFrames implements mm.Machine. It panics on a double free.
func (m *Machine) FreeFrames(src []frame.Number) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range src {
		if !m.frames.Free(n, 0) {
			panic("mmtest: FreeFrames was called for a frame that is not allocated")
		}
	}
}

// FreeCount implements mm.Machine.
func (m *Machine) FreeCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.frames.FreeFrames()
}

// Limit makes allocation fail after n more frames. A negative n removes the
// limit.
func (m *Machine) Limit(n int) { m.limit.Store(int64(n)) }

// Shootdown implements mm.Machine. It waits for all running copies.
func (m *Machine) Shootdown(root, start, end uint64) {
	m.copying.Lock()
	m.shootdowns.Add(1)
	m.copying.Unlock()
}

// Shootdowns returns how often Shootdown was called.
func (m *Machine) Shootdowns() int { return int(m.shootdowns.Load()) }

// DropRoot implements mm.Machine.
func (m *Machine) DropRoot(root uint64) { m.dropped.Store(root, true) }

// Dropped says whether DropRoot was called for the root.
func (m *Machine) Dropped(root uint64) bool {
	_, ok := m.dropped.Load(root)
	return ok
}

// CopyUser implements mm.Machine.
func (m *Machine) CopyUser(root uint64, kernel unsafe.Pointer, user uint64, n int, toUser bool) int {
	if user>>12 != (user+uint64(n)-1)>>12 {
		panic("mmtest: a copy crosses a page boundary")
	}
	m.copying.RLock()
	defer m.copying.RUnlock()
	page := m.Translate(root, user, toUser)
	if page == nil {
		return 0
	}
	mine := unsafe.Slice((*byte)(kernel), n)
	theirs := page[user%frame.Size:][:n]
	if toUser {
		return copy(theirs, mine)
	}
	return copy(mine, theirs)
}

// LoadUser implements mm.Machine.
func (m *Machine) LoadUser(root, user uint64) (value uint32, ok bool) {
	m.copying.RLock()
	defer m.copying.RUnlock()
	page := m.Translate(root, user, false)
	if page == nil {
		return 0, false
	}
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&page[user%frame.Size]))), true
}

// Translate walks the page tables at root as the CPU does for an access from
// user mode (Intel SDM, volume 3, section 4.5) and returns the page, or nil
// where the CPU would fault.
func (m *Machine) Translate(root, address uint64, write bool) []byte {
	const (
		present  = 1 << 0
		writable = 1 << 1
		user     = 1 << 2
		physical = 0x000ffffffffff000
	)
	at := root
	for shift := 39; shift >= 12; shift -= 9 {
		table := m.bytes(frame.Number(at >> 12))
		slot := (*uint64)(unsafe.Pointer(&table[address>>shift%512*8]))
		e := atomic.LoadUint64(slot)
		if e&present == 0 || e&user == 0 || write && e&writable == 0 {
			return nil
		}
		at = e & physical
	}
	return m.bytes(frame.Number(at >> 12))
}

func (m *Machine) bytes(n frame.Number) []byte {
	return m.arena[int(n)*frame.Size:][:frame.Size]
}

// fill writes a pattern that is not a valid pointer, page table entry or text.
func fill(b []byte) {
	for i := range b {
		b[i] = 0xa5
	}
}
