package mm_test

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

const rx = mm.ProtRead | mm.ProtExec

// program is a private mapping of a file whose page 0 has an instruction of four bytes at
// codeAt.
type program struct {
	*fixture
	file *testFile
	at   uint64
}

const codeAt = 200

var code = []byte{0x48, 0x83, 0xec, 0x08}

func newProgram(t *testing.T, prot mm.Prot) *program {
	f := newFixture(t)
	file := f.newFile(4)
	copy(f.memory.Bytes(file.pages[0])[codeAt:], code)
	p := &program{fixture: f, file: file}
	p.at = f.mmap(mm.MapRequest{Length: 4 * page, Prot: prot, Flags: unix.MAP_PRIVATE, Object: file, File: file})
	return p
}

// probe returns the patch of the instruction.
func (p *program) probe() *mm.Patch { return &mm.Patch{Offset: codeAt, Original: code} }

func (p *program) add(patches ...*mm.Patch) {
	p.t.Helper()
	p.ok(p.file.mappings.AddPatches(p.file, patches))
}

func (p *program) remove(patches ...*mm.Patch) { p.file.mappings.RemovePatches(p.file, patches) }

// wantCode fails the test unless the address space has the instruction, with a breakpoint
// or without.
func (p *program) wantCode(as *mm.AddressSpace, patched bool) {
	p.t.Helper()
	want := bytes.Clone(code)
	if patched {
		want[0] = mm.Breakpoint
	}
	p.want(as, p.at+codeAt, string(want))
}

func TestBreakpointIsInPrivateExecutableMappingsOnly(t *testing.T) {
	p := newProgram(t, rx)
	defer p.remove(p.probe())
	patch := p.probe()
	sharedAt := p.mmap(mm.MapRequest{Length: page, Prot: rx, Flags: shared, Object: p.file, File: p.file})
	writableAt := p.mmap(mm.MapRequest{Length: page, Prot: rw | mm.ProtExec, Flags: unix.MAP_PRIVATE, Object: p.file, File: p.file})
	noexecAt := p.mmap(mm.MapRequest{Length: page, Prot: mm.ProtRead, MaxProt: rw, Flags: unix.MAP_PRIVATE, Object: p.file, File: p.file})
	p.wantCode(p.as, false)
	p.add(patch)
	defer p.remove(patch)
	p.wantCode(p.as, true)
	for _, at := range []uint64{sharedAt, writableAt, noexecAt} {
		p.want(p.as, at+codeAt, string(code))
	}
	if got := p.memory.Bytes(p.file.pages[0])[codeAt]; got != code[0] {
		t.Errorf("the file has byte %#x", got)
	}
	if u := p.as.Usage(); u.Anonymous != 1 {
		t.Errorf("%d anonymous pages, want the copy", u.Anonymous)
	}
}

func TestBreakpointIsWrittenWhenPageIsFaultedIn(t *testing.T) {
	p := newProgram(t, rx)
	patch := p.probe()
	p.add(patch)
	defer p.remove(patch)
	p.want(p.as, p.at+page, pageText(1)) // the neighbours of a fault do not include a patched page
	p.wantCode(p.as, true)
	p.ok(p.as.Madvise(p.at, page, unix.MADV_DONTNEED, nil))
	p.wantCode(p.as, true)
}

func TestPopulatedPageHasBreakpoint(t *testing.T) {
	p := newProgram(t, rx)
	patch := p.probe()
	p.add(patch)
	defer p.remove(patch)
	p.ok(p.as.Populate(p.at, 4*page, nil))
	p.wantCode(p.as, true)
}

func TestRemovalFreesCopy(t *testing.T) {
	p := newProgram(t, rx)
	p.wantCode(p.as, false)
	free := p.memory.Stats().Free
	patch, second := p.probe(), &mm.Patch{Offset: codeAt + 50, Original: []byte{0}}
	p.add(patch, second)
	p.remove(patch)
	p.wantCode(p.as, false)
	if u := p.as.Usage(); u.Anonymous != 1 {
		t.Errorf("%d anonymous pages with one of two breakpoints, want 1", u.Anonymous)
	}
	p.remove(second)
	if u := p.as.Usage(); u.Anonymous != 0 || p.memory.Stats().Free != free {
		t.Errorf("%d anonymous pages, %d frames fewer", u.Anonymous, free-p.memory.Stats().Free)
	}
	if p.as.PatchAt(p.at+codeAt) != nil {
		t.Error("the removed patch is found")
	}
}

func TestForkSharesPatchedPage(t *testing.T) {
	p := newProgram(t, rx)
	patch := p.probe()
	p.add(patch)
	p.wantCode(p.as, true)
	child, err := p.as.Fork(nil)
	p.ok(err)
	defer child.DecRef()
	p.wantCode(child, true)
	if p.as.PatchAt(p.at+codeAt) != patch || child.PatchAt(p.at+codeAt) != patch || !child.HasBreakpoints() {
		t.Error("the patch is not found in parent and child")
	}
	p.remove(patch)
	p.wantCode(p.as, false)
	p.wantCode(child, false)
	if p.as.Usage().Anonymous+child.Usage().Anonymous != 0 {
		t.Error("the copies are kept")
	}
}

