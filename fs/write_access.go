package fs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// writeAccess keeps those who write to an inode and those who execute it
// apart: a program that changed under those who run it would crash them. It
// is the number of open files that may write, or, negative, of those that are
// executed (ETXTBSY in open(2), truncate(2) and execve(2)). The zero value has
// neither.
type writeAccess struct{ users atomic.Int64 }

// enter lets one more write: ETXTBSY while the inode is executed.
func (w *writeAccess) enter() error { return w.add(1) }

// leave is the end of one who wrote.
func (w *writeAccess) leave() { w.users.Add(-1) }

// deny lets one more execute: ETXTBSY while somebody may write.
func (w *writeAccess) deny() error { return w.add(-1) }

// allow is the end of one who executed.
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
// reference goes, nobody opens the inode for writing or truncates its name.
// Call it once, before f is shared. Error: ETXTBSY if somebody may write.
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
