package tmpfs

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/mm/frame"
)

// maxSize is the largest size of a file in bytes (MAX_LFS_FILESIZE).
const maxSize = math.MaxInt64 &^ (mm.PageSize - 1)

// regular is a regular file. It implements mm.Mappable.
//
// It has two locks, because the user memory of a read or write may be a mapping
// of the same file. A write holds the lock "writing" from start to end, like
// i_rwsem in Linux. A page fault never takes it. The lock mu guards the fields,
// and is never held during an access to user memory.
type regular struct {
	fs.InodeBase
	filesystem *Filesystem
	mappings   mm.Mappings
	linking    fs.Linking // set before the inode is shared

	writing sync.Mutex // writes, truncation, allocation, seals

	mu    sync.RWMutex // guards the fields below; taken by page faults
	pages pageTable
	size  int64
	opens int  // open files, also by O_PATH
	dead  bool // pages freed: it has no name and no open file
	seals int
}

func newRegular(f *Filesystem, n fs.NewNode) *regular {
	r := &regular{filesystem: f, seals: unix.F_SEAL_SEAL}
	r.Init(&f.numbers, n)
	return r
}

// Attributes implements fs.Inode.
func (r *regular) Attributes() fs.Attributes {
	a := r.InodeBase.Attributes()
	r.mu.RLock()
	defer r.mu.RUnlock()
	a.Size = r.size
	a.Blocks = r.pages.count.Load() * (mm.PageSize / 512)
	return a
}

// Change implements fs.Inode.
func (r *regular) Change(c fs.Changes) error {
	if c.Has(fs.ChangeSize) {
		if err := r.truncate(c.Size); err != nil {
			return err
		}
		r.Modified()
	}
	if c.Mask&^fs.ChangeSize != 0 {
		r.ChangeAttributes(c)
	}
	return nil
}

// pagesFor is the number of pages that size bytes need.
func pagesFor(size int64) uint64 { return (uint64(size) + mm.PageSize - 1) / mm.PageSize }

func (r *regular) truncate(size int64) error {
	if size > maxSize {
		return unix.EFBIG
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	locked := guard.Lock(&r.mu)
	defer locked.Release()
	old := r.size
	switch {
	case size < old && r.seals&unix.F_SEAL_SHRINK != 0, size > old && r.seals&unix.F_SEAL_GROW != 0:
		return unix.EPERM
	case size >= old:
		r.size = size
		return nil
	}
	r.size = size
	freed := r.pages.take(pagesFor(size), noPage)
	r.zeroTail(size)
	locked.Release()
	r.mappings.Zap(r, pagesFor(size), pagesFor(old), true)
	r.free(freed)
	return nil
}

// zeroTail clears the bytes after the end of the file in its last page. They must
// be zeros if the file grows again. r.mu is held.
func (r *regular) zeroTail(size int64) {
	within := size % mm.PageSize
	if n := r.pages.get(uint64(size) / mm.PageSize); within != 0 && n != frame.None {
		clear(r.filesystem.memory.Bytes(n)[within:])
	}
}

// free releases frames that were removed from the page table.
func (r *regular) free(frames []frame.Number) {
	r.filesystem.memory.PutAll(frames)
	r.filesystem.count(-int64(len(frames)))
}

// allocate returns a frame for a page of the file. It fails with ENOSPC if the
// file system is full, and with ENOMEM if the machine has no free memory.
func (r *regular) allocate(zeroed bool) (frame.Number, error) {
	f := r.filesystem
	if f.count(1) > f.maxPages {
		f.count(-1)
		return frame.None, unix.ENOSPC
	}
	allocate := f.memory.Allocate
	if zeroed {
		allocate = f.memory.AllocateZeroed
	}
	n, err := allocate()
	if err != nil {
		f.count(-1)
	}
	return n, err
}

// Page implements mm.Mappable. It also fills a hole on a read fault. If it
// mapped the zero page instead, a later write would have to find and replace
// each mapping of it.
func (r *regular) Page(index uint64, _ bool) (frame.Number, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index >= pagesFor(r.size) {
		return frame.None, unix.EFAULT
	}
	n := r.pages.get(index)
	if n == frame.None {
		var err error
		if n, err = r.allocate(true); err != nil {
			return frame.None, err
		}
		r.pages.put(index, n)
	}
	r.filesystem.memory.Get(n)
	return n, nil
}

// CachedPages implements mm.Mappable.
func (r *regular) CachedPages(first uint64, dst []frame.Number) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	clear(dst)
	if end := pagesFor(r.size); first < end {
		r.pages.getAll(first, dst[:min(uint64(len(dst)), end-first)])
	}
	for _, n := range dst {
		if n != frame.None {
			r.filesystem.memory.Get(n)
		}
	}
}

