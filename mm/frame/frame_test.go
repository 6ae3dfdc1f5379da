package frame

import (
	"math/rand"
	"testing"
	"unsafe"
)

// newAllocator returns an allocator with metadata for the given frames and no
// memory. A cleanup keeps the metadata reachable until the end of the test.
func newAllocator(t testing.TB, frames Number) *Allocator {
	infos := make([]Info, frames)
	t.Cleanup(func() { infos[0].order = 0 }) // keeps the slice reachable
	a := new(Allocator)
	a.Init(uintptr(unsafe.Pointer(&infos[0])), frames)
	return a
}

// check fails the test if an invariant of the metadata is broken.
func check(t testing.TB, a *Allocator) {
	t.Helper()
	onLists := 0
	for order := 0; order <= MaxOrder; order++ {
		prev := None
		for n := a.lists[order]; n != None; n = a.info(n).next {
			info := a.info(n)
			if info.state != free || int(info.order) != order || info.prev != prev {
				t.Fatalf("frame %d on list %d: state %d order %d prev %d, want prev %d", n, order, info.state, info.order, info.prev, prev)
			}
			if buddy := n ^ 1<<order; order < MaxOrder && buddy < a.frames {
				if b := a.info(buddy); b.state == free && int(b.order) == order {
					t.Fatalf("free buddies %d and %d of order %d were not merged", n, buddy, order)
				}
			}
			onLists += 1 << order
			prev = n
		}
	}
	free, blocks := countStates(t, a)
	if free != onLists || free != a.FreeFrames() || blocks != a.TotalFrames() {
		t.Fatalf("free %d, on lists %d, FreeFrames %d; in blocks %d, TotalFrames %d", free, onLists, a.FreeFrames(), blocks, a.TotalFrames())
	}
}

// countStates returns how many frames are in free blocks and in all blocks. It
// fails the test if the state of a frame does not match its block.
func countStates(t testing.TB, a *Allocator) (inFree, inBlocks int) {
	t.Helper()
	for n := Number(0); n < a.frames; {
		head := a.info(n)
		if head.state == reserved {
			n++
			continue
		}
		if head.state == inner {
			t.Fatalf("frame %d has state inner but belongs to no block", n)
		}
		size := Number(1) << head.order
		if n%size != 0 {
			t.Fatalf("block %d of order %d is not aligned", n, head.order)
		}
		for i := Number(1); i < size; i++ {
			if s := a.info(n + i).state; s != inner {
				t.Fatalf("frame %d in block %d of order %d has state %d", n+i, n, head.order, s)
			}
		}
		if head.state == free {
			inFree += int(size)
		}
		inBlocks += int(size)
		n += size
	}
	return inFree, inBlocks
}

func TestInfoSize(t *testing.T) {
	if InfoSize != 16 {
		t.Fatalf("InfoSize = %d, want 16", InfoSize)
	}
}

func TestEmptyAllocatorHasNoMemory(t *testing.T) {
	a := newAllocator(t, 16)
	if n, ok := a.Alloc(0); ok {
		t.Fatalf("Alloc without memory returned %d", n)
	}
	if got := a.LargestOrder(); got != -1 {
		t.Fatalf("LargestOrder = %d, want -1", got)
	}
}

func TestAddRange(t *testing.T) {
	a := newAllocator(t, 5000)
	for _, bad := range [][2]Number{{0, 10}, {10, 10}, {10, 9}, {4000, 5001}} {
		if a.AddRange(bad[0], bad[1]) {
			t.Errorf("AddRange(%d, %d) succeeded, want false", bad[0], bad[1])
		}
	}
	if !a.AddRange(1, 3000) || !a.AddRange(3001, 5000) {
		t.Fatal("AddRange failed for a valid range")
	}
	if a.AddRange(2999, 3001) {
		t.Fatal("AddRange succeeded for a range that was already added")
	}
	if a.TotalFrames() != 4998 || a.FreeFrames() != 4998 || a.LargestOrder() != MaxOrder {
		t.Fatalf("total %d free %d largest %d", a.TotalFrames(), a.FreeFrames(), a.LargestOrder())
	}
	check(t, a)
}

func TestAdjacentRangesMerge(t *testing.T) {
	a := newAllocator(t, 2048)
	a.AddRange(1024, 1500)
	a.AddRange(1500, 2048)
	if a.LargestOrder() != MaxOrder {
		t.Fatalf("largest order %d, want %d", a.LargestOrder(), MaxOrder)
	}
	check(t, a)
}

