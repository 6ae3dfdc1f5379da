package mm_test

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

func TestMmapErrors(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(1)
	f.mmapAnonymous(0x100000, 4, rw)
	for _, c := range []struct {
		name string
		r    mm.MapRequest
		want unix.Errno
	}{
		{"length 0", mm.MapRequest{Flags: anon}, unix.EINVAL},
		{"length that wraps", mm.MapRequest{Length: 1<<64 - 1, Flags: anon}, unix.ENOMEM},
		{"length of the lower half", mm.MapRequest{Length: 1 << 47, Flags: anon}, unix.ENOMEM},
		{"no free range", mm.MapRequest{Length: mm.UserEnd - page, Flags: anon}, unix.ENOMEM},
		{"offset not aligned", mm.MapRequest{Length: page, Flags: unix.MAP_PRIVATE, Object: file, File: file, Offset: 1}, unix.EINVAL},
		{"offset that wraps", mm.MapRequest{Length: 2 * page, Flags: unix.MAP_PRIVATE, Object: file, File: file, Offset: 1<<64 - page}, unix.EOVERFLOW},
		{"fixed, not aligned", mm.MapRequest{Addr: 0x100001, Length: page, Flags: anon | fixed}, unix.EINVAL},
		{"fixed at 0", mm.MapRequest{Addr: 0, Length: page, Flags: anon | fixed}, unix.EPERM},
		{"fixed below the minimum", mm.MapRequest{Addr: 0xf000, Length: page, Flags: anon | fixed}, unix.EPERM},
		{"fixed beyond the end", mm.MapRequest{Addr: mm.UserEnd, Length: page, Flags: anon | fixed}, unix.ENOMEM},
		{"fixed across the end", mm.MapRequest{Addr: mm.UserEnd - page, Length: 2 * page, Flags: anon | fixed}, unix.ENOMEM},
		{"fixed at the end", mm.MapRequest{Addr: mm.UserEnd - page, Length: page, Flags: anon | fixed}, 0},
		{"noreplace overlapping a mapping", mm.MapRequest{Addr: 0x103000, Length: 2 * page, Flags: anon | unix.MAP_FIXED_NOREPLACE}, unix.EEXIST},
		{"noreplace directly above a mapping", mm.MapRequest{Addr: 0x104000, Length: page, Flags: anon | unix.MAP_FIXED_NOREPLACE}, 0},
		{"shared and growing down", mm.MapRequest{Length: page, Flags: shared | unix.MAP_ANONYMOUS | unix.MAP_GROWSDOWN}, unix.EINVAL},
		{"more than all memory", mm.MapRequest{Length: 1 << 30, Prot: rw, Flags: anon}, unix.ENOMEM},
		{"more than all memory, shared", mm.MapRequest{Length: 1 << 30, Prot: rw, Flags: shared | unix.MAP_ANONYMOUS}, unix.ENOMEM},
		{"more than all memory, not reserved", mm.MapRequest{Length: 1 << 30, Prot: rw, Flags: anon | unix.MAP_NORESERVE}, 0},
		{"more than all memory, not writable", mm.MapRequest{Length: 1 << 40, Prot: mm.ProtNone, Flags: anon}, 0},
	} {
		_, err := f.as.Mmap(c.r)
		wantError(t, c.name, err, c.want)
	}
}

func TestMmapPlacement(t *testing.T) {
	f := newFixture(t)
	base := mm.MapBase(mm.UserEnd, 8<<20, 0)
	f.as.SetLayout(mm.Layout{MapBase: base})
	first := f.mmapAnonymous(0, 3, rw)
	if first != base-3*page {
		t.Errorf("the first mapping is at %#x, want directly below %#x", first, base)
	}
	second := f.mmapAnonymous(0, 2, mm.ProtRead)
	if second != first-2*page {
		t.Errorf("the second mapping is at %#x, want below %#x", second, first)
	}
	f.ok(f.as.Munmap(first, page, nil))
	if third := f.mmapAnonymous(0, 2, mm.ProtRead); third != second-2*page {
		t.Errorf("a mapping larger than the hole is at %#x", third)
	}
	if fourth := f.mmapAnonymous(0, 1, mm.ProtExec); fourth != first {
		t.Errorf("a mapping of the hole's size is at %#x, want %#x", fourth, first)
	}
	hint := f.mmap(mm.MapRequest{Addr: 0x5000123, Length: page, Prot: rw, Flags: anon})
	if hint != 0x5001000 {
		t.Errorf("a free hint resulted in %#x", hint)
	}
	taken := f.mmap(mm.MapRequest{Addr: 0x5001000, Length: page, Prot: mm.ProtExec, Flags: anon})
	if taken>>40 == 0 {
		t.Errorf("a hint in use resulted in %#x", taken)
	}
	low := f.mmap(mm.MapRequest{Addr: 1, Length: page, Prot: rw, Flags: anon})
	if low != mm.MinAddress {
		t.Errorf("a hint below MinAddress resulted in %#x", low)
	}
}

