package mm_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

// areaBase is the address of the tests of merging.
const areaBase = 0x200000000

// shown returns the areas as page ranges, such as "0-2rw 2-3r-".
func shown(as *mm.AddressSpace) string {
	var b strings.Builder
	for _, r := range as.Regions(mm.WithoutPages) {
		letters := []byte("--")
		if r.Prot&mm.ProtRead != 0 {
			letters[0] = 'r'
		}
		if r.Prot&mm.ProtWrite != 0 {
			letters[1] = 'w'
		}
		fmt.Fprintf(&b, " %d-%d%s", (r.Start-areaBase)/page, (r.End-areaBase)/page, letters)
	}
	return strings.TrimSpace(b.String())
}

// areaSteps are the operations of the tests of merging, on pages of areaBase.
type areaSteps struct {
	t  *testing.T
	as *mm.AddressSpace
}

func (s areaSteps) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s areaSteps) mmap(at, pages uint64) {
	_, err := s.as.Mmap(mm.MapRequest{Addr: areaBase + at*page, Length: pages * page, Prot: rw, Flags: anon | fixed})
	s.check(err)
}

func (s areaSteps) touch(at uint64) {
	_, err := s.as.WriteRemote(areaBase+at*page, []byte{1}, mm.ByProtection)
	s.check(err)
}

func (s areaSteps) protect(at uint64, prot int) {
	s.check(s.as.Mprotect(areaBase+at*page, page, prot, nil))
}

// TestAreasMergeAsOnLinux has what Linux 6.1 shows in /proc/self/maps.
func TestAreasMergeAsOnLinux(t *testing.T) {
	const readWrite = unix.PROT_READ | unix.PROT_WRITE
	for name, c := range map[string]struct {
		parent func(s areaSteps)
		child  func(s areaSteps) // after fork; nil: all in one process
		want   string
	}{
		"new next to touched": {func(s areaSteps) { s.mmap(0, 2); s.touch(0); s.mmap(2, 1) }, nil, "0-3rw"},
		"new next to touched, in the child": {
			func(s areaSteps) { s.mmap(0, 2); s.touch(0) },
			func(s areaSteps) { s.mmap(2, 1); s.mmap(3, 1) }, "0-2rw 2-4rw"},
		"new next to untouched, in the child": {
			func(s areaSteps) { s.mmap(0, 2) }, func(s areaSteps) { s.mmap(2, 1) }, "0-3rw"},
		"the child joins its own split": {
			func(s areaSteps) { s.mmap(0, 3); s.touch(1) },
			func(s areaSteps) { s.protect(1, unix.PROT_READ); s.protect(1, readWrite) }, "0-3rw"},
		"the child joins a split of the parent": {
			func(s areaSteps) { s.mmap(0, 3); s.touch(0); s.touch(1); s.protect(1, unix.PROT_READ) },
			func(s areaSteps) { s.protect(1, readWrite) }, "0-1rw 1-2rw 2-3rw"},
		"joins its own split": {
			func(s areaSteps) {
				s.mmap(0, 3)
				s.touch(0)
				s.touch(1)
				s.protect(1, unix.PROT_READ)
				s.protect(1, readWrite)
			}, nil, "0-3rw"},
		"wiped on fork": {
			func(s areaSteps) {
				s.mmap(0, 2)
				s.touch(0)
				s.check(s.as.Madvise(areaBase, 2*page, unix.MADV_WIPEONFORK, nil))
			},
			func(s areaSteps) {
				s.check(s.as.Madvise(areaBase, 2*page, unix.MADV_KEEPONFORK, nil))
				s.mmap(2, 1)
			}, "0-3rw"},
		"new between two touched": {
			func(s areaSteps) { s.mmap(0, 1); s.touch(0); s.mmap(2, 1); s.touch(2); s.mmap(1, 1) }, nil, "0-1rw 1-3rw"},
		"touched joins untouched": {
			func(s areaSteps) {
				s.mmap(0, 2)
				s.protect(0, unix.PROT_READ)
				s.touch(1)
				s.protect(1, unix.PROT_READ)
			}, nil, "0-1r- 1-2r-"},
		"all touched": {
			func(s areaSteps) {
				s.mmap(0, 2)
				s.protect(1, unix.PROT_READ)
				s.touch(0)
				s.protect(1, readWrite)
				s.touch(1)
			}, nil, "0-2rw"},
		"moved after it was touched": {
			func(s areaSteps) {
				s.mmap(0, 1)
				s.touch(0)
				_, err := s.as.Mremap(mm.RemapRequest{Addr: areaBase, OldLength: page, NewLength: page, Flags: unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED, NewAddr: areaBase + 5*page})
				s.check(err)
				s.mmap(4, 1)
			}, nil, "4-5rw 5-6rw"},
		"shrunk by nothing": {
			func(s areaSteps) {
				s.mmap(0, 4)
				_, err := s.as.Mremap(mm.RemapRequest{Addr: areaBase + 2*page, OldLength: page, NewLength: page})
				s.check(err)
			}, nil, "0-4rw"},
		"advice and back": {
			func(s areaSteps) {
				s.mmap(0, 3)
				s.touch(0)
				s.check(s.as.Madvise(areaBase+page, page, unix.MADV_DONTDUMP, nil))
				s.check(s.as.Madvise(areaBase+page, page, unix.MADV_DODUMP, nil))
			}, nil, "0-3rw"},
	} {
		f := newFixture(t)
		as := f.as
		c.parent(areaSteps{t, as})
		if c.child != nil {
			child, err := f.as.Fork(nil)
			f.ok(err)
			t.Cleanup(child.DecRef)
			as = child
			c.child(areaSteps{t, as})
		}
		if got := shown(as); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestHeapOfAChildGrowsInAnAreaOfItsOwn: the heap has pages of the parent.
func TestHeapOfAChildGrowsInAnAreaOfItsOwn(t *testing.T) {
	f := newFixture(t)
	f.as.SetLayout(mm.Layout{MapBase: mm.MapBase(mm.UserEnd, 8<<20, 0), BrkStart: areaBase})
	f.as.Brk(areaBase+2*page, nil)
	areaSteps{t, f.as}.touch(0)
	child, err := f.as.Fork(nil)
	f.ok(err)
	defer child.DecRef()
	for name, c := range map[string]struct {
		as   *mm.AddressSpace
		want string
	}{"parent": {f.as, "0-4rw"}, "child": {child, "0-2rw 2-4rw"}} {
		c.as.Brk(areaBase+4*page, nil)
		if got := shown(c.as); got != c.want {
			t.Errorf("the heap of the %s is %s, want %s", name, got, c.want)
		}
	}
}
