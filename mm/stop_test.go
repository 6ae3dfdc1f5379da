package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

// stopAfter returns a Stop that reports true from the given call on.
func stopAfter(calls int) mm.Stop {
	return func(mm.Point) bool {
		calls--
		return calls < 0
	}
}

// TestPopulationEndsWhenTheTaskIsKilled makes few of many pages present.
func TestPopulationEndsWhenTheTaskIsKilled(t *testing.T) {
	const pages, most = 2000, 200
	for name, c := range map[string]struct {
		call func(f *fixture, at uint64) error
		want error
	}{
		"MAP_POPULATE": {func(f *fixture, at uint64) error {
			_, err := f.as.Mmap(mm.MapRequest{Addr: at, Length: pages * page, Prot: rw, Flags: anon | fixed | unix.MAP_POPULATE, Stop: stopAfter(2)})
			return err
		}, nil},
		"mlock":    {func(f *fixture, at uint64) error { return f.as.Mlock(at, pages*page, mm.LockNow, stopAfter(2)) }, unix.EINTR},
		"mlockall": {func(f *fixture, at uint64) error { return f.as.Mlockall(unix.MCL_CURRENT, stopAfter(2)) }, nil},
		"MADV_POPULATE_WRITE": {func(f *fixture, at uint64) error {
			return f.as.Madvise(at, pages*page, unix.MADV_POPULATE_WRITE, stopAfter(most/2))
		}, unix.EINTR},
		"mremap of locked memory": {func(f *fixture, at uint64) error {
			f.ok(f.as.Munmap(at+page, (pages-1)*page, nil))
			f.ok(f.as.Mlock(at, page, mm.LockNow, nil))
			_, err := f.as.Mremap(mm.RemapRequest{Addr: at, OldLength: page, NewLength: pages * page, Stop: stopAfter(2)})
			return err
		}, nil},
	} {
		f := newFixture(t)
		const at = 0x100000000
		f.mmapAnonymous(at, pages, rw)
		if err := c.call(f, at); err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if n := f.as.Usage().Anonymous; n == 0 || n > most {
			t.Errorf("%s made %d of %d pages present before it ended, want 1 to %d", name, n, pages, most)
		}
	}
}

func TestForkEndsWhenTheTaskIsKilled(t *testing.T) {
	f := newFixture(t)
	const pages = 1500
	at := f.mmapAnonymous(0, pages, rw)
	f.ok(f.as.Populate(at, pages*page, nil))
	before := f.memory.Stats()
	if _, err := f.as.Fork(stopAfter(1)); err != unix.EINTR {
		t.Errorf("fork: %v, want EINTR", err)
	}
	if after := f.memory.Stats(); after != before {
		t.Errorf("after a fork that has ended early: %+v, want %+v", after, before)
	}
}

// TestForkLeavesZeroPagesOut: an area that was only read costs the child nothing.
func TestForkLeavesZeroPagesOut(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 1024, mm.ProtRead)
	f.ok(f.as.Populate(at, 1024*page, nil))
	child, err := f.as.Fork(nil)
	f.ok(err)
	defer child.DecRef()
	if n := child.Usage().PageTables; n != 1 {
		t.Errorf("the child has %d page tables, want the root only", n)
	}
}

func TestMprotectEndsBetweenAreasWhenTheTaskIsKilled(t *testing.T) {
	f := newFixture(t)
	const areas = 20
	at := f.mmapAnonymous(0, 2*areas, rw)
	for i := range uint64(areas) {
		f.ok(f.as.Mprotect(at+2*i*page, page, unix.PROT_READ, nil))
	}
	wantError(t, "mprotect", f.as.Mprotect(at, 2*areas*page, unix.PROT_NONE, stopAfter(5)), unix.EINTR)
	changed := 0
	for _, r := range f.as.Regions(mm.WithoutPages) {
		if r.Prot == 0 {
			changed += int((r.End - r.Start) / page)
		}
	}
	if changed != 5 {
		t.Errorf("%d areas were changed before the end, want 5", changed)
	}
}

// TestLongOperationsLetOthersRun: between the pieces of an operation on many pages the address space
// is not locked.
func TestLongOperationsLetOthersRun(t *testing.T) {
	const pages, at = 2000, 0x100000000
	for name, call := range map[string]func(f *fixture, stop mm.Stop) error{
		"MAP_POPULATE": func(f *fixture, stop mm.Stop) error {
			_, err := f.as.Mmap(mm.MapRequest{Addr: 2 * at, Length: pages * page, Prot: rw, Flags: anon | fixed | unix.MAP_POPULATE, Stop: stop})
			return err
		},
		"munmap":        func(f *fixture, stop mm.Stop) error { return f.as.Munmap(at, pages*page, stop) },
		"MADV_DONTNEED": func(f *fixture, stop mm.Stop) error { return f.as.Madvise(at, pages*page, unix.MADV_DONTNEED, stop) },
		"exit": func(f *fixture, stop mm.Stop) error {
			f.as.DecRefInPieces(stop)
			return nil
		},
	} {
		f := newFixture(t)
		f.mmapAnonymous(at, pages, rw)
		f.ok(f.as.Populate(at, pages*page, nil))
		calls := 0
		err := call(f, func(where mm.Point) bool {
			if where == mm.Unlocked {
				calls++
				f.as.LoadUint32(3 * at) // locks the address space
			}
			return false
		})
		if err != nil || calls < pages/256-1 {
			t.Errorf("%s of %d pages: %v, and others could run %d times", name, pages, err, calls)
		}
		if name == "exit" {
			f.as = nil
			continue
		}
		if n := f.as.Usage().Anonymous; name != "MAP_POPULATE" && n != 0 {
			t.Errorf("%s leaves %d pages", name, n)
		}
	}
}

// TestUnmapOfAnEmptyRangeIsOnePiece: the pieces have as many pages, not as many addresses.
func TestUnmapOfAnEmptyRangeIsOnePiece(t *testing.T) {
	f := newFixture(t)
	const at, length = 0x100000000, 1 << 40
	calls := 0
	f.ok(f.as.Munmap(at, length, func(mm.Point) bool { calls++; return false }))
	if calls != 0 {
		t.Errorf("the range has %d pieces", calls+1)
	}
}