func TestBottomUpPlacement(t *testing.T) {
	f := newFixture(t)
	f.as.SetLayout(mm.Layout{MapBase: 0x40000000, BottomUp: true})
	a := f.mmapAnonymous(0, 1, rw)
	b := f.mmapAnonymous(0, 1, mm.ProtRead)
	if a != 0x40000000 || b != a+page {
		t.Errorf("bottom-up mappings are at %#x and %#x", a, b)
	}
}

func TestMap32Bit(t *testing.T) {
	f := newFixture(t)
	request := mm.MapRequest{Length: 1 << 29, Flags: anon | unix.MAP_32BIT}
	if a, b := f.mmap(request), f.mmap(request); a != 1<<30 || b != a+1<<29 {
		t.Errorf("MAP_32BIT placed mappings at %#x and %#x", a, b)
	}
	_, err := f.as.Mmap(request)
	wantError(t, "a third mapping of 512 MiB with MAP_32BIT", err, unix.ENOMEM)
	if at := f.mmap(mm.MapRequest{Addr: 0x200000, Length: page, Flags: anon | unix.MAP_32BIT}); at != 0x200000 {
		t.Errorf("a low hint resulted in %#x", at)
	}
}

func TestMmapSearchesAboveBaseWhenFullBelow(t *testing.T) {
	f := newFixture(t)
	f.as.SetLayout(mm.Layout{MapBase: mm.MinAddress + 4*page})
	f.mmapAnonymous(0, 4, mm.ProtNone)
	if at := f.mmapAnonymous(0, 1, mm.ProtNone); at < mm.UserEnd/3-page {
		t.Errorf("the mapping is at %#x", at)
	}
}

func TestMapBase(t *testing.T) {
	for _, c := range []struct{ stack, random, low, high uint64 }{
		{8 << 20, 0, 0x7ff000000000, mm.UserEnd - 16<<30},
		{0, 0, 0x7ff000000000, mm.UserEnd - 16<<30},
		{mm.Unlimited, 0, mm.UserEnd / 7, mm.UserEnd / 5},
		{mm.Unlimited, mm.Unlimited, 1 << 39, mm.UserEnd / 5},
		{8 << 20, 1 << 40, 0x7e0000000000, 0x7f0000000000},
	} {
		if at := mm.MapBase(mm.UserEnd, c.stack, c.random); at < c.low || at > c.high || at%page != 0 {
			t.Errorf("MapBase(%#x, %#x) = %#x, want in [%#x, %#x]", c.stack, c.random, at, c.low, c.high)
		}
	}
}

func TestMergeAndSplit(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	f.mmapAnonymous(base, 2, rw)
	f.mmapAnonymous(base+4*page, 2, rw)
	f.mmapAnonymous(base+2*page, 2, rw)
	f.regions(base, 0, 6)
	f.ok(f.as.Munmap(base+page, page, nil))
	f.regions(base, 0, 1, 2, 6)
	f.ok(f.as.Mprotect(base+3*page, page, unix.PROT_READ, nil))
	f.regions(base, 0, 1, 2, 3, 3, 4, 4, 6)
	f.ok(f.as.Mprotect(base+3*page, page, unix.PROT_READ|unix.PROT_WRITE, nil))
	f.regions(base, 0, 1, 2, 6)
	f.mmapAnonymous(base+3*page, 1, mm.ProtRead) // replaces a part
	f.regions(base, 0, 1, 2, 3, 3, 4, 4, 6)
	f.ok(f.as.Munmap(base, 100*page, nil))
	f.regions(base)
	if u := f.as.Usage(); u.Mapped != 0 || u.Data != 0 {
		t.Errorf("usage after unmapping everything: %+v", u)
	}
}

func TestFileAreasMergeOnlyIfOffsetsAreContiguous(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(8)
	const base = 0x10000000
	for _, i := range []uint64{0, 1, 3, 2} {
		f.mmap(mm.MapRequest{Addr: base + i*page, Length: page, Prot: mm.ProtRead, Flags: shared | fixed, Object: file, File: file, Offset: i * page})
	}
	f.regions(base, 0, 4)
	if file.refs != 1 {
		t.Errorf("one area holds %d file references, want 1", file.refs)
	}
	f.mmap(mm.MapRequest{Addr: base + 4*page, Length: page, Prot: mm.ProtRead, Flags: shared | fixed, Object: file, File: file, Offset: 5 * page})
	f.regions(base, 0, 4, 4, 5)
	f.want(f.as, base+4*page, pageText(5))
	f.ok(f.as.Munmap(base, 2*page, nil))
	if r := f.as.Regions(mm.WithoutPages)[0]; r.Offset != 2*page || r.Name != "/tmp/file" || r.Inode != 42 || !r.Shared {
		t.Errorf("area %+v", r)
	}
}

