package fs

import "golang.org/x/sys/unix"

// RenameTo is renameat2(2): it gives the file at the name to. flags is 0,
// RENAME_NOREPLACE or RENAME_EXCHANGE. Errors: those of renameat2(2).
func (at At) RenameTo(to At, flags uint) error {
	const known = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE
	if flags&^known != 0 || flags == known {
		return unix.EINVAL
	}
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	from, err := at.find(m, stopAlways)
	if err != nil {
		return err
	}
	dest, err := to.find(m, stopAlways)
	if err != nil {
		return err
	}
	at.resolvedParent(from.parent)
	to.resolvedParent(dest.parent)
	r := rename{from: from, to: dest, flags: flags, caller: at.Caller}
	if err := r.check(); err != nil {
		return err
	}
	if dest.path.Valid() && dest.path.Inode() == from.path.Inode() {
		return nil // two names of one file: rename(2) does nothing, whatever the permissions
	}
	if err := r.checkPermissions(); err != nil {
		return err
	}
	if flags&unix.RENAME_EXCHANGE != 0 {
		return r.exchange()
	}
	return r.move()
}

// rename is the state of a renameat2(2) after both walks.
type rename struct {
	from, to found
	flags    uint
	caller   Caller
}

func (r *rename) check() error {
	if r.from.parent.mount != r.to.parent.mount {
		return unix.EXDEV
	}
	if r.from.kind != lastName || r.to.kind != lastName {
		if r.to.kind != lastName && r.flags&unix.RENAME_NOREPLACE != 0 {
			return unix.EEXIST
		}
		return unix.EBUSY
	}
	if !r.from.path.Valid() {
		return unix.ENOENT
	}
	if r.to.path.Valid() && r.flags&unix.RENAME_NOREPLACE != 0 {
		return unix.EEXIST
	}
	if err := r.checkSlashes(); err != nil {
		return err
	}
	return r.checkLoops()
}

// checkSlashes returns ENOTDIR if slashes follow the name of a non-directory,
// and ENOENT if the other file of an exchange does not exist.
func (r *rename) checkSlashes() error {
	directory := r.from.path.dentry.isDirectory()
	if r.from.slash && !directory {
		return unix.ENOTDIR
	}
	if r.to.slash && !directory && r.flags&unix.RENAME_EXCHANGE == 0 {
		return unix.ENOTDIR
	}
	if r.flags&unix.RENAME_EXCHANGE != 0 && !r.to.path.Valid() {
		return unix.ENOENT
	}
	return nil
}

// checkLoops returns an error if a directory would become its own descendant.
func (r *rename) checkLoops() error {
	if r.to.parent.dentry.isWithin(r.from.path.dentry) {
		return unix.EINVAL
	}
	if r.to.path.Valid() && r.from.parent.dentry.isWithin(r.to.path.dentry) {
		if r.flags&unix.RENAME_EXCHANGE != 0 {
			return unix.EINVAL
		}
		return unix.ENOTEMPTY
	}
	return nil
}

func (r *rename) checkPermissions() error {
	c := r.caller.Credentials()
	deletes(r.caller, &r.from)
	if err := mayRemove(r.from.parent, r.from.path.Inode(), c); err != nil {
		return err
	}
	if err := r.checkMoveOfParent(r.from, r.to); err != nil {
		return err
	}
	if !r.to.path.Valid() {
		creates(r.caller, r.to.parent, r.to.name, nil)
		return mayAdd(r.to.parent, c)
	}
	deletes(r.caller, &r.to)
	if err := mayRemove(r.to.parent, r.to.path.Inode(), c); err != nil {
		return err
	}
	if busy(r.from) || busy(r.to) {
		return unix.EBUSY
	}
	if r.flags&unix.RENAME_EXCHANGE != 0 {
		return r.checkMoveOfParent(r.to, r.from)
	}
	fromDirectory, toDirectory := r.from.path.dentry.isDirectory(), r.to.path.dentry.isDirectory()
	switch {
	case fromDirectory && !toDirectory:
		return unix.ENOTDIR
	case !fromDirectory && toDirectory:
		return unix.EISDIR
	}
	return nil
}

// checkMoveOfParent checks that a directory that gets another parent may be
// moved: it is no mount point, and the caller may write to it, because its ".."
// changes.
func (r *rename) checkMoveOfParent(moved, target found) error {
	if moved.parent.dentry == target.parent.dentry || !moved.path.dentry.isDirectory() {
		return nil
	}
	if busy(moved) {
		return unix.EBUSY
	}
	a := moved.path.Inode().Attributes()
	return permit(&a, r.caller.Credentials(), MayWrite)
}

func (r *rename) move() error {
	if busy(r.from) {
		return unix.EBUSY
	}
	if err := r.from.parent.Inode().Rename(r.from.name, r.to.parent.Inode(), r.to.name); err != nil {
		return err
	}
	if r.to.path.Valid() {
		r.to.parent.dentry.forget(r.to.path.dentry)
	}
	r.from.path.dentry.moveTo(r.to.parent.dentry, r.to.name)
	creates(r.caller, r.to.parent, r.to.name, r.from.path.Inode())
	return nil
}

func (r *rename) exchange() error {
	if err := r.from.parent.Inode().Exchange(r.from.name, r.to.parent.Inode(), r.to.name); err != nil {
		return err
	}
	a, b := r.from.path.dentry, r.to.path.dentry
	a.moveTo(r.to.parent.dentry, r.to.name)
	b.moveTo(r.from.parent.dentry, r.from.name)
	creates(r.caller, r.to.parent, r.to.name, a.inode)
	creates(r.caller, r.from.parent, r.from.name, b.inode)
	return nil
}
