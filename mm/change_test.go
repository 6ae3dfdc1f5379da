package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

func TestMprotect(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	f.mmapAnonymous(base, 4, rw)
	f.put(f.as, base, "kept")
	f.ok(f.as.Mprotect(base, page, unix.PROT_NONE, nil))
	f.fault(base, mm.AccessRead, mm.FaultDenied)
	if f.machine.Translate(f.as.Root(), base, false) != nil {
		t.Error("the page tables translate a PROT_NONE page, want no translation")
	}
	f.ok(f.as.Mprotect(base, page, unix.PROT_READ, nil))
	f.want(f.as, base, "kept")
	if _, err := f.as.CopyOut(base, []byte("x")); err != unix.EFAULT {
		t.Errorf("write to a read-only page: %v, want EFAULT", err)
	}
	f.ok(f.as.Mprotect(base, page, unix.PROT_READ|unix.PROT_WRITE, nil))
	if f.machine.Translate(f.as.Root(), base, true) == nil {
		t.Error("mprotect left a page with a single reference read-only")
	}
	f.put(f.as, base, "new")
}

// Revoked rights must be flushed from the TLBs of all CPUs. Added rights need no
// flush, because the stale entry faults and Fault resolves it.
func TestMprotectShootsDownOnlyRevokedRights(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 1, rw)
	f.put(f.as, at, "x")
	for _, c := range []struct{ prot, shots int }{
		{unix.PROT_READ, 1},
		{unix.PROT_READ | unix.PROT_WRITE, 0},
		{unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC, 0},
		{unix.PROT_READ | unix.PROT_WRITE, 1},
		{unix.PROT_NONE, 1},
		{unix.PROT_READ, 0},
		{unix.PROT_EXEC, 0},
		{unix.PROT_READ, 1},
	} {
		before := f.machine.Shootdowns()
		f.ok(f.as.Mprotect(at, page, c.prot, nil))
		if shots := f.machine.Shootdowns() - before; shots != c.shots {
			t.Errorf("mprotect to %d: %d shootdowns, want %d", c.prot, shots, c.shots)
		}
	}
}

func TestMprotectErrors(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	f.mmapAnonymous(base, 2, rw)
	f.mmapAnonymous(base+3*page, 1, rw)
	file := f.newFile(1)
	f.mmap(mm.MapRequest{Addr: base + 4*page, Length: page, Prot: mm.ProtRead, MaxProt: mm.ProtRead, Flags: shared | fixed, Object: file, File: file})
	stack := f.mmap(mm.MapRequest{Addr: 0x40000000, Length: 4 * page, Prot: rw, Flags: anon | fixed | unix.MAP_GROWSDOWN})
	for _, c := range []struct {
		name         string
		addr, length uint64
		prot         int
		want         unix.Errno
	}{
		{"not aligned", base + 1, page, 0, unix.EINVAL},
		{"unknown bit", base, page, 0x10, unix.EINVAL},
		{"length 0", base, 0, 0, 0},
		{"PROT_SEM", base, page, unix.PROT_READ | unix.PROT_WRITE | 8, 0},
		{"wraps", base, 1<<64 - page, 0, unix.ENOMEM},
		{"hole", base, 3 * page, unix.PROT_READ, unix.ENOMEM},
		{"unmapped range", 0x90000000, page, 0, unix.ENOMEM},
		{"protection not permitted by the file", base + 4*page, page, unix.PROT_READ | unix.PROT_WRITE, unix.EACCES},
		{"grows down", stack + 2*page, page, unix.PROT_READ | unix.PROT_GROWSDOWN, 0},
		{"does not grow down", base, page, unix.PROT_READ | unix.PROT_GROWSDOWN, unix.EINVAL},
	} {
		wantError(t, c.name, f.as.Mprotect(c.addr, c.length, c.prot, nil), c.want)
	}
	f.fault(base+page, mm.AccessWrite, mm.FaultDenied) // the area below the hole has changed
	f.fault(stack, mm.AccessWrite, mm.FaultDenied)     // PROT_GROWSDOWN extended the change to here
	f.fault(stack+3*page, mm.AccessWrite, mm.FaultResolved)
}

