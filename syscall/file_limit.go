package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task"
)

// checkFileSize holds a new size of a file against RLIMIT_FSIZE: EFBIG, with
// SIGXFSZ (setrlimit(2)).
func checkFileSize(t *task.Task, size int64) error {
	if size < 0 || uint64(size) <= t.Group().Limits.Soft(unix.RLIMIT_FSIZE) {
		return nil
	}
	t.Signal(signalOf(unix.SIGXFSZ))
	return unix.EFBIG
}

// beforeWrite is what a write to a regular file owes before it begins: it is
// cut at RLIMIT_FSIZE, and set-id bits go when somebody without privilege
// writes (capabilities(7), CAP_FSETID). offset may be currentOffset.
func beforeWrite(t *task.Task, f *fs.File, u *userMemory, offset int64) error {
	if f.Inode().Base().Type() != unix.S_IFREG || u.left == 0 || !f.Writable() {
		return nil
	}
	if !t.Credentials().Has(cred.FSetID) {
		f.DropSetID()
	}
	limit := t.Group().Limits.Soft(unix.RLIMIT_FSIZE)
	if limit == task.Infinity {
		return nil
	}
	switch {
	case f.Appends():
		offset = f.Attributes().Size
	case offset == currentOffset:
		offset = f.Offset()
	}
	if offset < 0 {
		return nil // refused below
	}
	if uint64(offset) >= limit {
		return checkFileSize(t, offset+1)
	}
	u.left = int(min(uint64(u.left), limit-uint64(offset)))
	return nil
}
