package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

func TestFaultResults(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0x100000, 1, rw)
	readOnly := f.mmapAnonymous(0x200000, 1, mm.ProtRead)
	none := f.mmapAnonymous(0x300000, 1, mm.ProtNone)
	code := f.mmapAnonymous(0x400000, 1, mm.ProtExec)
	for _, c := range []struct {
		addr   uint64
		access mm.Access
		want   mm.FaultResult
	}{
		{0, mm.AccessRead, mm.FaultNoMapping},
		{8, mm.AccessWrite, mm.FaultNoMapping},
		{at, mm.AccessRead, mm.FaultResolved},
		{at + page - 1, mm.AccessWrite, mm.FaultResolved},
		{at + page, mm.AccessRead, mm.FaultNoMapping},
		{at - 1, mm.AccessRead, mm.FaultNoMapping},
		{at, mm.AccessExec, mm.FaultDenied},
		{readOnly, mm.AccessWrite, mm.FaultDenied},
		{readOnly, mm.AccessRead, mm.FaultResolved},
		{none, mm.AccessRead, mm.FaultDenied},
		{code, mm.AccessExec, mm.FaultResolved},
		{code, mm.AccessRead, mm.FaultResolved},
		{code, mm.AccessWrite, mm.FaultDenied},
		{mm.UserEnd, mm.AccessRead, mm.FaultNoMapping},
		{1 << 47, mm.AccessRead, mm.FaultNoMapping},
		{0xffff800000000000, mm.AccessRead, mm.FaultNoMapping},
		{1<<64 - 1, mm.AccessExec, mm.FaultNoMapping},
	} {
		f.fault(c.addr, c.access, c.want)
	}
}

func TestAnonymousReadUsesZeroPage(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 16, rw)
	f.fault(at, mm.AccessRead, mm.FaultResolved)
	free := f.memory.Stats().Free
	for i := range uint64(16) {
		f.want(f.as, at+i*page, "\x00\x00\x00")
	}
	if now := f.memory.Stats().Free; now != free {
		t.Errorf("reading allocated %d frames, want 0", free-now)
	}
	if u := f.as.Usage(); u.Resident() != 0 {
		t.Errorf("%d pages are resident after reads, want 0", u.Resident())
	}
	f.put(f.as, at+3*page, "x")
	if now := f.memory.Stats().Free; now != free-1 {
		t.Errorf("a write allocated %d frames, want 1", free-now)
	}
	f.want(f.as, at+3*page, "x\x00")
	f.want(f.as, at+4*page, "\x00")
	if u := f.as.Usage(); u.Anonymous != 1 || u.Resident() != 1 {
		t.Errorf("usage %+v, want one anonymous page", u)
	}
}

func TestPrivateFileMappingCopiesOnWrite(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(20)
	at := f.mmap(mm.MapRequest{Addr: 0x10000000, Length: 22 * page, Prot: rw, Flags: unix.MAP_PRIVATE | fixed, Object: file, File: file})
	f.want(f.as, at+2*page, pageText(2))
	if u := f.as.Usage(); u.File != 16 {
		t.Errorf("a read fault mapped %d pages, want the aligned window of 16", u.File)
	}
	f.put(f.as, at+2*page, "mine")
	f.want(f.as, at+2*page, "mine C")
	if u := f.as.Usage(); u.File != 15 || u.Anonymous != 1 {
		t.Errorf("usage after the copy: %+v", u)
	}
	f.put(f.as, at+18*page, "fresh") // the first access is a write
	f.want(f.as, at+18*page, "fresh")
	if got := string(f.memory.Bytes(file.pages[2])[:6]) + string(f.memory.Bytes(file.pages[18])[:6]); got != "page Cpage S" {
		t.Errorf("a write to a private mapping changed the file: %q", got)
	}
	f.fault(at+20*page, mm.AccessRead, mm.FaultBus)
	f.fault(at+21*page, mm.AccessWrite, mm.FaultBus)
	if _, err := f.as.CopyIn(make([]byte, 1), at+20*page); err != unix.EFAULT {
		t.Errorf("CopyOut beyond the end of the file: %v", err)
	}
}

