package fs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// writeAccess prevents writing to an inode that is executed, and executing an
// inode that is open for writing: a program that changes while it runs would
// crash. A positive count is the number of writers, a negative one that of
// executors. The error is ETXTBSY (open(2), truncate(2), execve(2)). The zero
// value has neither.
type writeAccess struct{ users atomic.Int64 }

// enter adds a writer. Error: ETXTBSY if the inode has executors.
func (w *writeAccess) enter() error { return w.add(1) }

// leave removes a writer.
func (w *writeAccess) leave() { w.users.Add(-1) }

// deny adds an executor. Error: ETXTBSY if the inode has writers.
func (w *writeAccess) deny() error { return w.add(-1) }

// allow removes an executor.
func (w *writeAccess) allow() { w.users.Add(1) }

// add adds direction, which is 1 or -1, unless the count has the other sign.
func (w *writeAccess) add(direction int64) error {
	for {
		n := w.users.Load()
		if n*direction < 0 {
			return unix.ETXTBSY
		}
		if w.users.CompareAndSwap(n, n+direction) {
			return nil
		}
	}
}

// DenyWriting makes f the file of a running program. Until its last reference
// is dropped, opening the inode for writing and truncating it by name fail with
// ETXTBSY. Call it once, before f is shared. Error: ETXTBSY if the inode has
// writers.
func (f *File) DenyWriting() error {
	err := f.Inode().Base().writing.deny()
	f.denies = err == nil
	return err
}

// releaseAccess removes f from the writers or executors of its inode.
func (f *File) releaseAccess() {
	access := &f.Inode().Base().writing
	if f.writes {
		access.leave()
	}
	if f.denies {
		access.allow()
	}
}

// resize sets the size of the inode at p, for truncate(2) and O_TRUNC. Errors:
// ETXTBSY and those of Change.
func (p Path) resize(size int64) error {
	access := &p.Inode().Base().writing
	if err := access.enter(); err != nil {
		return err
	}
	defer access.leave()
	return p.Inode().Change(Changes{Mask: ChangeSize, Size: size})
}