// Mappings implements mm.Mappable.
func (r *regular) Mappings() *mm.Mappings { return &r.mappings }

// PunchHole implements mm.HolePuncher.
func (r *regular) PunchHole(offset, length uint64) error {
	if offset > maxSize || length > maxSize-offset {
		return unix.EFBIG
	}
	return r.punch(int64(offset), int64(length))
}

// punch frees the pages that are completely in a range, and clears the bytes of
// the range in the pages at its ends.
func (r *regular) punch(offset, length int64) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	end := offset + length
	first, last := pagesFor(offset), uint64(end)/mm.PageSize
	locked := guard.Lock(&r.mu)
	defer locked.Release()
	if r.seals&sealsWriting != 0 {
		return unix.EPERM
	}
	var freed []frame.Number
	if first < last {
		freed = r.pages.take(first, last)
	}
	r.clearParts(offset, end)
	locked.Release()
	if first < last {
		r.mappings.Zap(r, first, last, false)
	}
	r.free(freed)
	r.Modified()
	return nil
}

// clearParts clears the bytes of [offset, end) in the first and the last page of
// the range. r.mu is held.
func (r *regular) clearParts(offset, end int64) {
	for _, index := range [2]uint64{uint64(offset) / mm.PageSize, uint64(end) / mm.PageSize} {
		n := r.pages.get(index)
		if n == frame.None {
			continue
		}
		start := int64(index) * mm.PageSize
		from, to := max(offset-start, 0), min(end-start, mm.PageSize)
		if from < to {
			clear(r.filesystem.memory.Bytes(n)[from:to])
		}
	}
}

// freeIfUnused frees the pages if the file has no name and is not open.
func (r *regular) freeIfUnused() {
	locked := guard.Lock(&r.mu)
	defer locked.Release()
	if r.opens > 0 || r.Links() > 0 || r.dead {
		return
	}
	r.dead = true
	freed := r.pages.take(0, noPage)
	locked.Release()
	r.free(freed)
}

func (r *regular) isDead() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.dead
}

// Open implements fs.Inode. It fails with ENOENT if the last name was removed
// and the pages were freed after the path was resolved.
func (r *regular) Open(fs.OpenRequest) (fs.FileOperations, error) {
	if err := r.KeepForPath(); err != nil {
		return nil, err
	}
	return &file{regular: r}, nil
}

// KeepForPath implements fs.PathKeeper. An open file uses it too.
func (r *regular) KeepForPath() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return unix.ENOENT
	}
	r.opens++
	return nil
}

// DropForPath implements fs.PathKeeper.
func (r *regular) DropForPath() {
	r.mu.Lock()
	r.opens--
	r.mu.Unlock()
	r.freeIfUnused()
}

// HeldMemory implements fs.PathKeeper and fs.MemoryHolder: the pages of a file without
// a name are freed with the last reference.
func (r *regular) HeldMemory() int64 {
	if r.Links() > 0 {
		return 0
	}
	return r.pages.count.Load() * mm.PageSize
}
