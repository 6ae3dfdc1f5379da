package task

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task/elf"
)

// loaded is a program that was mapped into a new address space.
type loaded struct {
	memory  *mm.AddressSpace
	start   uint64 // the first instruction: the loader's, if there is one
	stack   uint64 // the stack pointer
	bias    uint64 // the load address minus the program's own address
	base    uint64 // AT_BASE: the load address of the loader
	vdso    VDSO   // where the vDSO is mapped
	stackTo uint64 // the end of the stack area
	program *Program
}

const (
	brkRandom  = 32 << 20 // the greatest random offset of the heap, in bytes
	usualStack = 8 << 20  // _STK_LIM
)

// Bits of personality(2).
const (
	addrNoRandomize  = 0x0040000 // ADDR_NO_RANDOMIZE
	addrCompatLayout = 0x0200000 // ADDR_COMPAT_LAYOUT
	readImpliesExec  = 0x0400000 // READ_IMPLIES_EXEC
)

// randomOffset returns a random multiple of the page size below limit. It is 0 if
// randomization is off in the kernel or for the program.
func (t *Task) randomOffset(p *program, limit uint64) uint64 {
	if p.personality&addrNoRandomize != 0 || t.kernel.config.Settings.RandomizeVASpace.Get() == 0 {
		return 0
	}
	var random [wordSize]byte
	t.kernel.Random(random[:])
	return binary.LittleEndian.Uint64(random[:]) % limit &^ (mm.PageSize - 1)
}

// load maps the program into a new address space. The task keeps its own.
func (t *Task) load(p *program) (*loaded, error) {
	memory, err := t.kernel.config.Memory.NewAddressSpace()
	if err != nil {
		return nil, err
	}
	l := &loaded{memory: memory}
	if err := t.fill(l, p); err != nil {
		memory.DecRef()
		return nil, err
	}
	return l, nil
}

// fill maps program, loader, vDSO and stack.
func (t *Task) fill(l *loaded, p *program) error {
	l.memory.SetLimits(t.group.memoryLimits(p.credentials))
	stackLimit := t.group.Limits.Soft(unix.RLIMIT_STACK)
	if p.secure {
		stackLimit = min(stackLimit, usualStack) // the caller must not choose the layout
	}
	rules := p.rules()
	random := t.randomOffset(p, rules.mapRandom)
	layout := mm.Layout{End: rules.end, MapBase: mm.MapBase(rules.end, stackLimit, random)}
	if p.image.Class == elf.Class64 {
		layout.Vsyscall = t.kernel.config.Vsyscall
	}
	if p.personality&addrCompatLayout != 0 {
		layout.MapBase, layout.BottomUp = rules.end/3&^(mm.PageSize-1)+random, true
	}
	l.memory.SetLayout(layout)
	end, err := t.mapProgram(l, p)
	if err != nil {
		return err
	}
	layout.BrkStart = t.brkStart(p, end)
	l.memory.SetLayout(layout)
	l.start = p.image.Entry + l.bias
	if p.loader != nil {
		if err := l.mapLoader(p); err != nil {
			return err
		}
	}
	if err := t.mapVDSO(l, p); err != nil {
		return err
	}
	return t.buildStack(l, p)
}

// mapVDSO maps the object of the program's class.
func (t *Task) mapVDSO(l *loaded, p *program) error {
	v := t.kernel.config.VDSO
	if v == nil {
		return nil
	}
	at, err := v.Map(l.memory, p.rules().vdso)
	if err != nil {
		return err
	}
	l.vdso.object, l.vdso.Header = p.rules().vdso, at
	if p.image.Class == elf.Class32 {
		s := v.Symbols()
		l.vdso = VDSO{p.rules().vdso, at, at + s.Vsyscall, at + s.SigReturn, at + s.RTSigReturn, at + s.LandingPad}
	}
	return nil
}

// brkStart returns the start of the heap: the end of the program. A static-PIE
// program lies in the mmap area, so its heap starts at the base of other such programs.
func (t *Task) brkStart(p *program, end uint64) uint64 {
	if p.image.Relocatable && p.loader == nil {
		end = p.rules().pieBase
	}
	const withHeap = 2 // proc(5), /proc/sys/kernel/randomize_va_space
	if t.kernel.config.Settings.RandomizeVASpace.Get() < withHeap {
		return end
	}
	return end + t.randomOffset(p, brkRandom)
}

