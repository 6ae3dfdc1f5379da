package mm_test

import (
	"math/rand"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

// The model of an address space is a window of pages, each with the state that
// the man pages specify. The tests apply random operations to the model and to a
// real address space, and compare the pages.

const (
	modelBase  = 0x10000000 - 8*page // the window crosses a page table boundary
	modelPages = 32
	filePages  = 8
)

// modelPage is the expected state of one page of the window.
type modelPage struct {
	mapped bool
	prot   mm.Prot
	file   bool // page of the file, else anonymous
	shared bool
	index  uint64 // index in the file
	own    bool   // has anonymous contents (written, or a private copy)
	value  byte   // those contents

	held       bool // has an entry in the page tables
	breakpoint bool // has a breakpoint at patchOffset
	foreign    bool // a debugger has written it
}

// patchOffset is the offset in each page of the file at which the model adds patches. The
// original instruction there is three zeros.
const patchOffset = 100

// copies says whether the page is private memory of the file.
func (p *modelPage) copies() bool { return p.mapped && p.file && !p.shared }

// model is an address space and its expected state.
type model struct {
	f     *fixture
	as    *mm.AddressSpace
	pages [modelPages]modelPage
	file  *modelFile
}

// modelFile is the file that all models share, and its expected contents.
type modelFile struct {
	real   *testFile
	size   uint64
	values [filePages]byte

	patches [filePages]*mm.Patch
}

// patchOf returns the patch of a page, or nil.
func (f *modelFile) patchOf(index uint64) *mm.Patch {
	if index < filePages {
		return f.patches[index]
	}
	return nil
}

func newModel(f *fixture) *model {
	file := f.newFile(filePages)
	m := &model{f: f, as: f.as, file: &modelFile{real: file, size: filePages}}
	for i := range m.file.values {
		m.file.values[i] = 'p'
	}
	return m
}

// step applies the operation that four bytes encode. It returns the child of a
// fork, else nil.
func (m *model) step(op, a, b, c byte) *model {
	first := uint64(a) % modelPages
	count := min(uint64(b)%8+1, modelPages-first)
	prot := mm.Prot(c) & mm.ProtAll
	switch op % 13 {
	case 0, 1:
		m.mmap(first, count, prot|mm.Prot(op)&mm.ProtWrite, op>>4, uint64(c>>3)%filePages)
	case 2:
		m.munmap(first, count)
	case 3:
		m.mprotect(first, count, prot)
	case 4:
		m.mremap(first, count, uint64(c)%modelPages)
	case 5:
		m.dontNeed(first, count)
	case 6, 7:
		m.write(first, c)
	case 8:
		m.truncate(uint64(a) % (filePages + 1))
	case 9:
		return m.fork()
	case 10:
		m.patch(uint64(a) % filePages)
	case 11:
		m.debug(first, c)
	}
	return nil
}

func address(i uint64) uint64 { return modelBase + i*page }

func (m *model) mmap(first, count uint64, prot mm.Prot, kind byte, index uint64) {
	r := mm.MapRequest{Addr: address(first), Length: count * page, Prot: prot, Flags: unix.MAP_PRIVATE | fixed}
	p := modelPage{mapped: true, prot: prot}
	if kind&1 != 0 {
		r.Object, r.File, r.Offset = m.file.real, m.file.real, index*page
		p.file, p.index = true, index
		if kind&2 != 0 {
			r.Flags = shared | fixed
			p.shared = true
		}
	}
	_, err := m.as.Mmap(r)
	m.f.ok(err)
	for i := range count {
		m.pages[first+i] = p
		p.index++
	}
}

func (m *model) munmap(first, count uint64) {
	m.f.ok(m.as.Munmap(address(first), count*page, nil))
	clear(m.pages[first : first+count])
}

func (m *model) mprotect(first, count uint64, prot mm.Prot) {
	err := m.as.Mprotect(address(first), count*page, int(prot), nil)
	for i := range count {
		p := &m.pages[first+i]
		if !p.mapped {
			wantError(m.f.t, "mprotect over a hole", err, unix.ENOMEM)
			return
		}
		p.prot = prot
	}
	m.f.ok(err)
}

// mremap moves pages within the window if they form one area and source and
// target do not overlap.
func (m *model) mremap(first, count, to uint64) {
	if to+count > modelPages || to < first+count && first < to+count {
		return
	}
	before := m.as.Regions(mm.WithoutPages)
	_, err := m.as.Mremap(mm.RemapRequest{
		Addr: address(first), OldLength: count * page, NewLength: count * page,
		Flags: unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED, NewAddr: address(to),
	})
	if err == unix.EFAULT && m.crossesAreas(before, first, count) {
		m.reread(to, count, err) // MREMAP_FIXED has unmapped the target already
		return
	}
	if m.oneArea(first, count) {
		m.f.ok(err)
		copy(m.pages[to:], m.pages[first:first+count])
		clear(m.pages[first : first+count])
		return
	}
	if m.pages[first].mapped || err != unix.EFAULT {
		m.reread(to, count, err)
	}
}

// reread handles an mremap that may have failed after it unmapped its target: it
// updates the model from the real mapping there.
func (m *model) reread(to, count uint64, err error) {
	if err == nil { // mremap treated the pages as one area
		m.f.t.Fatalf("mremap moved pages with different properties")
	}
	for i := range count {
		if m.as.Fault(address(to+i), mm.AccessRead) == mm.FaultNoMapping {
			m.pages[to+i] = modelPage{}
		}
	}
}

// crossesAreas says whether the pages are in several areas. Areas with the same properties
// are not merged if their anonymous pages have different identities.
func (m *model) crossesAreas(regions []mm.Region, first, count uint64) bool {
	for _, r := range regions {
		if r.Start <= address(first) && address(first) < r.End {
			return r.End < address(first+count)
		}
	}
	return true
}

// oneArea says whether all pages have the same properties, so that they must be
// one area.
func (m *model) oneArea(first, count uint64) bool {
	p := m.pages[first]
	for i := range count {
		q := m.pages[first+i]
		if !q.mapped || q.prot != p.prot || q.file != p.file || q.shared != p.shared || q.file && q.index != p.index+i {
			return false
		}
	}
	return true
}

func (m *model) dontNeed(first, count uint64) {
	err := m.as.Madvise(address(first), count*page, unix.MADV_DONTNEED, nil)
	var want unix.Errno
	for i := range count {
		p := &m.pages[first+i]
		p.own, p.value, p.held, p.breakpoint, p.foreign = false, 0, false, false, false
		if !p.mapped {
			want = unix.ENOMEM
		}
	}
	wantError(m.f.t, "madvise", err, want)
}

func (m *model) write(i uint64, value byte) {
	_, err := m.as.CopyOut(address(i), []byte{value})
	p := &m.pages[i]
	if !p.mapped || p.prot&mm.ProtWrite == 0 || p.file && !p.own && p.index >= m.file.size {
		wantError(m.f.t, "write", err, unix.EFAULT)
		return
	}
	m.f.ok(err)
	if p.shared {
		m.file.values[p.index] = value
		return
	}
	p.own, p.value = true, value
}

func (m *model) truncate(size uint64) {
	m.file.real.truncate(size)
	m.file.size = size
	clear(m.file.values[size:])
}

// forget drops the model's private copies of truncated pages.
func (m *model) forget() {
	for i := range m.pages {
		if p := &m.pages[i]; p.file && p.index >= m.file.size {
			p.own, p.held, p.breakpoint, p.foreign = false, false, false, false
		}
	}
}

func (m *model) fork() *model {
	as, err := m.as.Fork(nil)
	m.f.ok(err)
	child := *m
	child.as = as
	return &child
}

// patch adds the patch of a page of the file, or removes it. The models of the other
// address spaces follow in patched and unpatched.
func (m *model) patch(index uint64) {
	file := m.file
	if p := file.patches[index]; p != nil {
		file.real.mappings.RemovePatches(file.real, []*mm.Patch{p})
		file.patches[index] = nil
		return
	}
	file.patches[index] = &mm.Patch{Offset: index*page + patchOffset, Original: []byte{0, 0, 0}}
	m.f.ok(file.real.mappings.AddPatches(file.real, []*mm.Patch{file.patches[index]}))
}

// patched gives the pages the breakpoints that they must have.
func (m *model) patched() {
	for i := range m.pages {
		p := &m.pages[i]
		if !p.copies() || m.file.patchOf(p.index) == nil || p.prot&mm.ProtWrite != 0 {
			continue
		}
		if !p.own && p.index >= m.file.size || p.prot == mm.ProtNone && !p.held {
			continue
		}
		if !p.own {
			p.own, p.value = true, m.file.values[p.index]
		}
		p.breakpoint = true
	}
}

// unpatched takes the breakpoints of a removed patch back. A copy that is equal to the
// file's page is replaced by it.
func (m *model) unpatched(index uint64) {
	for i := range m.pages {
		p := &m.pages[i]
		if !p.copies() || p.index != index || !p.own {
			continue
		}
		p.breakpoint = p.breakpoint && p.foreign
		_, cached := m.file.real.pages[index]
		if cached && !p.breakpoint && p.prot&mm.ProtWrite == 0 && p.value == m.file.values[index] {
			p.own, p.value = false, 0
		}
	}
}

// debug writes a breakpoint, or the original instruction, as a debugger does.
func (m *model) debug(i uint64, c byte) {
	p := &m.pages[i]
	if !p.copies() || p.prot == mm.ProtNone {
		return
	}
	b := []byte{mm.Breakpoint}
	if c&1 == 0 {
		b[0] = 0
	}
	_, err := m.as.WriteRemote(address(i)+patchOffset, b, mm.Forced)
	if !p.own && p.index >= m.file.size {
		wantError(m.f.t, "a debugger's write", err, unix.EFAULT)
		return
	}
	m.f.ok(err)
	if !p.own {
		p.own, p.value = true, m.file.values[p.index]
	}
	patched := m.file.patchOf(p.index) != nil
	switch {
	case b[0] == 0:
		p.breakpoint, p.foreign = false, false // patched writes ours again
	case !p.breakpoint:
		p.breakpoint, p.foreign = true, true
	case patched:
		p.foreign = !p.foreign
	}
}

// checkPatch compares the breakpoint of a page that can be read.
func (m *model) checkPatch(i int) {
	p := m.pages[i]
	var got [1]byte
	m.as.CopyIn(got[:], address(uint64(i))+patchOffset)
	if (got[0] == mm.Breakpoint) != p.breakpoint {
		m.f.t.Fatalf("page %d %+v: byte %#x at the patch", i, p, got)
	}
	want := p.copies() && m.file.patchOf(p.index) != nil && !p.foreign
	if got := m.as.PatchAt(address(uint64(i)) + patchOffset); (got != nil) != want {
		m.f.t.Fatalf("page %d %+v: PatchAt is %v, want one %v", i, p, got, want)
	}
}

// check compares every page with the model.
func (m *model) check() {
	m.f.t.Helper()
	m.patched()
	for i := range m.pages {
		p := m.pages[i]
		var got [1]byte
		_, err := m.as.CopyIn(got[:], address(uint64(i)))
		want := p.value
		if p.file && !p.own {
			if p.index >= m.file.size {
				p.mapped = false // reads like a hole: EFAULT
			} else {
				want = m.file.values[p.index]
			}
		}
		if !p.mapped || p.prot == mm.ProtNone {
			if err != unix.EFAULT {
				m.f.t.Fatalf("page %d %+v: read %q, %v; want EFAULT", i, m.pages[i], got, err)
			}
			continue
		}
		if err != nil || got[0] != want {
			m.f.t.Fatalf("page %d %+v: read %q, %v; want %q", i, m.pages[i], got, err, want)
		}
		m.pages[i].held = true
		m.checkPatch(i)
	}
}

// runModel applies the operations encoded in ops to up to three address spaces.
func runModel(t *testing.T, ops []byte) {
	f := newFixture(t)
	spaces := []*model{newModel(f)}
	t.Cleanup(func() {
		for _, m := range spaces[1:] {
			m.as.DecRef()
		}
	})
	for ; len(ops) >= 5; ops = ops[5:] {
		m := spaces[int(ops[0])%len(spaces)]
		before := m.file.patches
		child := m.step(ops[1], ops[2], ops[3], ops[4])
		for _, m := range spaces {
			for index, p := range before {
				if p != nil && m.file.patches[index] == nil {
					m.unpatched(uint64(index))
				}
			}
		}
		if child != nil && len(spaces) == 3 {
			spaces[1].as.DecRef()
			spaces = append(spaces[:1], spaces[2])
		}
		if child != nil {
			spaces = append(spaces, child)
		}
		for _, m := range spaces {
			m.forget()
			m.check()
		}
	}
}

func TestRandomOperationsMatchModel(t *testing.T) {
	for seed := int64(1); seed <= 20; seed++ {
		ops := make([]byte, 5*300)
		rand.New(rand.NewSource(seed)).Read(ops)
		runModel(t, ops)
	}
}

func FuzzAddressSpace(f *testing.F) {
	f.Add([]byte{0, 0x16, 3, 4, 3, 0, 6, 3, 0, 'x', 0, 9, 0, 0, 0, 1, 6, 4, 0, 'y', 0, 8, 2, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		runModel(t, ops[:min(len(ops), 5*200)])
	})
}
