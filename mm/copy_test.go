package mm_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

func TestCopyStopsAtUnmappedPage(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0x10000000, 2, rw)
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*page/16)
	n, err := f.as.CopyOut(at+100, data)
	if n != 2*page-100 || err != unix.EFAULT {
		t.Errorf("CopyOut across the end of the mapping = %d, %v", n, err)
	}
	got := make([]byte, 3*page)
	n, err = f.as.CopyIn(got, at+100)
	if n != 2*page-100 || err != unix.EFAULT || !bytes.Equal(got[:n], data[:n]) {
		t.Errorf("CopyIn across the end of the mapping = %d, %v", n, err)
	}
	n, err = f.as.ZeroOut(at+200, 2*page)
	if n != 2*page-200 || err != unix.EFAULT {
		t.Errorf("ZeroOut across the end of the mapping = %d, %v", n, err)
	}
	f.want(f.as, at+196, "0123\x00\x00")
}

func TestCopyRejectsBadAddresses(t *testing.T) {
	f := newFixture(t)
	last := f.mmapAnonymous(mm.UserEnd-page, 1, rw)
	buf := make([]byte, 2*page)
	for _, c := range []struct {
		addr uint64
		n    int
		done int
		want unix.Errno
	}{
		{0, 1, 0, unix.EFAULT},
		{0, 0, 0, 0},
		{1 << 63, 0, 0, 0},
		{mm.UserEnd, 1, 0, unix.EFAULT},
		{1 << 47, 1, 0, unix.EFAULT},
		{0xffffffff80000000, 8, 0, unix.EFAULT},
		{1<<64 - 1, 2, 0, unix.EFAULT},
		{last, page, page, 0},
		{last, page + 1, page, unix.EFAULT},
	} {
		done, err := f.as.CopyOut(c.addr, buf[:c.n])
		if done != c.done {
			t.Errorf("CopyOut(%#x, %d bytes) = %d", c.addr, c.n, done)
		}
		wantError(t, "CopyOut", err, c.want)
		done, err = f.as.CopyIn(buf[:c.n], c.addr)
		if done != c.done {
			t.Errorf("CopyIn(%#x, %d bytes) = %d", c.addr, c.n, done)
		}
		wantError(t, "CopyIn", err, c.want)
	}
}

func TestCopyInString(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0x10000000, 2, rw)
	end := at + 2*page
	long := strings.Repeat("abcdefg/", 400)
	f.put(f.as, at, long+"\x00rest")
	f.put(f.as, end-4, "tail")
	f.put(f.as, end-10, "fits\x00")
	for _, c := range []struct {
		addr uint64
		max  int
		s    string
		want unix.Errno
	}{
		{at, 4096, long, 0},
		{at, len(long) + 1, long, 0},
		{at, len(long), "", unix.ENAMETOOLONG},
		{at + uint64(len(long)), 10, "", 0},
		{end - 10, 4096, "fits", 0},
		{end - 4, 4096, "", unix.EFAULT},
		{end - 4, 4, "", unix.ENAMETOOLONG},
		{0, 4096, "", unix.EFAULT},
		{1<<64 - 3, 4096, "", unix.EFAULT},
	} {
		s, err := f.as.CopyInString(c.addr, c.max)
		if s != c.s {
			t.Errorf("CopyInString(%#x, %d) = %q", c.addr, c.max, s)
		}
		wantError(t, "CopyInString", err, c.want)
	}
}

// Most system calls make small copies, so these must not allocate.
func TestCopyDoesNotAllocate(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 1, rw)
	f.put(f.as, at, "x")
	n := testing.AllocsPerRun(100, func() {
		var buf [16]byte
		f.as.CopyOut(at, buf[:])
		f.as.CopyIn(buf[:], at)
		f.as.LoadUint32(at)
	})
	if n != 0 {
		t.Errorf("copies allocate %v times, want 0", n)
	}
}

