package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/mm"
)

// The operations of an open file return EAGAIN instead of waiting for data, room
// or another file. They take locks, and may fault in user pages. They run with
// interrupts on, in a task or in a goroutine of the kernel.

// Read is read(2), but returns EAGAIN instead of waiting. It reads at the
// file's offset. Errors: EBADF, EAGAIN, EISDIR, EINVAL, EFAULT, and those of
// the kind of file.
func (f *File) Read(dst Sink) (int, error) {
	if !f.Readable() {
		return 0, unix.EBADF
	}
	if !f.operations.Seekable() {
		return f.operations.Read(f, dst, 0)
	}
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	n, err := f.operations.Read(f, dst, f.offset)
	f.offset += int64(n)
	return n, err
}

// Positionless is implemented by the operations of devices whose reads do not depend on the offset.
type Positionless interface{ Positionless() }

// ReadAlone is Read for a file that nobody else can use: see Alone. It does not lock the offset while
// it reads, so dst may let other tasks run.
func (f *File) ReadAlone(dst Sink) (int, error) {
	n, err := f.ReadAt(dst, f.Offset())
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	f.offset += int64(n)
	return n, err
}

// Alone reports whether the offset of a seekable file need not be locked: it is not used, or the file
// has the references of one descriptor and of its caller only (Linux: fdget_pos). table is the
// descriptor table.
func (f *File) Alone(table *FDTable) bool {
	if _, ok := f.operations.(Positionless); ok {
		return true
	}
	return f.references.Load() == 2 && table.Users() == 1 && f.operations.Seekable()
}

// ReadSplice is Read for splice(2) to a pipe.
func (f *File) ReadSplice(dst Sink) (int, error) {
	if s, ok := f.operations.(SpliceReader); ok && f.Readable() {
		return s.ReadSplice(f, dst)
	}
	return f.Read(dst)
}

// ReadAt is pread(2). Errors: ESPIPE if the file is not seekable, EINVAL for a
// negative offset, and those of Read.
func (f *File) ReadAt(dst Sink, offset int64) (int, error) {
	if err := checkOffset(offset); err != nil {
		return 0, err
	}
	if !f.operations.Seekable() {
		return 0, unix.ESPIPE
	}
	if !f.Readable() {
		return 0, unix.EBADF
	}
	return f.operations.Read(f, dst, offset)
}

// Write is write(2), but returns EAGAIN instead of waiting. Errors: EBADF,
// EAGAIN, EPIPE (the caller sends SIGPIPE), EFBIG, ENOSPC, EFAULT, and those of
// the kind of file.
func (f *File) Write(src Source) (int, error) {
	if !f.Writable() {
		return 0, unix.EBADF
	}
	if !f.operations.Seekable() {
		n, _, err := f.operations.Write(f, src, 0)
		return n, err
	}
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	n, end, err := f.operations.Write(f, src, f.offset)
	if n > 0 {
		f.offset = end
	}
	return n, err
}

// WriteAt is pwrite(2). As in Linux, a file opened with O_APPEND is written at
// its end, whatever the offset. Errors: ESPIPE if the file is not seekable,
// EINVAL for a negative offset, and those of Write.
func (f *File) WriteAt(src Source, offset int64) (int, error) {
	if err := checkOffset(offset); err != nil {
		return 0, err
	}
	if !f.operations.Seekable() {
		return 0, unix.ESPIPE
	}
	if !f.Writable() {
		return 0, unix.EBADF
	}
	n, _, err := f.operations.Write(f, src, offset)
	return n, err
}

// Seek is lseek(2). Errors: ESPIPE, EINVAL, ENXIO for SEEK_DATA and SEEK_HOLE
// beyond the end, EBADF for a file opened with O_PATH.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	if f.PathOnly() {
		return 0, unix.EBADF
	}
	if !f.operations.Seekable() {
		return 0, unix.ESPIPE
	}
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	to, err := f.operations.SeekFrom(f.offset, offset, whence)
	if err != nil {
		return 0, err
	}
	f.offset = to
	return to, nil
}

// Offset returns the file offset, for /proc/pid/fdinfo.
func (f *File) Offset() int64 {
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	return f.offset
}

