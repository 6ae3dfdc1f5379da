package mm_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/mm/mmtest"
)

// meteredMachine is a machine whose number of free frames the test sets.
type meteredMachine struct {
	*mmtest.Machine
	free    atomic.Int64
	onCount func() // called by FreeCount, if not nil
}

func (m *meteredMachine) FreeCount() int {
	if f := m.onCount; f != nil {
		f()
	}
	return int(m.free.Load())
}

// heapReserve is the reserve of newMetered in frames. The watermarks are at 7/8, 3/4
// and 1/2 of it: 70, 60 and 40 frames.
const heapReserve = 80

// newMetered returns a memory with that reserve, and its machine with 1000 frames
// free. collect is Config.CollectHeap.
func newMetered(t *testing.T, collect func(*meteredMachine)) (*mm.Memory, *meteredMachine) {
	t.Helper()
	inner, err := mmtest.NewMachine(2000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inner.Close)
	m := &meteredMachine{Machine: inner}
	m.free.Store(1000)
	c := inner.Config()
	c.Machine, c.Reserve = m, heapReserve
	if collect != nil {
		c.CollectHeap = func() { collect(m) }
	}
	memory, err := mm.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return memory, m
}

func TestWatermarksOfTheHeap(t *testing.T) {
	memory, machine := newMetered(t, nil)
	for _, c := range []struct {
		free         int64
		pages        int64
		admit, large unix.Errno
		shortage     mm.Shortage
	}{
		{free: 71, pages: 1, shortage: mm.Enough},
		{free: 70, pages: 1, shortage: mm.Enough},
		{free: 69, pages: 1, shortage: mm.Low},
		{free: 61, pages: 1, shortage: mm.Low},
		{free: 60, pages: 1, large: unix.ENOMEM, shortage: mm.Low},
		{free: 59, pages: 1, large: unix.ENOMEM, shortage: mm.Critical},
		{free: 41, pages: 1, large: unix.ENOMEM, shortage: mm.Critical},
		{free: 40, pages: 1, admit: unix.ENOMEM, large: unix.ENOMEM, shortage: mm.Critical},
		{free: 160, pages: 100},
		{free: 159, pages: 100, large: unix.ENOMEM},
		{free: 139, pages: 100, admit: unix.ENOMEM, large: unix.ENOMEM},
	} {
		machine.free.Store(c.free)
		bytes := c.pages * page
		wantError(t, "Admit", memory.Admit(bytes), c.admit)
		err := memory.Reserve(bytes)
		wantError(t, "Reserve", err, c.large)
		if err == nil {
			memory.Unreserve(bytes)
		}
		if got := memory.Shortage(); got != c.shortage {
			t.Errorf("Shortage with %d free frames is %d, want %d", c.free, got, c.shortage)
		}
	}
}

func TestHeapAllocationIsRoundedUpToFrames(t *testing.T) {
	memory, machine := newMetered(t, nil)
	machine.free.Store(40)
	wantError(t, "Admit of one byte at the watermark", memory.Admit(1), unix.ENOMEM)
	wantError(t, "Admit of nothing at the watermark", memory.Admit(0), 0)
}

func TestNilMemoryAdmitsEverything(t *testing.T) {
	var memory *mm.Memory
	wantError(t, "Admit", memory.Admit(1<<40), 0)
	wantError(t, "Reserve", memory.Reserve(1<<40), 0)
	memory.Unreserve(1 << 40)
}

func TestReservationIsCountedUntilUnreserve(t *testing.T) {
	memory, machine := newMetered(t, nil)
	machine.free.Store(160)
	wantError(t, "the first Reserve", memory.Reserve(60*page), 0)
	wantError(t, "a second one that does not fit", memory.Reserve(60*page), unix.ENOMEM)
	wantError(t, "a second one that fits", memory.Reserve(40*page), 0)
	wantError(t, "Admit of what is reserved", memory.Admit(30*page), unix.ENOMEM)
	memory.Unreserve(60 * page)
	memory.Unreserve(40 * page)
	wantError(t, "Reserve after Unreserve", memory.Reserve(100*page), 0)
	memory.Unreserve(100 * page)
}

func TestReserveRefusesMoreThanTheMachineHas(t *testing.T) {
	memory, machine := newMetered(t, func(*meteredMachine) { t.Error("the heap is collected for it") })
	for _, n := range []int64{1 << 40, 1<<63 - 1} {
		wantError(t, "Reserve", memory.Reserve(n), unix.ENOMEM)
	}
	machine.free.Store(160)
	wantError(t, "Reserve afterwards", memory.Reserve(100*page), 0)
}

// bothTakeTheLastRoom reports whether two callers of reserve, which reserves 60 of
// the 100 frames above the watermark, both succeed if the second runs while the first
// examines the free frames.
func bothTakeTheLastRoom(machine *meteredMachine, reserve func(bytes int64) error) bool {
	machine.free.Store(160)
	var nested error
	machine.onCount = func() {
		machine.onCount = nil
		nested = reserve(60 * page)
	}
	first := reserve(60 * page)
	machine.onCount = nil
	return first == nil && nested == nil
}

func TestTwoCallersCannotReserveTheSameRoom(t *testing.T) {
	memory, machine := newMetered(t, nil)
	if bothTakeTheLastRoom(machine, memory.Reserve) {
		t.Error("two callers have reserved more than is free")
	}
}

