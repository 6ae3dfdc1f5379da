package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/wait"
)

// FileBase answers every FileOperations method like a file that can do nothing
// and is always ready. Kinds of files embed it.
type FileBase struct{}

// Read implements FileOperations: EINVAL.
func (FileBase) Read(*File, Sink, int64) (int, error) { return 0, unix.EINVAL }

// Write implements FileOperations: EINVAL.
func (FileBase) Write(*File, Source, int64) (int, int64, error) { return 0, 0, unix.EINVAL }

// Seekable implements FileOperations: no.
func (FileBase) Seekable() bool { return false }

// SeekFrom implements FileOperations: ESPIPE.
func (FileBase) SeekFrom(int64, int64, int) (int64, error) { return 0, unix.ESPIPE }

// ReadDirectory implements FileOperations: ENOTDIR.
func (FileBase) ReadDirectory(int64, func(DirectoryEntry) bool) error { return unix.ENOTDIR }

// Readiness implements FileOperations: readable and writable.
func (FileBase) Readiness() wait.Events { return wait.Readable | wait.Writable }

// Queue implements FileOperations: none.
func (FileBase) Queue() *wait.Queue { return nil }

// Ioctl implements FileOperations: ENOTTY.
func (FileBase) Ioctl(*File, Caller, uint32, uint64) (uint64, error) { return 0, unix.ENOTTY }

// Allocate implements FileOperations: ENODEV.
func (FileBase) Allocate(uint32, int64, int64) error { return unix.ENODEV }

// Mappable implements FileOperations: ENODEV.
func (FileBase) Mappable() (mm.Mappable, error) { return nil, unix.ENODEV }

// Sync implements FileOperations: EINVAL.
func (FileBase) Sync() error { return unix.EINVAL }

// Release implements FileOperations: there is nothing to release.
func (FileBase) Release() {}

// pathOnly is the operations of a file opened with O_PATH.
type pathOnly struct{ FileBase }

// Readiness implements FileOperations: poll(2) says POLLNVAL.
func (pathOnly) Readiness() wait.Events { return wait.Nval }

// SeekTo is lseek(2) for a file of the given size without holes: the data ends
// at size, and the one hole begins there.
func SeekTo(current, size, offset int64, whence int) (int64, error) {
	switch whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		offset += current
	case unix.SEEK_END:
		offset += size
	case unix.SEEK_DATA, unix.SEEK_HOLE:
		if offset < 0 || offset >= size {
			return 0, unix.ENXIO
		}
		if whence == unix.SEEK_HOLE {
			return size, nil
		}
	default:
		return 0, unix.EINVAL
	}
	if offset < 0 {
		return 0, unix.EINVAL
	}
	return offset, nil
}

// DirectoryFile is the operations of an open directory; List does the work of
// ReadDirectory.
type DirectoryFile struct {
	FileBase
	List func(position int64, emit func(DirectoryEntry) bool) error
}

// Read implements FileOperations: EISDIR.
func (DirectoryFile) Read(*File, Sink, int64) (int, error) { return 0, unix.EISDIR }

// Seekable implements FileOperations.
func (DirectoryFile) Seekable() bool { return true }

// SeekFrom implements FileOperations. Positions are those of DirectoryEntry.Next;
// the end is not a position that a directory knows.
func (DirectoryFile) SeekFrom(current, offset int64, whence int) (int64, error) {
	if whence != unix.SEEK_SET && whence != unix.SEEK_CUR {
		return 0, unix.EINVAL
	}
	return SeekTo(current, 0, offset, whence)
}

// ReadDirectory implements FileOperations.
func (d DirectoryFile) ReadDirectory(position int64, emit func(DirectoryEntry) bool) error {
	return d.List(max(position, FirstPosition), emit)
}

// Sync implements FileOperations: there is no disk behind.
func (DirectoryFile) Sync() error { return nil }

// BytesFile is the operations of a seekable read-only file whose contents are
// made when it is first read, as those of procfs.
type BytesFile struct {
	FileBase
	// Contents returns the whole text. It is asked again by every read at
	// offset 0, so that a program that rewinds sees news.
	Contents func() ([]byte, error)

	cache cachedContents
}
