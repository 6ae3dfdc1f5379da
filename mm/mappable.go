package mm

import (
	"sync"
	"sync/atomic"

	"slowpath/mm/frame"
)

// Mappable is an object whose pages can be mapped into address spaces, such as
// an inode with a page cache. Its dynamic type must be comparable (a pointer),
// because it is part of the key of a shared futex. All methods are called with
// an address space locked. They may sleep but must not copy user memory.
type Mappable interface {
	// Page returns the frame of the object's page with this index (offset
	// divided by PageSize), with a reference that the caller drops with
	// Memory.Put. It allocates a page for a hole even for a read, because all
	// mappings must have the same frame while the page is cached. If write is
	// set, the frame may be written through the mapping from then on. It fails
	// with ENOMEM when no memory is free. Any other error becomes SIGBUS, in
	// particular for an index at or beyond the end of the file.
	Page(index uint64, write bool) (frame.Number, error)
	// CachedPages sets dst[i] to the frame of page first+i, with a reference,
	// if that page is cached, and to frame.None otherwise and beyond the end.
	// It never returns Memory.Zero. A returned frame may be written through a
	// writable shared mapping.
	CachedPages(first uint64, dst []frame.Number)
	// Mappings returns the object's registry of the address spaces that map it.
	// It always returns the same one.
	Mappings() *Mappings
}

// File is the open file of a mapping. Each area holds a reference, like vm_file
// in Linux. It provides the columns of /proc/pid/maps that describe a file.
type File interface {
	// IncRef adds a reference. The caller must hold one. It is called with the
	// address space locked and must not sleep.
	IncRef()
	// DecRef drops a reference. It is called without locks and may sleep.
	DecRef()
	// MapName returns the path as proc(5) describes it for /proc/pid/maps,
	// followed by " (deleted)" if the file was deleted.
	MapName() string
	// MapDevice returns the device number of the file system
	// (unix.Mkdev(major, minor)).
	MapDevice() uint64
	// MapInode returns the inode number.
	MapInode() uint64
}

// HolePuncher is implemented by a Mappable whose pages madvise(MADV_REMOVE) can
// free, like fallocate(2) with FALLOC_FL_PUNCH_HOLE.
type HolePuncher interface {
	// PunchHole frees the bytes [offset, offset+length), which then read as
	// zeros. It is called without locks and may sleep.
	PunchHole(offset, length uint64) error
}

// Mappings is the registry of the address spaces that map an object. Each
// Mappable contains one. The zero value is ready for use. It is safe for
// concurrent use.
type Mappings struct {
	mu       sync.Mutex
	spaces   map[*AddressSpace]int // number of areas
	writable int                   // shared areas that are or may become writable

	arrivals uint64 // counts the address spaces that have begun to map the object

	patched atomic.Int32         // number of patches: see AddPatches
	patches map[uint64]patchList // by index of the page
}

// add registers an area. The address space is locked.
func (p *Mappings) add(as *AddressSpace, v *vma) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spaces == nil {
		p.spaces = make(map[*AddressSpace]int)
	}
	if p.spaces[as]++; p.spaces[as] == 1 {
		p.arrivals++
	}
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

// ReserveWritable counts one more writable shared area, before Mmap registers it
// and until ReleaseWritable. The object calls it with the lock under which it
// checks that no seal forbids the area, so a seal either sees the area or forbids
// it. It does not sleep.
func (p *Mappings) ReserveWritable() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writable++
}

// ReleaseWritable undoes ReserveWritable.
func (p *Mappings) ReleaseWritable() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writable--
}

// WritableShared returns how many shared areas of the object are writable or can
// be made writable. fcntl(2) refuses F_SEAL_WRITE if there are any.
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

// Zap unmaps the object's pages with indices in [first, end) from all address
// spaces. The next access faults and calls Mappable.Page again. If private is
// set, private copies are dropped too, as truncate(2) requires. Otherwise they
// stay, as for a hole punched by fallocate(2).
//
// The object must first ensure that Page no longer returns the pages (by a
// smaller size, or by removing them from its cache), then call Zap without
// holding a lock, and then drop its references to them. Zap may sleep.
func (p *Mappings) Zap(object Mappable, first, end uint64, private bool) {
	// A concurrent fork may copy entries of an address space not yet visited
	// into a new one. Repeat until all registered address spaces are visited.
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

// unvisited returns the address spaces that map the object and are not in
// visited.
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