func TestMunmapFreesOnlyUnusedPageTables(t *testing.T) {
	f := newFixture(t)
	before := f.memory.Stats()
	for _, at := range []uint64{0x10000000, 0x10200000, 0x50000000, 1 << 40, 1 << 46} {
		f.put(f.as, f.mmapAnonymous(at, 1, rw), "x")
	}
	neighbour := f.mmapAnonymous(0x10001000, 1, rw)
	f.put(f.as, neighbour, "kept")
	f.ok(f.as.Munmap(0x10000000, page, nil))
	f.want(f.as, neighbour, "kept")
	f.ok(f.as.Munmap(0, mm.UserEnd-page, nil))
	after := f.memory.Stats()
	if u := f.as.Usage(); u.PageTables != 1 {
		t.Errorf("%d page tables are counted, want only the root", u.PageTables)
	}
	if after.Free != before.Free || after.PageTables != before.PageTables || after.Anonymous != 0 {
		t.Errorf("stats before %+v, after %+v; want them equal", before, after)
	}
	f.put(f.as, f.mmapAnonymous(0x10000000, 1, rw), "again")
}

// Maps and unmaps pages at small and large distances. After each step there must
// be exactly one table per level for each span that contains a page.
func TestPageTablesMatchMappedPages(t *testing.T) {
	f := newFixture(t)
	random := rand.New(rand.NewPCG(5, 6))
	used := map[uint64]bool{}
	for range 2000 {
		at := uint64(1) << 46
		for _, shift := range []int{12, 21, 30, 39} {
			at += uint64(random.IntN(3)) << shift
		}
		if used[at] {
			f.ok(f.as.Munmap(at, page, nil))
			delete(used, at)
		} else {
			f.put(f.as, f.mmapAnonymous(at, 1, rw), "x")
			used[at] = true
		}
		if got, want := f.as.Usage().PageTables, tablesFor(used); got != want {
			t.Fatalf("%d page tables for %d pages, want %d", got, len(used), want)
		}
	}
}

// tablesFor returns how many tables map the pages: the root, and one for each
// span of the lower levels that has a page.
func tablesFor(pages map[uint64]bool) int64 {
	tables := int64(1)
	for _, shift := range []int{21, 30, 39} {
		spans := map[uint64]bool{}
		for at := range pages {
			spans[at>>shift] = true
		}
		tables += int64(len(spans))
	}
	return tables
}

func TestMunmapErrors(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		addr, length uint64
		want         unix.Errno
	}{
		{0x1001, page, unix.EINVAL},
		{0x1000, 0, unix.EINVAL},
		{0x1000, 1<<64 - 1, unix.EINVAL},
		{0x1000, mm.UserEnd, unix.EINVAL},
		{1<<64 - page, page, unix.EINVAL},
		{0x1000, page, 0},
		{0, mm.UserEnd, 0},
	} {
		wantError(t, "Munmap", f.as.Munmap(c.addr, c.length, nil), c.want)
	}
}

func TestResourceLimits(t *testing.T) {
	f := newFixture(t)
	f.as.SetLimits(mm.Limits{Space: 20 * page, Data: 10 * page, Stack: mm.Unlimited, Locked: 4 * page})
	base := f.mmapAnonymous(0x10000000, 8, rw)
	_, err := f.as.Mmap(mm.MapRequest{Length: 3 * page, Prot: rw, Flags: anon})
	wantError(t, "more data than RLIMIT_DATA", err, unix.ENOMEM)
	f.mmapAnonymous(0x20000000, 12, mm.ProtRead)
	_, err = f.as.Mmap(mm.MapRequest{Length: page, Prot: mm.ProtRead, Flags: anon})
	wantError(t, "more than RLIMIT_AS", err, unix.ENOMEM)
	f.mmapAnonymous(base, 8, rw) // replaces as many pages as it adds
	wantError(t, "mprotect beyond RLIMIT_DATA", f.as.Mprotect(0x20000000, 12*page, unix.PROT_WRITE, nil), unix.ENOMEM)
	f.ok(f.as.Munmap(base, 8*page, nil))
	_, err = f.as.Mmap(mm.MapRequest{Length: 5 * page, Prot: rw, Flags: anon | unix.MAP_LOCKED})
	wantError(t, "locked beyond RLIMIT_MEMLOCK", err, unix.EAGAIN)
	_, err = f.as.Mmap(mm.MapRequest{Length: 4 * page, Prot: rw, Flags: anon | unix.MAP_LOCKED})
	f.ok(err)
	if u := f.as.Usage(); u.Locked != 4 || u.Anonymous != 4 {
		t.Errorf("usage %+v, want 4 locked and resident pages", u)
	}
}