// mprotect must not make a page writable that fork shares.
func TestMprotectKeepsCopyOnWrite(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 1, rw)
	f.put(f.as, at, "old")
	child, err := f.as.Fork(nil)
	f.ok(err)
	defer child.DecRef()
	f.ok(f.as.Mprotect(at, page, unix.PROT_READ, nil))
	f.ok(f.as.Mprotect(at, page, unix.PROT_READ|unix.PROT_WRITE, nil))
	f.put(f.as, at, "new")
	f.want(child, at, "old")
}

func (f *fixture) mremap(addr, old, new uint64, flags int, to uint64) (uint64, error) {
	return f.as.Mremap(mm.RemapRequest{Addr: addr, OldLength: old, NewLength: new, Flags: flags, NewAddr: to})
}

func TestMremap(t *testing.T) {
	const base = 0x10000000
	f := newFixture(t)
	f.mmapAnonymous(base, 4, rw)
	f.put(f.as, base+page, "two")
	f.put(f.as, base+3*page, "four")

	at, err := f.mremap(base, 4*page, 6*page, 0, 0) // grows in place
	if at != base || err != nil {
		t.Fatalf("growing in place returned %#x, %v", at, err)
	}
	f.put(f.as, base+5*page, "six")
	f.mmapAnonymous(base+6*page, 1, mm.ProtRead) // blocks growth in place
	_, err = f.mremap(base, 6*page, 8*page, 0, 0)
	wantError(t, "growing in place into another mapping", err, unix.ENOMEM)

	moved, err := f.mremap(base, 6*page, 8*page, unix.MREMAP_MAYMOVE, 0)
	f.ok(err)
	f.fault(base, mm.AccessRead, mm.FaultNoMapping)
	f.want(f.as, moved+page, "two")
	f.want(f.as, moved+5*page, "six")
	f.put(f.as, moved+7*page, "eight")

	at, err = f.mremap(moved, 8*page, 2*page, 0, 0) // shrinks
	if at != moved || err != nil {
		t.Fatalf("shrinking returned %#x, %v", at, err)
	}
	f.fault(moved+2*page, mm.AccessRead, mm.FaultNoMapping)

	to, err := f.mremap(moved, 2*page, 2*page, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, 0x70000000)
	if to != 0x70000000 || err != nil {
		t.Fatalf("moving to a fixed address returned %#x, %v", to, err)
	}
	f.want(f.as, to+page, "two")

	kept, err := f.mremap(to, 2*page, 2*page, unix.MREMAP_MAYMOVE|unix.MREMAP_DONTUNMAP, 0)
	f.ok(err)
	f.want(f.as, kept+page, "two")
	f.want(f.as, to+page, "\x00\x00\x00")
	if u := f.as.Usage(); u.Mapped != 5 || u.Anonymous != 1 {
		t.Errorf("usage %+v, want 5 mapped pages and 1 anonymous page", u)
	}
}

// TestMappingsOf32BitCodeStayBelow4GiB maps and moves in the address space of a 64-bit program.
func TestMappingsOf32BitCodeStayBelow4GiB(t *testing.T) {
	f := newFixture(t)
	for name, at := range map[string]uint64{
		"mmap":               f.mmap(mm.MapRequest{Length: page, Flags: anon, Below4GiB: true}),
		"mmap with a hint":   f.mmap(mm.MapRequest{Addr: 0x5000000, Length: page, Flags: anon, Below4GiB: true}),
		"mmap and MAP_32BIT": f.mmap(mm.MapRequest{Length: page, Flags: anon | unix.MAP_32BIT, Below4GiB: true}),
	} {
		if at >= mm.UserEnd32 || name == "mmap and MAP_32BIT" && at>>30 < 3 {
			t.Errorf("%s returned %#x", name, at)
		}
	}
	for name, r := range map[string]mm.RemapRequest{
		"mremap":                       {OldLength: page, NewLength: 2 * page, Flags: unix.MREMAP_MAYMOVE},
		"mremap with MREMAP_DONTUNMAP": {OldLength: page, NewLength: page, Flags: unix.MREMAP_MAYMOVE | unix.MREMAP_DONTUNMAP},
	} {
		for _, below := range []bool{true, false} {
			r.Addr, r.Below4GiB = f.mmapAnonymous(0, 2, rw), below
			at, err := f.as.Mremap(r)
			if err != nil || (at < mm.UserEnd32) != below && at != r.Addr {
				t.Errorf("%s of %#x returned %#x, %v; below 4 GiB: %v", name, r.Addr, at, err, below)
			}
			if below && at >= mm.UserEnd32 {
				t.Errorf("%s of 32-bit code returned %#x", name, at)
			}
		}
	}
}