// ReadDirectory is getdents64(2). It calls emit for the entries from the file's
// position on until emit returns false, and sets the position to the first
// entry that was not accepted. Errors: ENOTDIR, EBADF, ENOENT for a directory
// that was removed.
func (f *File) ReadDirectory(emit func(DirectoryEntry) bool) error {
	if !f.Readable() {
		return unix.EBADF
	}
	if f.Inode().Base().Type() != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	if f.mounts.removed(f.path) {
		return unix.ENOENT
	}
	counted := func(e DirectoryEntry) bool {
		if !emit(e) {
			return false
		}
		f.offset = e.Next
		return true
	}
	if f.offset == dotPosition && !counted(DirectoryEntry{".", f.Inode().Base().Number(), unix.S_IFDIR, dotDotPosition}) {
		return nil
	}
	if f.offset == dotDotPosition {
		up := f.mounts.parentNumber(f.path)
		if !counted(DirectoryEntry{"..", up, unix.S_IFDIR, FirstPosition}) {
			return nil
		}
	}
	return f.operations.ReadDirectory(f.offset, counted)
}

func (m *Mounts) removed(p Path) bool {
	m.tree.RLock()
	defer m.tree.RUnlock()
	return p.dentry.deleted
}

func (m *Mounts) parentNumber(p Path) uint64 {
	m.tree.RLock()
	defer m.tree.RUnlock()
	return m.up(p, Path{m.root, m.root.root}).Inode().Base().Number()
}

// Ioctl is ioctl(2) for the requests of the kind of file. argument may be an
// address in the caller's memory. Errors: EBADF for a file opened with O_PATH,
// ENOTTY for an unknown request, EFAULT, and those of the kind of file.
func (f *File) Ioctl(caller Caller, request uint32, argument uint64) (uint64, error) {
	if f.PathOnly() {
		return 0, unix.EBADF
	}
	return f.operations.Ioctl(f, caller, request, argument)
}

// Truncate is ftruncate(2). Errors: EINVAL if the size is negative or f is not
// a regular file open for writing, EFBIG, EBADF, EPERM for a seal.
func (f *File) Truncate(size int64) error {
	if f.PathOnly() {
		return unix.EBADF
	}
	if size < 0 || !f.Writable() || f.Inode().Base().Type() != unix.S_IFREG {
		return unix.EINVAL
	}
	return f.Inode().Change(Changes{Mask: ChangeSize, Size: size})
}

// Allocate is fallocate(2). Errors: EBADF, EINVAL, EFBIG, ENODEV, ESPIPE,
// EOPNOTSUPP, ENOSPC; EINTR after stopped, which reports whether the caller was
// killed, has returned true.
func (f *File) Allocate(mode uint32, offset, length int64, stopped func() bool) error {
	if offset < 0 || length <= 0 {
		return unix.EINVAL
	}
	if !f.Writable() {
		return unix.EBADF
	}
	if offset+length < 0 {
		return unix.EFBIG
	}
	return f.operations.Allocate(mode, offset, length, stopped)
}

// Mappable returns the object that mmap(2) maps, or nil for anonymous memory
// (/dev/zero). sharedWrite is set for a shared mapping that is writable. Errors: EACCES
// if f is not open for reading, or not for writing with sharedWrite; EBADF; ENODEV.
func (f *File) Mappable(sharedWrite bool) (mm.Mappable, error) {
	if f.PathOnly() {
		return nil, unix.EBADF
	}
	if !f.Readable() || sharedWrite && !f.Writable() {
		return nil, unix.EACCES
	}
	return f.operations.Mappable()
}

// MappableFor is Mappable for a mapping of the caller, which may be one of a
// SizedMapping.
func (f *File) MappableFor(caller Caller, m MappingShape) (mm.Mappable, error) {
	if sized, ok := f.operations.(SizedMapping); ok {
		return sized.MappingOf(caller, m)
	}
	return f.Mappable(m.Shared && m.Writable)
}

// Sync is fsync(2) and fdatasync(2). Errors: EBADF for a file opened with
// O_PATH, EINVAL for a file that cannot be written back.
func (f *File) Sync() error {
	if f.PathOnly() {
		return unix.EBADF
	}
	return f.operations.Sync()
}
