package fs

import (
	"strconv"

	"golang.org/x/sys/unix"
)

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// victim walks to the name to be removed. Error: ENOENT. The namespace is
// locked for writing.
func (at At) victim(m *Mounts) (found, error) {
	f, err := at.find(m, stopAlways)
	if err != nil {
		return found{}, err
	}
	at.resolvedParent(f.parent)
	if f.kind == lastName && !f.path.Valid() {
		return found{}, unix.ENOENT
	}
	return f, nil
}

// Unlink is unlink(2). Errors besides those of a walk: EISDIR for a directory,
// EBUSY for a mount point, EPERM, EROFS.
func (at At) Unlink() error {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	f, err := at.victim(m)
	if err != nil {
		return err
	}
	if f.kind != lastName || f.path.dentry.isDirectory() {
		return unix.EISDIR
	}
	if f.slash {
		return unix.ENOTDIR
	}
	return at.remove(f)
}

// RemoveDirectory is rmdir(2). Errors besides those of a walk: ENOTDIR,
// ENOTEMPTY, EBUSY, EINVAL for ".", EPERM, EROFS.
func (at At) RemoveDirectory() error {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	f, err := at.victim(m)
	if err != nil {
		return err
	}
	switch f.kind {
	case lastDot:
		return unix.EINVAL
	case lastDotDot:
		return unix.ENOTEMPTY
	case lastRoot, lastJump:
		return unix.EBUSY
	}
	if !f.path.dentry.isDirectory() {
		return unix.ENOTDIR
	}
	return at.remove(f)
}

func (at At) remove(f found) error {
	deletes(at.Caller, &f)
	if err := mayRemove(f.parent, f.path.Inode(), at.Caller.Credentials()); err != nil {
		return err
	}
	if busy(f) {
		return unix.EBUSY
	}
	if err := f.parent.Inode().Remove(f.name, f.path.Inode()); err != nil {
		return err
	}
	f.parent.dentry.forget(f.path.dentry)
	return nil
}

// busy reports whether the name is a mount point: the walk ended at the root of
// a mount, or the name has a mount that another one hides.
func busy(f found) bool {
	return f.path.mount != f.parent.mount || f.path.dentry.mounted.Load() > 0
}