func TestSharedFileMappingWritesToFile(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(3)
	request := mm.MapRequest{Length: 2 * page, Prot: rw, Flags: shared, Object: file, File: file, Offset: page}
	a, b := f.mmap(request), f.mmap(request)
	f.put(f.as, a, "both")
	f.want(f.as, b, "both B")
	if got := string(f.memory.Bytes(file.pages[1])[:6]); got != "both B" {
		t.Errorf("the file's page is %q", got)
	}
	if n := file.mappings.WritableShared(); n != 2 {
		t.Errorf("WritableShared = %d, want 2", n)
	}
	f.ok(f.as.Munmap(a+page, page, nil))
	if file.refs != 2 || file.mappings.WritableShared() != 2 {
		t.Errorf("after a partial munmap: %d file references, %d writable shared areas", file.refs, file.mappings.WritableShared())
	}
	f.ok(f.as.Munmap(a, page, nil))
	if file.refs != 1 || !file.mappings.Mapped() {
		t.Errorf("after munmap: %d file references", file.refs)
	}
}

// A mapping that has read a hole must see a later write by another mapping.
func TestWriteToHoleIsVisibleInAllMappings(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(1)
	file.size = 3
	at := f.mmap(mm.MapRequest{Length: 3 * page, Prot: mm.ProtRead, Flags: shared, Object: file, File: file})
	private := f.mmap(mm.MapRequest{Length: 3 * page, Prot: rw, Flags: unix.MAP_PRIVATE, Object: file, File: file})
	f.want(f.as, at+page, "\x00")
	f.want(f.as, private+page, "\x00")
	f.ok(f.as.Mprotect(at, 3*page, unix.PROT_READ|unix.PROT_WRITE, nil))
	f.put(f.as, at+page, "filled")
	f.want(f.as, private+page, "filled")
	if n, ok := file.pages[1]; !ok || string(f.memory.Bytes(n)[:6]) != "filled" {
		t.Fatal("a write to a hole is missing in the file")
	}
}

func TestTruncateUnmapsPages(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(4)
	private := f.mmap(mm.MapRequest{Length: 4 * page, Prot: rw, Flags: unix.MAP_PRIVATE, Object: file, File: file})
	common := f.mmap(mm.MapRequest{Length: 3 * page, Prot: rw, Flags: shared, Object: file, File: file, Offset: page})
	f.put(f.as, private+3*page, "copied")
	f.want(f.as, common, pageText(1))
	file.truncate(2)
	f.want(f.as, common, pageText(1))
	f.fault(common+page, mm.AccessRead, mm.FaultBus)
	f.fault(private+3*page, mm.AccessRead, mm.FaultBus)
	file.truncate(4)
	f.want(f.as, private+3*page, "\x00\x00\x00\x00\x00\x00")
}

func TestPunchHoleKeepsPrivateCopies(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(4)
	private := f.mmap(mm.MapRequest{Length: 4 * page, Prot: rw, Flags: unix.MAP_PRIVATE, Object: file, File: file})
	common := f.mmap(mm.MapRequest{Length: 4 * page, Prot: rw, Flags: shared, Object: file, File: file})
	f.put(f.as, private+page, "copied")
	f.want(f.as, private+2*page, pageText(2))
	f.ok(f.as.Madvise(common+page, 2*page, unix.MADV_REMOVE, nil))
	f.want(f.as, private+page, "copied")
	f.want(f.as, private+2*page, "\x00\x00")
	f.want(f.as, common+page, "\x00\x00")
	f.want(f.as, common+3*page, pageText(3))
}

