package mm_test

import (
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

// Goroutines write to the same pages concurrently. Each page must be allocated
// once, and no write may be lost.
func TestConcurrentFaultsLoseNoWrites(t *testing.T) {
	f := newFixture(t)
	const pages, threads = 64, 8
	at := f.mmapAnonymous(0, pages, rw)
	var group sync.WaitGroup
	for i := range uint64(threads) {
		group.Go(func() {
			for p := range uint64(pages) {
				f.put(f.as, at+p*page+8*i, "thread"+string(rune('0'+i)))
			}
		})
	}
	group.Wait()
	for i := range uint64(threads) {
		f.want(f.as, at+(pages-1)*page+8*i, "thread"+string(rune('0'+i)))
	}
	if u := f.as.Usage(); u.Anonymous != pages {
		t.Errorf("%d pages are resident, want %d", u.Anonymous, pages)
	}
}

// One goroutine increments a word on one page and then a word on another page,
// while a second one forks. In each child the first word must not be lower than
// the second, or a write is missing. Later writes of the parent must not change
// the child's words.
func TestForkDuringWritesIsConsistent(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 2, rw)
	var stop atomic.Bool
	var group sync.WaitGroup
	group.Go(func() {
		for n := uint32(1); !stop.Load(); n++ {
			f.as.StoreUint32(at, n)
			f.as.StoreUint32(at+page, n)
		}
	})
	for range 200 {
		child, err := f.as.Fork(nil)
		f.ok(err)
		first, _ := child.LoadUint32(at)
		second, _ := child.LoadUint32(at + page)
		again, _ := child.LoadUint32(at)
		if first < second || first > second+1 || again != first {
			t.Errorf("the child reads %d (later %d) and %d", first, again, second)
		}
		child.DecRef()
	}
	stop.Store(true)
	group.Wait()
}

// A truncated page must be unmapped from all children, including those forked
// during the truncation.
func TestTruncateDuringForkUnmapsInAllChildren(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(4)
	at := f.mmap(mm.MapRequest{Length: 4 * page, Prot: rw, Flags: shared, Object: file, File: file})
	for range 300 {
		file.truncate(4)
		f.put(f.as, at+3*page, "here")
		var children []*mm.AddressSpace
		var group sync.WaitGroup
		group.Go(func() {
			for range 4 {
				child, err := f.as.Fork(nil)
				f.ok(err)
				children = append(children, child)
			}
		})
		file.truncate(2)
		group.Wait()
		for i, child := range children {
			if n, err := child.CopyIn(make([]byte, 1), at+3*page); n != 0 || err != unix.EFAULT {
				t.Errorf("child %d still maps the truncated page: CopyIn = %d, %v", i, n, err)
			}
			child.DecRef()
		}
	}
}

// Runs all calls concurrently. It fails through the race detector, the leak check
// of mmtest, or the panic on a double free.
func TestConcurrentCallsNeitherRaceNorLeak(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(8)
	const base = 0x10000000
	operations := []func(r *rand.Rand, at, length uint64){
		func(r *rand.Rand, at, length uint64) {
			f.as.Mmap(mm.MapRequest{Addr: at, Length: length, Prot: rw, Flags: anon | fixed})
		},
		func(r *rand.Rand, at, length uint64) {
			flags := []int{unix.MAP_PRIVATE, unix.MAP_SHARED}[r.Intn(2)] | fixed
			f.as.Mmap(mm.MapRequest{Addr: at, Length: length, Prot: rw, Flags: flags, Object: file, File: file})
		},
		func(r *rand.Rand, at, length uint64) { f.as.Munmap(at, length, nil) },
		func(r *rand.Rand, at, length uint64) { f.as.Mprotect(at, length, r.Intn(8), nil) },
		func(r *rand.Rand, at, length uint64) { f.as.Madvise(at, length, unix.MADV_DONTNEED, nil) },
		func(r *rand.Rand, at, length uint64) {
			f.as.Mremap(mm.RemapRequest{Addr: at, OldLength: length, NewLength: length + page, Flags: unix.MREMAP_MAYMOVE})
		},
		func(r *rand.Rand, at, length uint64) { f.as.CopyOut(at, make([]byte, length)) },
		func(r *rand.Rand, at, length uint64) { f.as.CopyIn(make([]byte, length), at) },
		func(r *rand.Rand, at, length uint64) { f.as.WriteRemote(at, []byte("remote"), mm.Forced) },
		func(r *rand.Rand, at, length uint64) { f.as.UpdateUint32(at, func(v uint32) uint32 { return v + 1 }) },
		func(r *rand.Rand, at, length uint64) { file.truncate(uint64(r.Intn(8))) },
		func(r *rand.Rand, at, length uint64) { f.as.Regions(mm.WithPages) },
		func(r *rand.Rand, at, length uint64) {
			if child, err := f.as.Fork(nil); err == nil {
				child.CopyOut(at, []byte("child"))
				child.DecRef()
			}
		},
	}
	var group sync.WaitGroup
	for seed := range int64(4) {
		group.Go(func() {
			r := rand.New(rand.NewSource(seed))
			for range 1500 {
				at := base + uint64(r.Intn(16))*page
				operations[r.Intn(len(operations))](r, at, uint64(r.Intn(6)+1)*page)
			}
		})
	}
	group.Wait()
}
