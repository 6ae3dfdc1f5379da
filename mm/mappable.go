package mm

import (
	"sync"

	"slowpath/mm/frame"
)

// Mappable is an object with pages that can be mapped into address spaces: an
// inode with a page cache. Its dynamic type must be comparable (a pointer),
// because it is part of the key of a shared futex. All methods are called
// with address spaces locked and may sleep, but must not copy user memory.
type Mappable interface {
	// Page returns the frame of the object's page with this index (offset
	// divided by PageSize), with a reference that the caller drops by
	// Memory.Put. A hole is filled, even for reading: as long as the page is
	// in the cache, all mappings must have the same frame. With write, the
	// frame may be written through the mapping from then on. It fails with
	// ENOMEM when there is no memory; any other error becomes SIGBUS, above
	// all when the index is at or beyond the end of the file.
	Page(index uint64, write bool) (frame.Number, error)
	// CachedPages sets dst[i] to the frame of page first+i, with a reference,
	// where the object has that page at hand, and to frame.None elsewhere and
	// beyond its end. It never returns Memory.Zero. A frame returned here may
	// be written through a writable shared mapping.
	CachedPages(first uint64, dst []frame.Number)
	// Mappings returns the object's own registry of who maps it, always the
	// same one.
	Mappings() *Mappings
}

// File is the open file of a mapping: each area holds a reference, like
// vm_file in Linux. It says what /proc/pid/maps shows.
type File interface {
	// IncRef adds a reference; the caller has one. It does not sleep and is
	// called with the address space locked.
	IncRef()
	// DecRef drops a reference. It is called without locks and may sleep.
	DecRef()
	// MapName returns the path as proc(5) describes it for /proc/pid/maps,
	// with " (deleted)" behind it where that is so.
	MapName() string
	// MapDevice returns the device number of the file system
	// (unix.Mkdev(major, minor)).
	MapDevice() uint64
	// MapInode returns the inode number.
	MapInode() uint64
}

// HolePuncher is what a Mappable implements if madvise(MADV_REMOVE) can free
// its pages, as fallocate(2) with FALLOC_FL_PUNCH_HOLE does.
type HolePuncher interface {
	// PunchHole frees the bytes [offset, offset+length), which then read as
	// zeros. It is called without locks and may sleep.
	PunchHole(offset, length uint64) error
}

// Mappings knows which address spaces map an object. A Mappable embeds it; the
// zero value is ready for use. It is safe for concurrent use.
type Mappings struct {
	mu       sync.Mutex
	spaces   map[*AddressSpace]int // number of areas
	writable int                   // shared areas that are or may become writable
}

// add registers an area. The address space is locked.
func (p *Mappings) add(as *AddressSpace, v *vma) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spaces == nil {
		p.spaces = make(map[*AddressSpace]int)
	}
	p.spaces[as]++
	if v.mayWriteShared() {
		p.writable++
	}
}

// remove undoes add.
func (p *Mappings) remove(as *AddressSpace, v *vma) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spaces[as]--; p.spaces[as] == 0 {
		delete(p.spaces, as)
	}
	if v.mayWriteShared() {
		p.writable--
	}
}

// WritableShared returns how many areas map the object shared and are
// writable or can be made so (fcntl(2), F_SEAL_WRITE is refused then).
func (p *Mappings) WritableShared() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writable
}

// Mapped says whether any address space maps the object.
func (p *Mappings) Mapped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.spaces) > 0
}

// Zap takes the object's pages with indices in [first, end) out of all address
// spaces; the next access faults and asks Mappable.Page again. With private,
// private copies are dropped too, as truncate(2) demands; without it, they
// stay, as for a hole punched by fallocate(2).
//
// The object first makes sure that Page no longer returns the pages (it lowers
// the size, or takes them out of its cache), then calls Zap without a lock, and
// then drops its references of them. Zap may sleep.
func (p *Mappings) Zap(object Mappable, first, end uint64, private bool) {
	// A fork may copy entries of an address space that is still to be visited
	// into one that was not there yet: look again until nobody is new.
	var visited map[*AddressSpace]bool
	for spaces := p.unvisited(visited); len(spaces) > 0; spaces = p.unvisited(visited) {
		if visited == nil {
			visited = make(map[*AddressSpace]bool)
		}
		for _, as := range spaces {
			as.zapObject(object, first, end, private)
			visited[as] = true
		}
	}
}

// unvisited returns the address spaces that map the object, less some.
func (p *Mappings) unvisited(visited map[*AddressSpace]bool) []*AddressSpace {
	p.mu.Lock()
	defer p.mu.Unlock()
	var spaces []*AddressSpace
	for as := range p.spaces {
		if !visited[as] {
			spaces = append(spaces, as)
		}
	}
	return spaces
}