func TestSharedAnonymous(t *testing.T) {
	f := newFixture(t)
	at := f.mmap(mm.MapRequest{Length: 4 * page, Prot: rw, Flags: shared | unix.MAP_ANONYMOUS})
	f.put(f.as, at, "parent")
	child, err := f.as.Fork(nil)
	f.ok(err)
	f.want(child, at, "parent")
	f.put(child, at+page, "child")
	f.want(f.as, at+page, "child")
	if u := f.as.Usage(); u.Shared != 2 || u.Anonymous != 0 {
		t.Errorf("usage %+v, want two shared pages", u)
	}
	if name := f.as.Regions(mm.WithoutPages)[0].Name; name != "/dev/zero (deleted)" {
		t.Errorf("the area's name is %q", name)
	}
	f.ok(f.as.Munmap(at, 4*page, nil))
	f.want(child, at, "parent")
	child.DecRef()
	if got := f.memory.Stats().Shared; got != 0 {
		t.Errorf("%d shared pages are left after munmap", got)
	}
}

func TestOutOfMemoryErrors(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 16, rw)
	f.put(f.as, at, "x")
	f.memory.Drain()
	f.machine.Limit(0)
	f.fault(at, mm.AccessWrite, mm.FaultResolved)
	f.fault(at+page, mm.AccessRead, mm.FaultResolved)
	f.fault(at+page, mm.AccessWrite, mm.FaultNoMemory)
	if n, err := f.as.CopyOut(at+page-1, []byte("ab")); n != 1 || err != unix.ENOMEM {
		t.Errorf("CopyOut without memory = %d, %v", n, err)
	}
	if _, err := f.as.Fork(nil); err != unix.ENOMEM {
		t.Errorf("Fork without memory: %v", err)
	}
	f.machine.Limit(-1)
	f.fault(at+page, mm.AccessWrite, mm.FaultResolved)
}

// Fork runs out of memory at each possible allocation. mmtest.New checks for
// leaked frames.
func TestForkOutOfMemoryLeaksNothingAndKeepsParent(t *testing.T) {
	f := newFixture(t)
	for i := range uint64(8) {
		at := f.mmapAnonymous(0x10000000+i<<30, 2, rw)
		f.put(f.as, at, "x")
	}
	for limit := 0; ; limit++ {
		f.memory.Drain()
		f.machine.Limit(limit)
		child, err := f.as.Fork(nil)
		f.machine.Limit(-1)
		if err == nil {
			child.DecRef()
			if limit < 10 {
				t.Errorf("a fork that needs 8 tables succeeded with %d frames", limit)
			}
			break
		}
		f.want(f.as, 0x10000000, "x")
	}
}

func TestStackGrowth(t *testing.T) {
	f := newFixture(t)
	const top = 0x7ffffffff000 - page
	f.as.SetLimits(mm.Limits{Space: mm.Unlimited, Data: mm.Unlimited, Stack: 64 * page, Locked: mm.Unlimited})
	stack := f.mmap(mm.MapRequest{Addr: top - 4*page, Length: 4 * page, Prot: rw, Flags: anon | fixed | unix.MAP_GROWSDOWN, Name: "[stack]"})
	f.put(f.as, stack-10*page, "deep")
	f.regions(stack-10*page, 0, 14)
	f.fault(top-64*page, mm.AccessWrite, mm.FaultResolved)
	f.fault(top-64*page-1, mm.AccessWrite, mm.FaultNoMapping)
	if r := f.as.Regions(mm.WithoutPages); len(r) != 1 || r[0].Name != "[stack]" || !r[0].GrowsDown {
		t.Errorf("areas %+v", r)
	}
	if u := f.as.Usage(); u.Stack != 64 || u.Mapped != 64 {
		t.Errorf("usage %+v", u)
	}
}

// A stack stops growing StackGuardGap (1 MiB) above the next lower mapping, and
// no mapping is placed within the gap below a stack.
func TestStackGuardGap(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	f.mmapAnonymous(base, 1, rw)
	stack := f.mmap(mm.MapRequest{Addr: base + page + 258*page, Length: page, Prot: rw, Flags: anon | fixed | unix.MAP_GROWSDOWN})
	f.fault(stack-2*page, mm.AccessWrite, mm.FaultResolved)
	f.fault(stack-3*page, mm.AccessWrite, mm.FaultNoMapping)
	hinted := f.mmap(mm.MapRequest{Addr: base + 2*page, Length: page, Prot: rw, Flags: anon})
	if hinted == base+2*page {
		t.Error("a mapping was placed in the guard gap")
	}
}