// TestReservingAfterTheCheckIsDetected checks bothTakeTheLastRoom with a Reserve that
// counts the reservation after it has examined the free frames.
func TestReservingAfterTheCheckIsDetected(t *testing.T) {
	memory, machine := newMetered(t, nil)
	var reserved int64
	late := func(bytes int64) error {
		if err := memory.Admit(bytes + reserved); err != nil {
			return err
		}
		reserved += bytes
		return nil
	}
	if !bothTakeTheLastRoom(machine, late) {
		t.Error("the check does not detect that two callers reserve the same room")
	}
}

func TestConcurrentReservationsStayAboveTheWatermark(t *testing.T) {
	memory, machine := newMetered(t, nil)
	machine.free.Store(160)
	var held, most atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if memory.Reserve(30*page) != nil {
					continue
				}
				now := held.Add(30)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				held.Add(-30)
				memory.Unreserve(30 * page)
			}
		})
	}
	wg.Wait()
	if got := most.Load(); got > 100 || got == 0 {
		t.Errorf("up to %d frames were reserved at once, want 1 to 100", got)
	}
}

func TestCollectionAdmitsWhatItFrees(t *testing.T) {
	collections := 0
	memory, machine := newMetered(t, func(m *meteredMachine) { collections++; m.free.Add(1000) })
	machine.free.Store(10)
	wantError(t, "Admit", memory.Admit(page), 0)
	if collections != 1 {
		t.Errorf("the heap was collected %d times, want once", collections)
	}
	machine.free.Store(10)
	wantError(t, "Admit right after a collection", memory.Admit(page), unix.ENOMEM)
	if collections != 1 {
		t.Errorf("the heap was collected %d times, want once in collectPeriod", collections)
	}
	memory.CollectNow()
	if collections != 2 {
		t.Errorf("CollectNow has not collected: %d collections", collections)
	}
}

// changed reports whether the reclaimer was woken since the last call.
func changed(memory *mm.Memory) bool {
	select {
	case <-memory.Changed():
		return true
	default:
		return false
	}
}

func TestReclaimerIsWokenWhenFreeFramesChange(t *testing.T) {
	memory, machine := newMetered(t, nil)
	memory.Watch()
	changed(memory)
	for _, c := range []struct {
		free int64
		want bool
	}{{1000, false}, {700, false}, {600, true}, {1400, false}, {1600, true}} {
		machine.free.Store(c.free)
		if memory.CheckWatch(); changed(memory) != c.want {
			t.Errorf("woken with %d free frames after 1000: %v, want %v", c.free, !c.want, c.want)
		}
	}
	machine.free.Store(600)
	if memory.Admit(1); !changed(memory) {
		t.Error("Admit does not wake the reclaimer")
	}
	if n, err := memory.Allocate(); err != nil || n == 0 {
		t.Errorf("Allocate: %d, %v", n, err)
	}
}

func TestRefusalWakesTheReclaimer(t *testing.T) {
	memory, machine := newMetered(t, nil)
	memory.Watch()
	machine.free.Store(65) // below the low watermark
	changed(memory)
	wantError(t, "Reserve", memory.Reserve(100*page), unix.ENOMEM)
	if !changed(memory) {
		t.Error("a refused Reserve does not wake the reclaimer")
	}
}

func TestHeapRoomIsWhatIsAboveTheLowWatermark(t *testing.T) {
	memory, machine := newMetered(t, nil)
	for free, want := range map[int64]int64{69: 0, 70: 0, 71: page, 170: 100 * page} {
		machine.free.Store(free)
		if got := memory.HeapRoom(); got != want {
			t.Errorf("HeapRoom with %d free frames is %d, want %d", free, got, want)
		}
	}
}

func TestReapFreesPrivatePagesAndFailsLaterAccesses(t *testing.T) {
	f := newFixture(t)
	private := f.mmapAnonymous(0, 4, rw)
	f.put(f.as, private, "private")
	common := f.mmap(mm.MapRequest{Length: page, Prot: rw, Flags: shared | unix.MAP_ANONYMOUS})
	f.put(f.as, common, "shared")
	child, err := f.as.Fork(nil)
	f.ok(err)
	defer child.DecRef()
	f.as.Reap()
	if u := f.as.Usage(); u.Anonymous != 0 {
		t.Errorf("%d anonymous pages are left", u.Anonymous)
	}
	for _, address := range []uint64{private, private + 2*page} {
		if n, err := f.as.CopyIn(make([]byte, 1), address); n != 0 || err != unix.EFAULT {
			t.Errorf("a read at %#x after Reap gives %d, %v, want EFAULT", address, n, err)
		}
	}
	f.want(child, private, "private")
	f.want(child, common, "shared")
}

func TestLongCollectionsAreRarer(t *testing.T) {
	collections := 0
	memory, machine := newMetered(t, func(*meteredMachine) { collections++; time.Sleep(30 * time.Millisecond) })
	machine.free.Store(10)
	for start := time.Now(); time.Since(start) < 250*time.Millisecond; time.Sleep(time.Millisecond) {
		wantError(t, "Admit", memory.Admit(page), unix.ENOMEM)
	}
	if collections == 0 || collections > 3 { // each 30 ms, then a pause of three times that
		t.Errorf("%d collections of 30 ms in 250 ms, want 1 to 3", collections)
	}
}
