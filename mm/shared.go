package mm

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/mm/frame"
)

// sharedAnonymous is the object behind memory mapped with MAP_SHARED and
// MAP_ANONYMOUS. It is its own File, like the deleted tmpfs file that Linux
// creates for such a mapping, and exists as long as areas refer to it.
type sharedAnonymous struct {
	memory   *Memory
	mappings Mappings
	refs     atomic.Int32
	inode    uint64

	mu    sync.Mutex
	pages map[uint64]frame.Number
	size  uint64 // in pages
}

// newSharedAnonymous returns an object with one reference.
func newSharedAnonymous(m *Memory, pages uint64) *sharedAnonymous {
	s := &sharedAnonymous{memory: m, pages: make(map[uint64]frame.Number), size: pages}
	s.inode = m.sharedInodes.Add(1)
	s.refs.Store(1)
	return s
}

// isSharedAnonymous says whether the area's pages count as shared anonymous
// memory (RssShmem).
func (v *vma) isSharedAnonymous() bool {
	_, ok := v.object.(*sharedAnonymous)
	return ok
}

// Page implements Mappable. It allocates a zeroed page for a hole.
func (s *sharedAnonymous) Page(index uint64, write bool) (frame.Number, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if index >= s.size {
		return frame.None, unix.EFAULT
	}
	n, ok := s.pages[index]
	if !ok {
		var err error
		if n, err = s.memory.AllocateZeroed(); err != nil {
			return frame.None, err
		}
		s.pages[index] = n
		s.memory.shared.Add(1)
	}
	s.memory.Get(n)
	return n, nil
}

// CachedPages implements Mappable.
func (s *sharedAnonymous) CachedPages(first uint64, dst []frame.Number) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range dst {
		n := s.pages[first+uint64(i)]
		dst[i] = n
		if n != frame.None {
			s.memory.Get(n)
		}
	}
}

// PunchHole implements HolePuncher.
func (s *sharedAnonymous) PunchHole(offset, length uint64) error {
	first, end := offset/PageSize, (offset+length)/PageSize
	dropped := s.take(first, end)
	s.mappings.Zap(s, first, end, false)
	s.memory.PutAll(dropped)
	return nil
}

// take removes the pages from the object and returns them with their
// references.
func (s *sharedAnonymous) take(first, end uint64) []frame.Number {
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken []frame.Number
	for index, n := range s.pages {
		if index >= first && index < end {
			delete(s.pages, index)
			taken = append(taken, n)
		}
	}
	s.memory.shared.Add(-int64(len(taken)))
	return taken
}

// Mappings implements Mappable.
func (s *sharedAnonymous) Mappings() *Mappings { return &s.mappings }

// IncRef implements File.
func (s *sharedAnonymous) IncRef() { s.refs.Add(1) }

// DecRef implements File. Dropping the last reference frees the pages.
func (s *sharedAnonymous) DecRef() {
	if s.refs.Add(-1) == 0 {
		s.memory.PutAll(s.take(0, s.size))
	}
}

// MapName implements File.
func (s *sharedAnonymous) MapName() string { return "/dev/zero (deleted)" }

// MapDevice implements File.
func (s *sharedAnonymous) MapDevice() uint64 { return unix.Mkdev(0, 1) }

// MapInode implements File.
func (s *sharedAnonymous) MapInode() uint64 { return s.inode }