func TestAtomicWordOperations(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 1, rw)
	f.ok(f.as.StoreUint32(at+4, 7))
	if v, err := f.as.LoadUint32(at + 4); v != 7 || err != nil {
		t.Errorf("LoadUint32 = %d, %v", v, err)
	}
	if was, err := f.as.CompareAndSwapUint32(at+4, 8, 9); was != 7 || err != nil {
		t.Errorf("CompareAndSwapUint32 with a wrong old value = %d, %v", was, err)
	}
	if was, err := f.as.CompareAndSwapUint32(at+4, 7, 9); was != 7 || err != nil {
		t.Errorf("CompareAndSwapUint32 = %d, %v", was, err)
	}
	if was, err := f.as.UpdateUint32(at+4, func(v uint32) uint32 { return v * 2 }); was != 9 || err != nil {
		t.Errorf("UpdateUint32 = %d, %v", was, err)
	}
	f.want(f.as, at+4, "\x12\x00\x00\x00")
	_, err := f.as.LoadUint32(at + 2)
	wantError(t, "unaligned", err, unix.EINVAL)
	_, err = f.as.LoadUint32(1 << 63)
	wantError(t, "kernel address", err, unix.EFAULT)
	readOnly := f.mmapAnonymous(0, 1, mm.ProtRead)
	wantError(t, "store to read-only memory", f.as.StoreUint32(readOnly, 1), unix.EFAULT)
}

func TestFutexKey(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(2)
	private := f.mmapAnonymous(0, 1, rw)
	a := f.mmap(mm.MapRequest{Length: 2 * page, Prot: rw, Flags: shared, Object: file, File: file})
	b := f.mmap(mm.MapRequest{Length: page, Prot: rw, Flags: shared, Object: file, File: file, Offset: page})
	key := func(addr uint64, private bool) mm.FutexKey {
		k, err := f.as.FutexKey(addr, private)
		f.ok(err)
		return k
	}
	if key(a+page+8, false) != key(b+8, false) {
		t.Error("two mappings of the same file word have different keys")
	}
	if key(a+8, false) == key(b+8, false) || key(a+8, true) == key(a+8, false) {
		t.Error("different words have the same key")
	}
	if key(private, true) != key(private, false) {
		t.Error("the same word of private memory has two different keys")
	}
	_, err := f.as.FutexKey(private+1, true)
	wantError(t, "unaligned", err, unix.EINVAL)
	_, err = f.as.FutexKey(0x1000, false)
	wantError(t, "nothing there", err, unix.EFAULT)
	_, err = f.as.FutexKey(1<<47, true)
	wantError(t, "kernel address", err, unix.EFAULT)
}

func TestRemoteReadWriteAndForce(t *testing.T) {
	f := newFixture(t)
	const base = 0x10000000
	f.mmapAnonymous(base, 2, rw)
	text := f.mmapAnonymous(base+2*page, 1, mm.ProtRead|mm.ProtExec)
	data := bytes.Repeat([]byte("remote"), 1000)
	if n, err := f.as.WriteRemote(base+page-3000, data, mm.ByProtection); n != len(data) || err != nil {
		t.Fatalf("WriteRemote = %d, %v", n, err)
	}
	got := make([]byte, len(data))
	if n, err := f.as.ReadRemote(got, base+page-3000, mm.ByProtection); n != len(data) || err != nil || !bytes.Equal(got, data) {
		t.Fatalf("ReadRemote = %d, %v", n, err)
	}
	n, err := f.as.WriteRemote(text-2, []byte("abcd"), mm.ByProtection)
	if n != 2 || err != unix.EFAULT {
		t.Errorf("WriteRemote to read-only text = %d, %v", n, err)
	}
	if n, err := f.as.WriteRemote(text, []byte("\xcc"), mm.Forced); n != 1 || err != nil {
		t.Errorf("forced WriteRemote to read-only text = %d, %v", n, err)
	}
	f.want(f.as, text, "\xcc\x00")
	if f.machine.Translate(f.as.Root(), text, true) != nil {
		t.Error("the page is writable from user mode after a forced write")
	}
	file := f.newFile(1)
	common := f.mmap(mm.MapRequest{Length: page, Prot: mm.ProtRead, Flags: shared, Object: file, File: file})
	if _, err := f.as.WriteRemote(common, []byte("x"), mm.Forced); err != unix.EFAULT {
		t.Errorf("forced write to a shared file mapping: %v", err)
	}
	f.want(f.as, common, pageText(0))
	mapped := f.mmap(mm.MapRequest{Length: page, Prot: mm.ProtRead | mm.ProtExec, Flags: unix.MAP_PRIVATE, Object: file, File: file})
	f.ok(write(f.as, mapped, "\xcc", mm.Forced))
	f.want(f.as, mapped, "\xcc")
	f.want(f.as, common, pageText(0))
	f.ok(write(f.as, mapped, "\x90", mm.Forced))
	f.want(f.as, mapped, "\x90")
	writeOnly := f.mmapAnonymous(0, 1, mm.ProtWrite)
	if _, err := f.as.ReadRemote(got[:1], writeOnly, mm.ByProtection); err != unix.EFAULT {
		t.Errorf("read of memory that can only be written: %v", err)
	}
	if _, err := f.as.ReadRemote(got[:1], writeOnly, mm.Forced); err != nil {
		t.Errorf("forced read of memory that can only be written: %v", err)
	}
	none := f.mmapAnonymous(0, 1, mm.ProtNone)
	f.ok(write(f.as, none, "n", mm.Forced))
	if _, err := f.as.ReadRemote(got[:1], none, mm.Forced); err != nil || got[0] != 'n' {
		t.Errorf("forced access to memory without permissions: %q, %v", got[0], err)
	}
	if _, err := f.as.ReadRemote(got, 1<<64-10, mm.Forced); err != unix.EFAULT {
		t.Errorf("ReadRemote from a kernel address: %v", err)
	}
}

