package tmpfs

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/mm/frame"
)

// file implements the operations of an open regular file.
type file struct {
	fs.FileBase
	regular *regular
}

// Seekable implements fs.FileOperations.
func (o *file) Seekable() bool { return true }

// Read implements fs.FileOperations. It holds a reference to each page, but no
// lock, while it copies to user memory.
func (o *file) Read(f *fs.File, dst fs.Sink, offset int64) (int, error) {
	r := o.regular
	if f == nil || f.Flags()&unix.O_NOATIME == 0 {
		r.Accessed()
	}
	total := 0
	for dst.Remaining() > 0 {
		n, err := r.readPage(dst, offset+int64(total))
		total += n
		if err != nil || n == 0 {
			return fs.Moved(total, err)
		}
		fs.Pause(dst, total, n)
	}
	return total, nil
}

// readPage copies the rest of the page at offset. It returns 0 at the end of the
// file.
func (r *regular) readPage(dst fs.Sink, offset int64) (int, error) {
	memory := r.filesystem.memory
	locked := guard.RLock(&r.mu)
	defer locked.Release()
	left := r.size - offset
	if left <= 0 {
		return 0, nil
	}
	n := r.pages.get(uint64(offset) / mm.PageSize)
	if n == frame.None {
		n = memory.Zero()
	}
	memory.Get(n)
	locked.Release()
	defer memory.Put(n)
	within := offset % mm.PageSize
	count := min(left, mm.PageSize-within, int64(dst.Remaining()))
	put, err := dst.Put(memory.Bytes(n)[within : within+count])
	if err == nil && int64(put) < count {
		err = unix.EFAULT
	}
	return put, err
}

// Write implements fs.FileOperations.
func (o *file) Write(f *fs.File, src fs.Source, offset int64) (int, int64, error) {
	r := o.regular
	r.writing.Lock()
	defer r.writing.Unlock()
	if f != nil && f.Appends() {
		offset = r.currentSize()
	}
	err := r.mayWrite(offset, src.Remaining())
	total := 0
	for err == nil && src.Remaining() > 0 {
		var n int
		n, err = r.writePage(src, offset+int64(total))
		total += n
	}
	if total > 0 {
		r.Modified()
	}
	n, err := fs.Moved(total, err)
	return n, offset + int64(total), err
}

func (r *regular) currentSize() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.size
}

