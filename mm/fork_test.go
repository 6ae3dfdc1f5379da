package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

func TestForkCopiesOnWrite(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 4, rw)
	f.put(f.as, at, "old")
	f.want(f.as, at+page, "\x00")
	free := f.memory.Stats().Free
	child, err := f.as.Fork(nil)
	f.ok(err)
	tables := int(4) // one per level
	if used := free - f.memory.Stats().Free; used != tables {
		t.Errorf("a fork allocated %d frames, want only the %d page tables", used, tables)
	}
	f.put(f.as, at, "new")
	f.want(child, at, "old")
	f.put(child, at+page, "own")
	f.want(f.as, at+page, "\x00\x00\x00")
	f.want(f.as, at, "new")
	if f.machine.Translate(child.Root(), at, true) != nil {
		t.Error("the child's page is writable before its first write")
	}
	shots := f.machine.Shootdowns()
	f.put(child, at, "mine") // the only reference: written in place, not copied
	if f.machine.Shootdowns() != shots {
		t.Error("a page with a single reference was copied")
	}
	child.DecRef()
	f.want(f.as, at, "new")
	if c := f.memory.Stats().Committed; c != 4 {
		t.Errorf("%d pages are committed after the child was dropped, want 4", c)
	}
}

func TestForkInheritance(t *testing.T) {
	f := newFixture(t)
	file := f.newFile(2)
	const base = 0x10000000
	f.as.SetLayout(mm.Layout{MapBase: mm.MapBase(mm.UserEnd, 8<<20, 0), BrkStart: 0x20000000})
	f.as.Brk(0x20002000, nil)
	f.mmapAnonymous(base, 3, rw)
	f.put(f.as, base, "kept")
	f.put(f.as, base+page, "hidden")
	f.put(f.as, base+2*page, "wiped")
	f.ok(f.as.Madvise(base+page, page, unix.MADV_DONTFORK, nil))
	f.ok(f.as.Madvise(base+2*page, page, unix.MADV_WIPEONFORK, nil))
	f.ok(f.as.Mlock(base, page, mm.LockNow, nil))
	private := f.mmap(mm.MapRequest{Length: 2 * page, Prot: rw, Flags: unix.MAP_PRIVATE, Object: file, File: file})
	f.put(f.as, private, "copy")
	child, err := f.as.Fork(nil)
	f.ok(err)
	defer child.DecRef()
	f.want(child, base, "kept")
	f.want(child, base+2*page, "\x00\x00")
	f.want(child, private, "copy")
	f.want(child, private+page, pageText(1))
	if _, err := child.CopyIn(make([]byte, 1), base+page); err != unix.EFAULT {
		t.Errorf("the child has the MADV_DONTFORK area: %v", err)
	}
	if got := child.Brk(0, nil); got != 0x20002000 {
		t.Errorf("the child's brk is %#x", got)
	}
	if u := child.Usage(); u.Locked != 0 {
		t.Errorf("the child has locked pages: %+v", u)
	}
	if file.refs != 2 {
		t.Errorf("two mappings hold %d file references, want 2", file.refs)
	}
}

// Three address spaces share a page. Two writes copy it; the last write reuses it.
func TestLastSharerWritesInPlace(t *testing.T) {
	f := newFixture(t)
	at := f.mmapAnonymous(0, 1, rw)
	f.put(f.as, at, "one")
	child, err := f.as.Fork(nil)
	f.ok(err)
	grandchild, err := child.Fork(nil)
	f.ok(err)
	f.put(child, at, "two")
	f.put(grandchild, at, "three")
	f.want(f.as, at, "one")
	shots := f.machine.Shootdowns()
	f.put(f.as, at, "four")
	if f.machine.Shootdowns() != shots {
		t.Error("the write by the last sharer copied the page")
	}
	f.want(child, at, "two")
	child.DecRef()
	f.want(grandchild, at, "three")
	grandchild.DecRef()
}

func TestTryIncRefFailsAfterLastDecRef(t *testing.T) {
	f := newFixture(t)
	as, err := f.memory.NewAddressSpace()
	f.ok(err)
	as.IncRef()
	as.DecRef()
	if as.Refs() != 1 || !as.TryIncRef() {
		t.Fatal("TryIncRef failed while a reference was held")
	}
	as.DecRef()
	as.DecRef()
	if as.TryIncRef() {
		t.Fatal("TryIncRef succeeded after the last DecRef")
	}
}