// mapProgram maps the program's own segments and returns their end.
func (t *Task) mapProgram(l *loaded, p *program) (end uint64, err error) {
	start, end, err := p.image.Span()
	if err != nil {
		return 0, err
	}
	switch {
	case p.image.Relocatable && p.loader != nil:
		rules := p.rules()
		at := (rules.pieBase + t.randomOffset(p, rules.mapRandom)) &^ (p.image.Align - 1)
		l.bias = at - start
	case p.image.Relocatable:
		at, err := l.reserve(end-start, p.image.Align)
		if err != nil {
			return 0, err
		}
		l.bias = at - start
	}
	return end + l.bias, l.mapSegments(p, p.file, p.image, l.bias)
}

// mapLoader maps the dynamic loader, which runs first.
func (l *loaded) mapLoader(p *program) error {
	start, end, err := p.loader.Span()
	if err != nil {
		return err
	}
	var bias uint64
	if p.loader.Relocatable {
		at, err := l.reserve(end-start, p.loader.Align)
		if err != nil {
			return err
		}
		bias = at - start
	}
	l.base, l.start = bias, p.loader.Entry+bias
	return l.mapSegments(p, p.interpreter, p.loader, bias)
}

// reserve returns a free range of size bytes in the mmap area, at a multiple of
// align. It does not keep the range mapped.
func (l *loaded) reserve(size, align uint64) (uint64, error) {
	length := size + align - mm.PageSize
	at, err := l.memory.Mmap(mm.MapRequest{
		Length: length, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE,
	})
	if err != nil {
		return 0, err
	}
	if err := l.memory.Munmap(at, length, nil); err != nil {
		return 0, err
	}
	return (at + length - size) &^ (align - 1), nil
}

// mapSegments maps every PT_LOAD of an image.
func (l *loaded) mapSegments(p *program, file *fs.File, image *elf.Image, bias uint64) error {
	object, err := file.Mappable(false)
	if err != nil {
		return unix.ENOEXEC // the file system cannot map files
	}
	for i := range image.Segments {
		s := &image.Segments[i]
		if err := l.mapSegment(file, object, s, impliedProtection(p.personality, protection(s)), bias); err != nil {
			return err
		}
	}
	return nil
}

const fixedPrivate = unix.MAP_PRIVATE | unix.MAP_FIXED

// mapSegment maps the part of a segment that is in the file, and zeros for the
// rest of its memory.
func (l *loaded) mapSegment(file *fs.File, object mm.Mappable, s *elf.Segment, prot mm.Prot, bias uint64) error {
	const mask = mm.PageSize - 1
	start := (s.Address + bias) &^ mask
	fileEnd := s.Address + bias + s.FileSize
	mapped := start
	if s.FileSize > 0 {
		mapped = (fileEnd + mask) &^ mask
		_, err := l.memory.Mmap(mm.MapRequest{
			Addr: start, Length: mapped - start, Prot: prot, Flags: fixedPrivate,
			Object: object, File: file, Offset: s.Offset &^ mask,
		})
		if err != nil {
			return err
		}
		if err := l.clearTail(s, fileEnd, mapped); err != nil {
			return err
		}
	}
	end := (s.Address + bias + s.MemorySize + mask) &^ mask
	if end <= mapped {
		return nil
	}
	_, err := l.memory.Mmap(mm.MapRequest{
		Addr: mapped, Length: end - mapped, Prot: prot, Flags: fixedPrivate | unix.MAP_ANONYMOUS,
	})
	return err
}

// clearTail zeroes the last page behind the file's part, if the segment's memory
// goes on there. A segment that is not writable keeps the file's bytes, as on
// Linux.
func (l *loaded) clearTail(s *elf.Segment, from, to uint64) error {
	if s.MemorySize == s.FileSize || !s.Write || from == to {
		return nil
	}
	_, err := l.memory.WriteRemote(from, make([]byte, to-from), mm.ByProtection)
	return err
}

func protection(s *elf.Segment) mm.Prot {
	prot := mm.ProtNone
	if s.Read {
		prot |= mm.ProtRead
	}
	if s.Write {
		prot |= mm.ProtWrite
	}
	if s.Execute {
		prot |= mm.ProtExec
	}
	return prot
}