// mayWrite checks whether count bytes can be written at offset. It fails with
// EFBIG if the file would get too large, and with EPERM if a seal forbids all
// writes.
func (r *regular) mayWrite(offset int64, count int) error {
	if count > 0 && offset >= maxSize-int64(count) {
		return unix.EFBIG
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.seals&sealsWriting != 0 {
		return unix.EPERM
	}
	return nil
}

// writePage writes to the page at offset, up to the page's end. r.writing is
// held. It fails with EPERM if F_SEAL_GROW forbids these bytes, as in Linux page
// by page (mm/shmem.c, shmem_write_begin).
func (r *regular) writePage(src fs.Source, offset int64) (int, error) {
	index, within := uint64(offset)/mm.PageSize, offset%mm.PageSize
	count := min(mm.PageSize-within, int64(src.Remaining()))
	locked := guard.RLock(&r.mu)
	defer locked.Release()
	if r.seals&unix.F_SEAL_GROW != 0 && offset+count > r.size {
		return 0, unix.EPERM
	}
	n := r.pages.get(index)
	if n != frame.None {
		r.filesystem.memory.Get(n)
	}
	locked.Release()
	if n == frame.None {
		return r.writeHole(src, index, within, count)
	}
	defer r.filesystem.memory.Put(n)
	got, err := src.Get(r.filesystem.memory.Bytes(n)[within : within+count])
	return got, r.finishWrite(offset, got, int(count), err)
}

// writeHole writes to a page that has no frame yet. It fills the frame before it
// adds the frame to the file, because a reader must not see the frame's former
// contents.
func (r *regular) writeHole(src fs.Source, index uint64, within, count int64) (int, error) {
	memory := r.filesystem.memory
	n, err := r.allocate(false)
	if err != nil {
		return 0, err
	}
	kept := false
	defer func() {
		if !kept { // also if the copy panics
			r.free([]frame.Number{n})
		}
	}()
	page := memory.Bytes(n)
	got, err := src.Get(page[within : within+count])
	clear(page[:within])
	clear(page[within+int64(got):])
	locked := guard.Lock(&r.mu)
	defer locked.Release()
	if there := r.pages.get(index); got > 0 && there == frame.None {
		r.pages.put(index, n)
		kept = true
	} else if got > 0 { // a page fault filled the hole in the meantime
		copy(memory.Bytes(there)[within:], page[within:within+int64(got)])
	}
	locked.Release()
	return got, r.finishWrite(int64(index)*mm.PageSize+within, got, int(count), err)
}

// finishWrite extends the file to the end of the got bytes that were written at
// offset. It returns err, or EFAULT if the source returned fewer than the wanted
// bytes without an error.
func (r *regular) finishWrite(offset int64, got, want int, err error) error {
	if got > 0 {
		r.mu.Lock()
		r.size = max(r.size, offset+int64(got))
		r.mu.Unlock()
	}
	if err == nil && got < want {
		return unix.EFAULT
	}
	return err
}

// SeekFrom implements fs.FileOperations.
func (o *file) SeekFrom(current, offset int64, whence int) (int64, error) {
	r := o.regular
	r.mu.RLock()
	defer r.mu.RUnlock()
	to, err := fs.SeekTo(current, r.size, offset, whence)
	if err != nil || whence != unix.SEEK_DATA && whence != unix.SEEK_HOLE {
		return to, err
	}
	index := uint64(offset) / mm.PageSize
	next := r.pages.nextHole(index)
	if whence == unix.SEEK_DATA {
		next = r.pages.nextPresent(index)
	}
	if whence == unix.SEEK_DATA && next >= pagesFor(r.size) {
		return 0, unix.ENXIO
	}
	return min(max(int64(next)*mm.PageSize, offset), r.size), nil
}

// Allocate implements fs.FileOperations.
func (o *file) Allocate(mode uint32, offset, length int64, stopped func() bool) error {
	switch mode {
	case 0, unix.FALLOC_FL_KEEP_SIZE:
		return o.regular.fill(offset, length, mode, stopped)
	case unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE:
		return o.regular.punch(offset, length)
	}
	return unix.EOPNOTSUPP
}

// fill allocates the missing pages of a range. Without FALLOC_FL_KEEP_SIZE it also
// extends the file to the end of the range. Errors: EFBIG, EPERM, ENOSPC, and EINTR
// once stopped returns true.
func (r *regular) fill(offset, length int64, mode uint32, stopped func() bool) error {
	end := offset + length
	if end > maxSize {
		return unix.EFBIG
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seals&unix.F_SEAL_GROW != 0 && end > r.size {
		return unix.EPERM
	}
	first, last := uint64(offset)/mm.PageSize, pagesFor(end)
	if int64(last-first) > r.filesystem.maxPages {
		return unix.ENOSPC
	}
	var added []uint64
	for index := first; index < last; index++ {
		if stopped() {
			r.undoFill(added)
			return unix.EINTR
		}
		if r.pages.get(index) != frame.None {
			continue
		}
		n, err := r.allocate(true)
		if err != nil {
			r.undoFill(added)
			return unix.ENOSPC
		}
		r.pages.put(index, n)
		added = append(added, index)
	}
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 {
		r.size = max(r.size, end)
	}
	return nil
}

// undoFill removes the pages that a fill added before it failed. r.mu
// has been held since the fill began, so no page fault has mapped them.
func (r *regular) undoFill(added []uint64) {
	for _, index := range added {
		r.free(r.pages.take(index, index+1))
	}
}

// Mappable implements fs.FileOperations.
func (o *file) Mappable() (mm.Mappable, error) { return o.regular, nil }

// HeldMemory implements fs.MemoryHolder. The pages of a file without a name are freed
// with the last reference.
func (o *file) HeldMemory() int64 { return o.regular.HeldMemory() }

// Sync implements fs.FileOperations. There is no storage to write to.
func (o *file) Sync() error { return nil }

// Release implements fs.FileOperations.
func (o *file) Release() { o.regular.DropForPath() }