// write is WriteRemote that returns the error only.
func write(as *mm.AddressSpace, at uint64, text string, rights mm.RemoteRights) error {
	_, err := as.WriteRemote(at, []byte(text), rights)
	return err
}

func TestSpecialMapping(t *testing.T) {
	f := newFixture(t)
	data, err := f.memory.NewSpecial(1)
	f.ok(err)
	code, err := f.memory.NewSpecial(1)
	f.ok(err)
	t.Cleanup(func() { data.Free(); code.Free() })
	as, err := f.memory.NewAddressSpace()
	f.ok(err)
	defer as.DecRef()
	at, err := as.MapSpecial(0, mm.SpecialPart{Special: data, Prot: mm.ProtRead, Name: "[vvar]"}, mm.SpecialPart{Special: code, Prot: mm.ProtRead | mm.ProtExec, Name: "[vdso]"})
	f.ok(err)
	copy(data.Bytes(0), "clock")
	copy(code.Bytes(0), "code")
	f.want(as, at, "clock")
	f.want(as, at+page, "code")
	copy(data.Bytes(0), "tick!")
	f.want(as, at, "tick!")
	if n, err := as.CopyOut(at, []byte("x")); n != 0 || err != unix.EFAULT {
		t.Errorf("write to the vvar = %d, %v", n, err)
	}
	wantError(t, "mprotect of the vvar", as.Mprotect(at, page, unix.PROT_READ|unix.PROT_WRITE, nil), unix.EACCES)
	if _, err := as.ReadRemote(make([]byte, 1), at, mm.Forced); err != unix.EFAULT {
		t.Errorf("forced read of the vvar by another task: %v", err)
	}
	if _, err := as.WriteRemote(at+page, []byte("C"), mm.ByProtection); err != unix.EFAULT {
		t.Errorf("write to the vdso by another task: %v", err)
	}
	if _, err := as.WriteRemote(at+page, []byte("C"), mm.Forced); err != nil {
		t.Errorf("breakpoint in the vdso: %v", err)
	}
	f.want(as, at+page, "Code")
	if got := string(code.Bytes(0)[:4]); got != "code" {
		t.Errorf("the vdso of all programs is %q after a breakpoint in one", got)
	}
	wantError(t, "drop of the vvar", as.Madvise(at, page, unix.MADV_DONTNEED, nil), unix.EINVAL)
	if _, err := as.Mremap(mm.RemapRequest{Addr: at, OldLength: page, NewLength: 2 * page, Flags: unix.MREMAP_MAYMOVE}); err != unix.EFAULT {
		t.Errorf("mremap that grows the vvar: %v", err)
	}
	child, err := as.Fork(nil)
	f.ok(err)
	f.want(child, at, "tick!")
	child.DecRef()
	r := as.Regions(mm.WithoutPages)
	if len(r) != 2 || r[0].Name != "[vvar]" || r[1].Name != "[vdso]" || r[1].Shared {
		t.Errorf("areas %+v", r)
	}
}
