package mm

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"slowpath/mm/frame"
)

// Special is a fixed set of kernel pages that can be mapped into every address
// space: the code or the data of the vDSO (vdso(7)). The pages exist until Free.
type Special struct {
	memory   *Memory
	mappings Mappings

	mu     sync.RWMutex // held by Free, and by those who may run at the same time
	frames []frame.Number
}

// NewSpecial returns a Special with the given number of zeroed pages. It fails
// with ENOMEM.
func (m *Memory) NewSpecial(pages int) (*Special, error) {
	s := &Special{memory: m}
	for range pages {
		n, err := m.AllocateZeroed()
		if err != nil {
			m.PutAll(s.frames)
			return nil, err
		}
		s.frames = append(s.frames, n)
	}
	return s, nil
}

// Bytes returns the contents of a page, which the kernel may change at any
// time.
func (s *Special) Bytes(page int) []byte { return s.memory.Bytes(s.frames[page]) }

// StoreUint64 atomically writes a word of the first page. The offset must be a
// multiple of 8. A program that reads the word sees the old or the new value.
func (s *Special) StoreUint64(offset int, value uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&s.Bytes(0)[offset])), value)
}

// LoadUint64 atomically reads a word of the first page, which a program may change at
// any time. The offset must be a multiple of 8.
func (s *Special) LoadUint64(offset int) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&s.Bytes(0)[offset])))
}

// Pages returns the number of pages.
func (s *Special) Pages() int { return len(s.frames) }

// Free frees the pages. A mapping that exists nevertheless keeps the pages that it has
// accessed, and gets no others.
func (s *Special) Free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.PutAll(s.frames)
	s.frames = nil
}

// Page implements Mappable.
func (s *Special) Page(index uint64, write bool) (frame.Number, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if index >= uint64(len(s.frames)) {
		return frame.None, unix.EFAULT
	}
	s.memory.Get(s.frames[index])
	return s.frames[index], nil
}

// CachedPages implements Mappable.
func (s *Special) CachedPages(first uint64, dst []frame.Number) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range dst {
		dst[i] = frame.None
		if index := first + uint64(i); index < uint64(len(s.frames)) {
			s.memory.Get(s.frames[index])
			dst[i] = s.frames[index]
		}
	}
}

// Mappings implements Mappable.
func (s *Special) Mappings() *Mappings { return &s.mappings }

// SpecialPart is one area of a special mapping.
type SpecialPart struct {
	Special *Special
	Prot    Prot
	Name    string // "[vvar]", "[vdso]"
	// Hidden means that only the program's own accesses reach the part, and that a child
	// of fork(2) does not inherit it (Linux: VM_IO, VM_DONTCOPY).
	Hidden bool
}

// executable says whether the part is code. Code is a private mapping, so that a
// debugger can write breakpoints into its own copy. Data is shared, changes while the
// program runs, and is never written or copied.
func (p *SpecialPart) executable() bool { return p.Prot&ProtExec != 0 }

// flags returns the properties of the part's area.
func (p *SpecialPart) flags() areaFlags {
	if p.Hidden {
		return areaFixedSize | areaDontDump | areaDontFork | areaKernelData
	}
	if p.executable() {
		return areaFixedSize | areaDontDump
	}
	return areaFixedSize | areaDontDump | areaShared | areaKernelData
}

// maxProt returns what mprotect may set for the part.
func (p *SpecialPart) maxProt() Prot {
	if p.Hidden {
		return p.Prot
	}
	if p.executable() {
		return ProtAll
	}
	return p.Prot | ProtRead | ProtExec
}

// MapSpecial maps the parts at consecutive addresses, at the hint if it is not 0
// and free, and returns the address of the first part. The program can unmap
// the parts but not resize them. It fails with ENOMEM.
func (as *AddressSpace) MapSpecial(hint uint64, parts ...SpecialPart) (uint64, error) {
	var length uint64
	for _, part := range parts {
		length += uint64(part.Special.Pages()) * PageSize
	}
	as.mu.Lock()
	defer as.flushAndUnlock()
	at, err := as.freeRange(hint, length, as.layout.MapBase)
	if err != nil {
		return 0, err
	}
	if err := as.checkSpace(length, false); err != nil && !parts[0].Hidden {
		return 0, err // the limits are those of the program's own mappings
	}
	start := at
	for _, part := range parts {
		end := start + uint64(part.Special.Pages())*PageSize
		as.link(&vma{
			start: start, end: end, prot: part.Prot, maxProt: part.maxProt(),
			flags: part.flags(), object: part.Special, name: part.Name,
		})
		start = end
	}
	return at, nil
}

// IsSpecialAt reports whether an area of s begins at the address.
func (as *AddressSpace) IsSpecialAt(s *Special, at uint64) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	v := as.areas.find(at)
	return v != nil && v.start == at && v.object == s
}
