package mm_test

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/mm/frame"
	"slowpath/mm/mmtest"
)

const (
	page   = mm.PageSize
	rw     = mm.ProtRead | mm.ProtWrite
	anon   = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	shared = unix.MAP_SHARED
	fixed  = unix.MAP_FIXED
)

// fixture is a test with an address space on an mmtest machine.
type fixture struct {
	t       testing.TB
	memory  *mm.Memory
	machine *mmtest.Machine
	as      *mm.AddressSpace
}

// newFixture returns an empty address space on a machine of 16 MiB. A cleanup
// drops it at the end of the test, and mmtest then checks for leaked frames.
func newFixture(t testing.TB) *fixture {
	memory, machine := mmtest.New(t, 4096)
	as, err := memory.NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		root := as.Root()
		as.DecRef()
		if !machine.Dropped(root) {
			t.Error("the address space was destroyed without DropRoot")
		}
	})
	return &fixture{t, memory, machine, as}
}

func (f *fixture) mmap(r mm.MapRequest) uint64 {
	f.t.Helper()
	addr, err := f.as.Mmap(r)
	if err != nil {
		f.t.Fatalf("Mmap(%+v): %v", r, err)
	}
	return addr
}

// mmapAnonymous maps private memory, at addr if that is not 0.
func (f *fixture) mmapAnonymous(addr, pages uint64, prot mm.Prot) uint64 {
	f.t.Helper()
	flags := anon
	if addr != 0 {
		flags |= fixed
	}
	return f.mmap(mm.MapRequest{Addr: addr, Length: pages * page, Prot: prot, Flags: flags})
}

// ok fails the test on an error.
func (f *fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// put writes a string to user memory and fails the test on an error.
func (f *fixture) put(as *mm.AddressSpace, addr uint64, s string) {
	f.t.Helper()
	if n, err := as.CopyOut(addr, []byte(s)); n != len(s) || err != nil {
		f.t.Fatalf("CopyOut(%#x, %q) = %d, %v", addr, s, n, err)
	}
}

// want fails the test unless user memory at addr holds the string.
func (f *fixture) want(as *mm.AddressSpace, addr uint64, s string) {
	f.t.Helper()
	got := make([]byte, len(s))
	if n, err := as.CopyIn(got, addr); n != len(s) || err != nil || string(got) != s {
		f.t.Fatalf("at %#x: %q, %d bytes, %v; want %q", addr, got, n, err, s)
	}
}

// fault calls Fault and fails the test on another result than want.
func (f *fixture) fault(addr uint64, access mm.Access, want mm.FaultResult) {
	f.t.Helper()
	if got := f.as.Fault(addr, access); got != want {
		f.t.Fatalf("Fault(%#x, %d) = %d, want %d", addr, access, got, want)
	}
}

// regions fails the test unless the areas are the given ones: pairs of start and
// end, in pages from base.
func (f *fixture) regions(base uint64, want ...uint64) {
	f.t.Helper()
	var got []uint64
	for _, r := range f.as.Regions(mm.WithoutPages) {
		got = append(got, (r.Start-base)/page, (r.End-base)/page)
	}
	if len(got) != len(want) {
		f.t.Fatalf("areas %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			f.t.Fatalf("areas %v, want %v", got, want)
		}
	}
}

// wantError fails the test unless err is the errno; 0 means no error.
func wantError(t testing.TB, what string, err error, want unix.Errno) {
	t.Helper()
	if want == 0 && err == nil || err == want {
		return
	}
	t.Errorf("%s: %v, want %v", what, err, want)
}

// testFile is a file in memory. It implements Mappable and File.
type testFile struct {
	memory   *mm.Memory
	mappings mm.Mappings

	mu    sync.Mutex
	pages map[uint64]frame.Number
	size  uint64 // in pages
	refs  int
}

// newFile returns a file in which page i begins with pageText(i).
func (f *fixture) newFile(pages uint64) *testFile {
	file := &testFile{memory: f.memory, pages: map[uint64]frame.Number{}, size: pages}
	for i := range pages {
		n, err := f.memory.AllocateZeroed()
		f.ok(err)
		copy(f.memory.Bytes(n), pageText(i))
		file.pages[i] = n
	}
	f.t.Cleanup(func() {
		file.truncate(0)
		if file.refs != 0 || file.mappings.Mapped() {
			f.t.Errorf("at the end of the test the file has %d references, mapped %v", file.refs, file.mappings.Mapped())
		}
	})
	// The address space's cleanup must run before the file's.
	as := f.as
	as.IncRef()
	f.t.Cleanup(func() { as.Munmap(0, mm.UserEnd, nil); as.DecRef() })
	return file
}

func pageText(i uint64) string { return "page " + string(rune('A'+i)) }

func (p *testFile) Page(index uint64, write bool) (frame.Number, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if index >= p.size {
		return frame.None, unix.EFAULT
	}
	n, ok := p.pages[index]
	if !ok {
		var err error
		if n, err = p.memory.AllocateZeroed(); err != nil {
			return frame.None, err
		}
		p.pages[index] = n
	}
	p.memory.Get(n)
	return n, nil
}

func (p *testFile) CachedPages(first uint64, dst []frame.Number) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range dst {
		dst[i] = p.pages[first+uint64(i)]
		if dst[i] != frame.None {
			p.memory.Get(dst[i])
		}
	}
}

func (p *testFile) Mappings() *mm.Mappings { return &p.mappings }

// truncate changes the size in the order that Mappings.Zap requires.
func (p *testFile) truncate(pages uint64) {
	p.mu.Lock()
	p.size = pages
	p.mu.Unlock()
	p.drop(pages, 1<<40, true)
}

// PunchHole implements mm.HolePuncher.
func (p *testFile) PunchHole(offset, length uint64) error {
	p.drop(offset/page, (offset+length)/page, false)
	return nil
}

// drop removes the pages from the cache, unmaps them from all mappings, and then
// drops their references.
func (p *testFile) drop(first, end uint64, private bool) {
	p.mu.Lock()
	var dropped []frame.Number
	for i, n := range p.pages {
		if i >= first && i < end {
			dropped = append(dropped, n)
			delete(p.pages, i)
		}
	}
	p.mu.Unlock()
	p.mappings.Zap(p, first, end, private)
	p.memory.PutAll(dropped)
}

func (p *testFile) IncRef()           { p.mu.Lock(); p.refs++; p.mu.Unlock() }
func (p *testFile) DecRef()           { p.mu.Lock(); p.refs--; p.mu.Unlock() }
func (p *testFile) MapName() string   { return "/tmp/file" }
func (p *testFile) MapDevice() uint64 { return unix.Mkdev(0, 20) }
func (p *testFile) MapInode() uint64  { return 42 }