func TestFreeAndSplitRejectInvalidBlocks(t *testing.T) {
	a := newAllocator(t, 4096)
	a.AddRange(1024, 4096)
	n, _ := a.Alloc(3)
	bad := []struct {
		n     Number
		order int
	}{{n, 2}, {n, 4}, {n + 1, 0}, {n, -1}, {n, MaxOrder + 1}, {5, 0}, {4096, 0}, {1 << 31, 0}, {n ^ 8, 3}}
	for _, b := range bad {
		if a.Free(b.n, b.order) || a.Split(b.n, b.order) {
			t.Errorf("Free or Split(%d, %d) succeeded, want false", b.n, b.order)
		}
	}
	if !a.Free(n, 3) {
		t.Fatal("Free failed for an allocated block")
	}
	if a.Free(n, 3) {
		t.Fatal("a double free succeeded")
	}
	check(t, a)
}

func TestSplit(t *testing.T) {
	a := newAllocator(t, 2048)
	a.AddRange(1024, 2048)
	n, _ := a.Alloc(4)
	if !a.Split(n, 4) {
		t.Fatal("Split failed for an allocated block")
	}
	if a.Free(n, 4) {
		t.Fatal("Free of the whole block succeeded after Split")
	}
	for i := Number(0); i < 16; i++ {
		if !a.Free(n+i, 0) {
			t.Fatalf("frame %d cannot be freed", i)
		}
	}
	if a.LargestOrder() != MaxOrder {
		t.Fatal("the freed frames were not merged")
	}
	check(t, a)
}

// block is an allocation in the model.
type block struct {
	n     Number
	order int
}

// model calls an allocator and checks the allocated blocks against a table of
// owners.
type model struct {
	t     testing.TB
	a     *Allocator
	owned []bool
	held  []block
}

func newModel(t testing.TB) *model {
	const frames = 6000
	m := &model{t: t, a: newAllocator(t, frames), owned: make([]bool, frames)}
	m.a.AddRange(1, 159)
	m.a.AddRange(256, 5999)
	return m
}

func (m *model) alloc(order int) {
	n, ok := m.a.Alloc(order)
	if !ok {
		if m.a.LargestOrder() >= order {
			m.t.Fatalf("Alloc(%d) failed with order %d free", order, m.a.LargestOrder())
		}
		return
	}
	for i := n; i < n+1<<order; i++ {
		if m.owned[i] || i == 0 || i >= 159 && i < 256 || i >= 5999 {
			m.t.Fatalf("Alloc(%d) = %d: frame %d is not free memory", order, n, i)
		}
		m.owned[i] = true
	}
	m.held = append(m.held, block{n, order})
}

func (m *model) free(i int) {
	b := m.held[i]
	m.held[i] = m.held[len(m.held)-1]
	m.held = m.held[:len(m.held)-1]
	for i := b.n; i < b.n+1<<b.order; i++ {
		m.owned[i] = false
	}
	if !m.a.Free(b.n, b.order) {
		m.t.Fatalf("Free(%d, %d) failed for an allocated block", b.n, b.order)
	}
	if m.a.Free(b.n, b.order) {
		m.t.Fatalf("a second Free(%d, %d) succeeded", b.n, b.order)
	}
}

func (m *model) finish() {
	check(m.t, m.a)
	for len(m.held) > 0 {
		m.free(len(m.held) - 1)
	}
	check(m.t, m.a)
	if m.a.FreeFrames() != m.a.TotalFrames() {
		m.t.Fatalf("%d of %d frames free at the end", m.a.FreeFrames(), m.a.TotalFrames())
	}
}

func TestRandomOperationsMatchModel(t *testing.T) {
	for seed := int64(1); seed <= 4; seed++ {
		m := newModel(t)
		r := rand.New(rand.NewSource(seed))
		for i := 0; i < 20000; i++ {
			if len(m.held) > 0 && r.Intn(100) < 48 {
				m.free(r.Intn(len(m.held)))
			} else {
				m.alloc(min(r.Intn(MaxOrder+1), r.Intn(MaxOrder+1), r.Intn(MaxOrder+1)))
			}
			if i%1000 == 0 {
				check(t, m.a)
			}
		}
		m.finish()
	}
}

// FuzzAllocator reads each byte as an operation: the low bits choose an order
// or an allocated block, the high bit selects Alloc or Free, and 0xff tries to
// free blocks that are not allocated.
func FuzzAllocator(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 0x80, 0x81, 10, 10, 10, 0xff, 0x80})
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := newModel(t)
		for i, op := range ops {
			switch {
			case op == 0xff:
				n := Number(i * 37 % 7000)
				if (n >= 6000 || !m.owned[n]) && m.a.Free(n, i%12) {
					t.Fatalf("Free(%d, %d) succeeded for a block that is not allocated", n, i%12)
				}
			case op < 0x80:
				m.alloc(int(op) % (MaxOrder + 1))
			case len(m.held) > 0:
				m.free(int(op&0x7f) % len(m.held))
			}
		}
		m.finish()
	})
}

func BenchmarkAllocFree(b *testing.B) {
	a := newAllocator(b, 1<<16)
	a.AddRange(1, 1<<16)
	for b.Loop() {
		n, _ := a.Alloc(0)
		a.Free(n, 0)
	}
}