func TestOtherAddressSpaceKeepsItsOwnAnswer(t *testing.T) {
	p := newProgram(t, rx)
	p.wantCode(p.as, false)
	child, err := p.as.Fork(nil)
	p.ok(err)
	defer child.DecRef()
	wanted := child
	patch := p.probe()
	patch.Wants = func(as *mm.AddressSpace) bool { return as == wanted }
	p.add(patch)
	defer p.remove(patch)
	p.wantCode(p.as, false)
	p.wantCode(child, true)
	wanted = p.as
	p.ok(p.file.mappings.RefreshPatches(p.file, []*mm.Patch{patch}))
	p.wantCode(p.as, true)
	p.wantCode(child, false)
}

func TestProtectionDecidesAboutBreakpoint(t *testing.T) {
	p := newProgram(t, rw)
	patch := p.probe()
	p.add(patch)
	defer p.remove(patch)
	p.put(p.as, p.at+codeAt+1, "x")
	p.wantInstruction("\x48x\xec\x08")
	p.ok(p.as.Mprotect(p.at, page, int(rx), nil))
	p.wantInstruction("\x48x\xec\x08") // not the original instruction
	p.ok(p.as.Mprotect(p.at, page, int(rw), nil))
	p.put(p.as, p.at+codeAt+1, string(code[1:]))
	p.ok(p.as.Mprotect(p.at, page, int(rx), nil))
	p.wantCode(p.as, true)
}

func (p *program) wantInstruction(s string) {
	p.t.Helper()
	p.want(p.as, p.at+codeAt, s)
}

func TestInstructionAcrossPagesIsComparedCompletely(t *testing.T) {
	for _, second := range []byte{2, 3} {
		p := newProgram(t, rx)
		p.memory.Bytes(p.file.pages[0])[page-1] = 1
		p.memory.Bytes(p.file.pages[1])[0] = second
		patch := &mm.Patch{Offset: page - 1, Original: []byte{1, 2}}
		p.add(patch)
		want := "\x01\x03"
		if second == 2 {
			want = "\xcc\x02"
		}
		p.want(p.as, p.at+page-1, want)
		p.remove(patch)
	}
}

func TestOverlappingBreakpointsAreBothWritten(t *testing.T) {
	p := newProgram(t, rx)
	first, middle := p.probe(), &mm.Patch{Offset: codeAt + 2, Original: code[2:]}
	p.add(middle)
	p.want(p.as, p.at+codeAt, "\x48\x83\xcc\x08")
	p.add(first)
	p.want(p.as, p.at+codeAt, "\xcc\x83\xcc\x08")
	p.remove(first, middle)
	p.wantCode(p.as, false)
}

// peek and poke are a debugger's accesses.
func (p *program) poke(b ...byte) {
	p.t.Helper()
	_, err := p.as.WriteRemote(p.at+codeAt, b, mm.Forced)
	p.ok(err)
}

func (p *program) peek() byte {
	var b [1]byte
	p.as.ReadRemote(b[:], p.at+codeAt, mm.Forced)
	return b[0]
}

func (p *program) wantOwner(patch *mm.Patch) {
	p.t.Helper()
	if got := p.as.PatchAt(p.at + codeAt); got != patch {
		p.t.Errorf("PatchAt is %v, want %v", got, patch)
	}
}

func TestBreakpointOfDebuggerIsLeftAlone(t *testing.T) {
	p := newProgram(t, rx)
	p.poke(mm.Breakpoint)
	patch := p.probe()
	p.add(patch)
	p.wantOwner(nil)
	p.remove(patch)
	if p.peek() != mm.Breakpoint {
		t.Error("the debugger's breakpoint was removed")
	}
}

func TestOriginalByteOfDebuggerGetsBreakpointAgain(t *testing.T) {
	p := newProgram(t, rx)
	p.poke(mm.Breakpoint)
	patch := p.probe()
	p.add(patch)
	defer p.remove(patch)
	p.poke(code[0])
	if p.peek() != mm.Breakpoint {
		t.Error("the debugger removed the probe with its own breakpoint")
	}
	p.wantOwner(patch)
}

func TestDebuggerInsertsAndRemovesOverBreakpoint(t *testing.T) {
	p := newProgram(t, rx)
	patch := p.probe()
	p.add(patch)
	saved := p.peek()
	p.poke(mm.Breakpoint)
	p.wantOwner(nil)
	p.poke(saved)
	p.wantOwner(patch)
	p.poke(append([]byte{mm.Breakpoint}, code[1:]...)...) // a word with its neighbours unchanged
	p.wantOwner(patch)
	p.remove(patch)
	p.wantCode(p.as, false)
}

