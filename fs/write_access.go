package fs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// writeAccess excludes writing to an inode while it is executed, and executing
// it while it is open for writing: a running program that changes would crash. It
// is the number of open files that may write, or, negative, of those that are
// executed (ETXTBSY in open(2), truncate(2) and execve(2)). The zero value has
// neither.
type writeAccess struct{ users atomic.Int64 }

// enter lets one more write: ETXTBSY while the inode is executed.
func (w *writeAccess) enter() error { return w.add(1) }

// leave removes a writer.
func (w *writeAccess) leave() { w.users.Add(-1) }

// deny adds an executor: ETXTBSY while the inode has writers.
func (w *writeAccess) deny() error { return w.add(-1) }

// allow removes an executor.
func (w *writeAccess) allow() { w.users.Add(1) }

// add counts in one direction, from zero on.
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

// DenyWriting makes f the file of a program that runs: until its last
// reference is dropped, opening the inode for writing and truncating its name fail.
// Call it once, before f is shared. Error: ETXTBSY if the inode has writers.
func (f *File) DenyWriting() error {
	err := f.Inode().Base().writing.deny()
	f.denies = err == nil
	return err
}

// releaseAccess gives back what f had of its inode's writeAccess.
func (f *File) releaseAccess() {
	access := &f.Inode().Base().writing
	if f.writes {
		access.leave()
	}
	if f.denies {
		access.allow()
	}
}

// resize sets the size of the inode at p by its name: ETXTBSY, and what Change
// returns.
func (p Path) resize(size int64) error {
	access := &p.Inode().Base().writing
	if err := access.enter(); err != nil {
		return err
	}
	defer access.leave()
	return p.Inode().Change(Changes{Mask: ChangeSize, Size: size})
}