func TestMremapMovesMiddleOfFileMapping(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(6)
	at := f.mmap(mm.MapRequest{Length: 6 * page, Prot: rw, Flags: shared, Object: file, File: file})
	f.want(f.as, at+3*page, pageText(3))
	to, err := f.mremap(at+2*page, 2*page, 3*page, unix.MREMAP_MAYMOVE, 0)
	f.ok(err)
	f.want(f.as, to, pageText(2))
	f.want(f.as, to+2*page, pageText(4))
	f.want(f.as, at+page, pageText(1))
	f.fault(at+2*page, mm.AccessRead, mm.FaultNoMapping)
	f.want(f.as, at+4*page, pageText(4))
	second, err := f.mremap(at, 0, 2*page, unix.MREMAP_MAYMOVE, 0)
	f.ok(err)
	f.put(f.as, second, "seen")
	f.want(f.as, at, "seen")
	if file.refs != 4 {
		t.Errorf("four areas hold %d file references, want 4", file.refs)
	}
}

func TestMremapErrors(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	const mayMove, fixedAddr, dontUnmap = unix.MREMAP_MAYMOVE, unix.MREMAP_FIXED, unix.MREMAP_DONTUNMAP
	f.mmapAnonymous(base, 4, rw)
	for _, c := range []struct {
		name          string
		addr, old, nw uint64
		flags         int
		to            uint64
		want          unix.Errno
	}{
		{"unknown flag", base, page, page, 8, 0, unix.EINVAL},
		{"fixed without maymove", base, page, page, fixedAddr, 0, unix.EINVAL},
		{"dontunmap without maymove", base, page, page, dontUnmap, 0, unix.EINVAL},
		{"dontunmap and resize", base, page, 2 * page, mayMove | dontUnmap, 0, unix.EINVAL},
		{"not aligned", base + 1, page, page, 0, 0, unix.EINVAL},
		{"new length 0", base, page, 0, 0, 0, unix.EINVAL},
		{"unmapped range", 0x90000000, page, page, 0, 0, unix.EFAULT},
		{"old length 0 of private memory", base, 0, page, mayMove, 0, unix.EINVAL},
		{"old length beyond the area", base, 5 * page, 6 * page, mayMove, 0, unix.EFAULT},
		{"new address not aligned", base, page, page, mayMove | fixedAddr, 1, unix.EINVAL},
		{"new address overlaps", base, 2 * page, 2 * page, mayMove | fixedAddr, base + page, unix.EINVAL},
		{"new address in the kernel", base, page, page, mayMove | fixedAddr, 1 << 47, unix.EINVAL},
		{"new address 0", base, page, page, mayMove | fixedAddr, 0, unix.EPERM},
		{"new length beyond the address space", base, 4 * page, 1 << 47, mayMove, 0, unix.ENOMEM},
		{"old length wraps", base, 1<<64 - page, page, 0, 0, unix.EINVAL},
	} {
		_, err := f.mremap(c.addr, c.old, c.nw, c.flags, c.to)
		wantError(t, c.name, err, c.want)
	}
	f.regions(base, 0, 4)
}