func TestOvercommit(t *testing.T) {
	f := newFixture(t)
	if err := f.memory.SetOvercommit(3); err != unix.EINVAL {
		t.Errorf("SetOvercommit(3): %v, want EINVAL", err)
	}
	f.ok(f.memory.SetOvercommit(mm.OvercommitNever))
	limit := uint64(f.memory.CommitLimit())
	at := f.mmapAnonymous(0, limit-1, rw)
	_, err := f.as.Mmap(mm.MapRequest{Length: 2 * page, Prot: rw, Flags: anon | unix.MAP_NORESERVE})
	wantError(t, "beyond the commit limit", err, unix.ENOMEM)
	if _, err := f.as.Fork(nil); err != unix.ENOMEM {
		t.Errorf("fork beyond the commit limit: %v", err)
	}
	f.ok(f.as.Munmap(at, (limit-1)*page, nil))
	if c := f.memory.Stats().Committed; c != 0 {
		t.Errorf("%d pages are committed without mappings, want 0", c)
	}
	f.ok(f.memory.SetOvercommit(mm.OvercommitAlways))
	f.mmapAnonymous(0, 1<<30, rw)
}

func TestPopulate(t *testing.T) {
	f := newFixture(t)
	at := f.mmap(mm.MapRequest{Length: 100 * page, Prot: rw, Flags: anon | unix.MAP_POPULATE})
	if u := f.as.Usage(); u.Anonymous != 100 {
		t.Errorf("populated %d pages, want 100", u.Anonymous)
	}
	if n := f.machine.Translate(f.as.Root(), at+99*page, true); n == nil {
		t.Error("the last page is not present")
	}
}

func TestMaxMapCount(t *testing.T) {
	f := newFixture(t)
	const base = 0x100000000
	for i := range uint64(f.memory.Settings().MaxMapCount.Get()) {
		f.mmapAnonymous(base+2*i*page, 1, mm.ProtNone)
	}
	_, err := f.as.Mmap(mm.MapRequest{Length: page, Flags: anon})
	wantError(t, "one area too many", err, unix.ENOMEM)
	f.ok(f.as.Munmap(base, page, nil))
	f.mmapAnonymous(base-10*page, 3, rw)
	wantError(t, "one split too many", f.as.Munmap(base-9*page, page, nil), unix.ENOMEM)
	f.ok(f.as.Munmap(base-10*page, page, nil))
}

func TestBrk(t *testing.T) {
	f := newFixture(t)
	if got := f.as.Brk(0x10000000, nil); got != 0 {
		t.Errorf("brk without a heap = %#x", got)
	}
	const start = 0x10000000
	f.as.SetLayout(mm.Layout{MapBase: mm.MapBase(mm.UserEnd, 8<<20, 0), BrkStart: start})
	for _, c := range []struct{ to, want uint64 }{
		{0, start},
		{start + 100, start + 100},
		{start - 1, start + 100},
		{start + 5*page + 7, start + 5*page + 7},
		{mm.UserEnd, start + 5*page + 7},
		{1<<64 - 1, start + 5*page + 7},
		{start + 2*page, start + 2*page},
		{start + 1<<40, start + 2*page}, // more than physical memory
	} {
		if got := f.as.Brk(c.to, nil); got != c.want {
			t.Errorf("Brk(%#x) = %#x, want %#x", c.to, got, c.want)
		}
	}
	f.put(f.as, start+2*page-1, "x")
	f.fault(start+2*page, mm.AccessRead, mm.FaultNoMapping)
	if r := f.as.Regions(mm.WithoutPages); len(r) != 1 || r[0].Name != "[heap]" || r[0].End != start+2*page {
		t.Errorf("areas %+v", r)
	}
	f.mmapAnonymous(start+8*page, 1, rw)
	if got := f.as.Brk(start+8*page, nil); got != start+2*page {
		t.Errorf("brk grew up to another mapping: %#x", got)
	}
	if got := f.as.Brk(start+7*page, nil); got != start+7*page {
		t.Errorf("brk did not grow to one page below another mapping: %#x", got)
	}
	f.as.SetLimits(mm.Limits{Space: mm.Unlimited, Data: 4 * page})
	f.as.Brk(start, nil)
	if got := f.as.Brk(start+4*page, nil); got != start {
		t.Errorf("brk grew beyond RLIMIT_DATA: %#x", got)
	}
	if got := f.as.Brk(start+3*page, nil); got != start+3*page {
		t.Errorf("brk within RLIMIT_DATA: %#x", got)
	}
}
