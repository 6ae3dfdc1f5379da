package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task"
)

// checkFileSize checks a new file size in bytes against RLIMIT_FSIZE. Above the
// limit it sends SIGXFSZ and returns EFBIG (setrlimit(2)).
func checkFileSize(t *task.Task, size int64) error {
	if size < 0 || uint64(size) <= t.Group().Limits.Soft(unix.RLIMIT_FSIZE) {
		return nil
	}
	t.Signal(signalOf(unix.SIGXFSZ))
	return unix.EFBIG
}

// beforeWrite prepares a write to a regular file. It cuts the write at
// RLIMIT_FSIZE, and at 2 GiB if a 32-bit program has opened the file without O_LARGEFILE
// (Linux: generic_write_check_limits). It clears the set-user-ID and set-group-ID bits if the task
// lacks CAP_FSETID (capabilities(7)). offset may be currentOffset.
func beforeWrite(t *task.Task, f *fs.File, u *userMemory, offset int64) error {
	if f.Inode().Base().Type() != unix.S_IFREG || u.left == 0 || !f.Writable() {
		return nil
	}
	if !t.Credentials().Has(cred.FSetID) {
		f.DropSetID()
	}
	limit := t.Group().Limits.Soft(unix.RLIMIT_FSIZE)
	large := f.Flags()&largeFile != 0
	if limit == task.Infinity && large {
		return nil
	}
	switch {
	case f.Appends():
		offset = f.Attributes().Size
	case offset == currentOffset:
		offset = f.Offset()
	}
	if offset < 0 {
		return nil // the write itself returns EINVAL
	}
	if uint64(offset) >= limit {
		return checkFileSize(t, offset+1)
	}
	if !large {
		if offset >= maxNonLargeFile {
			return unix.EFBIG
		}
		limit = min(limit, maxNonLargeFile)
	}
	u.left = int(min(uint64(u.left), limit-uint64(offset)))
	return nil
}