func TestMadvise(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	f.mmapAnonymous(base, 4, rw)
	file := f.newFile(2)
	mapped := f.mmap(mm.MapRequest{Length: 2 * page, Prot: rw, Flags: unix.MAP_PRIVATE, Object: file, File: file})
	for i := range uint64(4) {
		f.put(f.as, base+i*page, "data")
	}
	f.put(f.as, mapped, "mine")
	f.ok(f.as.Madvise(base, page, unix.MADV_DONTNEED, nil))
	f.ok(f.as.Madvise(base+page, page, unix.MADV_FREE, nil))
	f.ok(f.as.Madvise(mapped, 2*page, unix.MADV_DONTNEED, nil))
	f.want(f.as, base, "\x00\x00\x00\x00")
	f.want(f.as, base+2*page, "data")
	f.want(f.as, mapped, pageText(0))
	f.ok(f.as.Madvise(base, 4*page, unix.MADV_POPULATE_WRITE, nil))
	for _, c := range []struct {
		name         string
		addr, length uint64
		advice       int
		want         unix.Errno
	}{
		{"unknown", base, page, 999, unix.EINVAL},
		{"huge pages unsupported", base, page, unix.MADV_HUGEPAGE, unix.EINVAL},
		{"KSM unsupported", base, page, unix.MADV_MERGEABLE, unix.EINVAL},
		{"not aligned", base + 1, page, unix.MADV_NORMAL, unix.EINVAL},
		{"wraps", base, 1<<64 - 1, unix.MADV_NORMAL, unix.EINVAL},
		{"length 0", base, 0, unix.MADV_DONTNEED, 0},
		{"hole at the end", base, 5 * page, unix.MADV_WILLNEED, unix.ENOMEM},
		{"hole at the start", base - page, 2 * page, unix.MADV_NORMAL, unix.ENOMEM},
		{"unmapped range", 0x90000000, page, unix.MADV_DONTNEED, unix.ENOMEM},
		{"MADV_FREE of a file", mapped, page, unix.MADV_FREE, unix.EINVAL},
		{"MADV_WIPEONFORK of a file", mapped, page, unix.MADV_WIPEONFORK, unix.EINVAL},
		{"MADV_REMOVE of private memory", base, page, unix.MADV_REMOVE, unix.EINVAL},
		{"MADV_REMOVE of a private file mapping", mapped, page, unix.MADV_REMOVE, unix.EACCES},
		{"MADV_POPULATE_READ over a hole", base, 5 * page, unix.MADV_POPULATE_READ, unix.ENOMEM},
		{"sequential", base, 4 * page, unix.MADV_SEQUENTIAL, 0},
		{"normal", base, 4 * page, unix.MADV_NORMAL, 0},
	} {
		wantError(t, c.name, f.as.Madvise(c.addr, c.length, c.advice, nil), c.want)
	}
	f.ok(f.as.Mprotect(base, page, unix.PROT_READ, nil))
	wantError(t, "populate for writing", f.as.Madvise(base, page, unix.MADV_POPULATE_WRITE, nil), unix.EINVAL)
	f.ok(f.as.Mprotect(base, page, unix.PROT_WRITE, nil))
	wantError(t, "populate of write-only memory for reading", f.as.Madvise(base, page, unix.MADV_POPULATE_READ, nil), unix.EINVAL)
	wantError(t, "populate of write-only memory for writing", f.as.Madvise(base, page, unix.MADV_POPULATE_WRITE, nil), 0)
	file.truncate(1)
	wantError(t, "populate beyond the end", f.as.Madvise(mapped, 2*page, unix.MADV_POPULATE_READ, nil), unix.EFAULT)
	f.ok(f.as.Mlock(base+page, page, mm.LockNow, nil))
	wantError(t, "drop of locked memory", f.as.Madvise(base+page, page, unix.MADV_DONTNEED, nil), unix.EINVAL)
}