func TestMovedBreakpointIsFoundAtItsNewAddress(t *testing.T) {
	p := newProgram(t, rx)
	patch := p.probe()
	p.add(patch)
	p.wantCode(p.as, true)
	p.wantOwner(patch)
	old := p.at
	var err error
	p.at, err = p.as.Mremap(mm.RemapRequest{Addr: old, OldLength: 4 * page, NewLength: 4 * page, Flags: unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED, NewAddr: old + 1<<30})
	p.ok(err)
	p.wantOwner(patch)
	if p.as.PatchAt(old+codeAt) != nil {
		t.Error("the patch is found at the old address")
	}
	p.remove(patch)
	p.wantCode(p.as, false)
}

func TestManyBreakpointsAreFound(t *testing.T) {
	p := newProgram(t, rx)
	var patches []*mm.Patch
	for i := range uint64(1000) {
		patches = append(patches, &mm.Patch{Offset: page + 100 + i, Original: []byte{0}})
	}
	p.add(patches...)
	for range 2 {
		for i, patch := range patches {
			if got := p.as.PatchAt(p.at + patch.Offset); got != patch {
				t.Fatalf("patch %d is %v", i, got)
			}
		}
	}
	p.remove(patches...)
	for i, patch := range patches {
		if got := p.as.PatchAt(p.at + patch.Offset); got != nil {
			t.Fatalf("patch %d is %v after its removal", i, got)
		}
	}
}

func TestCounterIsAboveZeroInEveryMapping(t *testing.T) {
	p := newProgram(t, rw)
	counter := &mm.Patch{Offset: 2*page + 10}
	value := func(as *mm.AddressSpace) byte {
		var b [1]byte
		as.CopyIn(b[:], p.at+counter.Offset)
		return b[0]
	}
	child, err := p.as.Fork(nil)
	p.ok(err)
	defer child.DecRef()
	value(child) // the page is present there, and not in the parent
	p.add(counter)
	late, err := p.as.Fork(nil)
	p.ok(err)
	defer late.DecRef()
	second := &mm.Patch{Offset: counter.Offset}
	p.add(second)
	for i, as := range []*mm.AddressSpace{p.as, child, late} {
		if got := value(as); got != 2 {
			t.Errorf("address space %d has %d, want 2", i, got)
		}
	}
	p.remove(counter)
	p.remove(second)
	for i, as := range []*mm.AddressSpace{p.as, child, late} {
		if got := value(as); got != 0 {
			t.Errorf("address space %d has %d at the end", i, got)
		}
	}
	if got := p.memory.Bytes(p.file.pages[2])[10]; got != 0 {
		t.Errorf("the file has %d", got)
	}
}

// Threads fault patched pages in and fork, while patches come and go. In the end no byte of
// a patch is left, in any copy.
func TestPatchesComeAndGoDuringFaultsAndForks(t *testing.T) {
	p := newProgram(t, rx)
	var group sync.WaitGroup
	var stop atomic.Bool
	for i := range uint64(3) {
		group.Go(func() {
			patch := &mm.Patch{Offset: codeAt + 4*i, Original: []byte{p.memory.Bytes(p.file.pages[0])[codeAt+4*i]}}
			counter := &mm.Patch{Offset: 2*page + 2*i}
			for range 300 {
				p.file.mappings.AddPatches(p.file, []*mm.Patch{patch, counter})
				p.as.PatchAt(p.at + patch.Offset)
				p.file.mappings.RemovePatches(p.file, []*mm.Patch{patch, counter})
			}
		})
	}
	var others sync.WaitGroup
	others.Go(func() {
		for !stop.Load() {
			p.as.Madvise(p.at, 4*page, unix.MADV_DONTNEED, nil)
			p.as.Populate(p.at, 4*page, nil)
			p.as.Mprotect(p.at, page, int(rw), nil)
			p.as.Mprotect(p.at, page, int(rx), nil)
		}
	})
	others.Go(func() {
		for !stop.Load() {
			child, err := p.as.Fork(nil)
			if err != nil {
				continue
			}
			child.Populate(p.at, 4*page, nil)
			child.DecRef()
		}
	})
	group.Wait()
	stop.Store(true)
	others.Wait()
	p.wantCode(p.as, false)
}

func TestPatchWithoutMemoryChangesNothing(t *testing.T) {
	p := newProgram(t, rx)
	p.wantCode(p.as, false)
	p.memory.Drain()
	p.machine.Limit(0)
	wantError(t, "AddPatches", p.file.mappings.AddPatches(p.file, []*mm.Patch{p.probe()}), unix.ENOMEM)
	p.machine.Limit(-1)
	p.wantCode(p.as, false)
	p.wantOwner(nil)
}

func TestTruncationRemovesPatchedPage(t *testing.T) {
	p := newProgram(t, rx)
	patch := p.probe()
	p.add(patch)
	p.wantCode(p.as, true)
	p.file.truncate(0)
	p.fault(p.at+codeAt, mm.AccessExec, mm.FaultBus)
	p.remove(patch)
}