func TestMlock(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	f.mmapAnonymous(base, 8, rw)
	limits := mm.Limits{Space: mm.Unlimited, Data: mm.Unlimited, Stack: mm.Unlimited, Locked: 4 * page}
	f.as.SetLimits(limits)
	wantError(t, "too much", f.as.Mlock(base, 5*page, mm.LockNow, nil), unix.ENOMEM)
	f.ok(f.as.Mlock(base+10, 3*page, mm.LockNow, nil)) // rounds to 4 pages
	f.ok(f.as.Mlock(base, 4*page, mm.LockNow, nil))    // counts once
	if u := f.as.Usage(); u.Locked != 4 || u.Anonymous != 4 {
		t.Errorf("usage %+v", u)
	}
	wantError(t, "all is too much", f.as.Mlockall(unix.MCL_CURRENT, nil), unix.ENOMEM)
	f.ok(f.as.Munlock(base, 2*page))
	f.ok(f.as.Mlock(base+4*page, page, mm.LockOnFault, nil))
	if u := f.as.Usage(); u.Locked != 3 || u.Anonymous != 4 {
		t.Errorf("usage %+v", u)
	}
	wantError(t, "a hole", f.as.Mlock(base+7*page, 2*page, mm.LockNow, nil), unix.ENOMEM)
	f.as.Munlockall()
	if u := f.as.Usage(); u.Locked != 0 {
		t.Errorf("usage %+v", u)
	}
	f.regions(base, 0, 8)
	for _, flags := range []int{0, unix.MCL_ONFAULT, 8} {
		wantError(t, "Mlockall", f.as.Mlockall(flags, nil), unix.EINVAL)
	}
	limits.Locked = mm.Unlimited
	f.as.SetLimits(limits)
	f.ok(f.as.Mlockall(unix.MCL_CURRENT|unix.MCL_FUTURE, nil))
	f.mmapAnonymous(0, 2, rw)
	if u := f.as.Usage(); u.Locked != 10 || u.Anonymous != 10 {
		t.Errorf("usage %+v", u)
	}
	limits.Locked = 0
	f.as.SetLimits(limits)
	wantError(t, "no right", f.as.Mlock(base, page, mm.LockNow, nil), unix.EPERM)
	_, err := f.as.Mmap(mm.MapRequest{Length: page, Prot: rw, Flags: anon | unix.MAP_LOCKED})
	wantError(t, "no right to map locked", err, unix.EPERM)
}

func TestMincore(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(2)
	const base = 0x10000000
	f.mmapAnonymous(base, 600, rw)
	f.mmap(mm.MapRequest{Addr: base + 600*page, Length: 3 * page, Prot: mm.ProtRead, Flags: shared | fixed, Object: file, File: file})
	f.put(f.as, base+page, "x")
	f.put(f.as, base+599*page, "x")
	var got []byte
	collect := func(vec []byte) error { got = append(got, vec...); return nil }
	f.ok(f.as.Mincore(base, 602*page+1, collect))
	if len(got) != 603 {
		t.Fatalf("Mincore reported %d pages, want 603", len(got))
	}
	for i, resident := range got {
		want := i == 1 || i == 599 || i == 600 || i == 601
		if (resident == 1) != want {
			t.Errorf("page %d: residency byte %d", i, resident)
		}
	}
	wantError(t, "not aligned", f.as.Mincore(base+1, page, collect), unix.EINVAL)
	wantError(t, "hole", f.as.Mincore(base, 604*page, collect), unix.ENOMEM)
	wantError(t, "outside", f.as.Mincore(base, 1<<63, collect), unix.ENOMEM)
	wantError(t, "bad vector", f.as.Mincore(base, page, func([]byte) error { return unix.EFAULT }), unix.EFAULT)
}

func TestMsync(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	f.mmapAnonymous(base, 2, rw)
	f.mmapAnonymous(base+3*page, 1, rw)
	f.ok(f.as.Mlock(base+3*page, page, mm.LockNow, nil))
	for _, c := range []struct {
		addr, length uint64
		flags        int
		want         unix.Errno
	}{
		{base, 2 * page, unix.MS_SYNC, 0},
		{base, 0, unix.MS_ASYNC, 0},
		{base, page, unix.MS_SYNC | unix.MS_ASYNC, unix.EINVAL},
		{base, page, 64, unix.EINVAL},
		{base + 1, page, unix.MS_SYNC, unix.EINVAL},
		{base, 4 * page, unix.MS_SYNC, unix.ENOMEM},
		{base, 1<<64 - page, unix.MS_SYNC, unix.ENOMEM},
		{base + 3*page, page, unix.MS_INVALIDATE, unix.EBUSY},
	} {
		wantError(t, "Msync", f.as.Msync(c.addr, c.length, c.flags), c.want)
	}
}
