package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
)

// findNew walks to a name that does not exist yet, and checks that the caller
// may create it. Error: EEXIST. The namespace is locked for writing.
func (at At) findNew(m *Mounts) (found, error) {
	f, err := at.find(m, stopAlways)
	if err != nil {
		return found{}, err
	}
	at.resolvedParent(f.parent)
	if f.path.Valid() {
		return found{}, unix.EEXIST
	}
	creates(at.Caller, f.parent, f.name, nil)
	return f, mayAdd(f.parent, at.Caller.Credentials())
}

// owned applies the umask and sets the owner of a new inode in the directory at
// parent. In a set-group-ID directory it sets the group and the bit as inode(7)
// describes.
func (at At) owned(parent Path, n NewNode) NewNode {
	c := at.Caller.Credentials()
	n.UID, n.GID = c.FSUID, c.FSGID
	if n.Mode&unix.S_IFMT != unix.S_IFLNK {
		n.Mode &^= at.Caller.FSContext().Umask()
	}
	directory := parent.Inode().Attributes()
	if directory.Mode&unix.S_ISGID == 0 {
		return n
	}
	n.GID = directory.GID
	switch {
	case n.Mode&unix.S_IFMT == unix.S_IFDIR:
		n.Mode |= unix.S_ISGID
	case n.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP && !c.InGroup(n.GID) && !c.Has(cred.FSetID):
		n.Mode &^= unix.S_ISGID
	}
	return n
}

// create creates an inode under a name that does not exist.
func (at At) create(f found, n NewNode) (Path, error) {
	inode, err := f.parent.Inode().Create(f.name, at.owned(f.parent, n))
	if err != nil {
		return Path{}, err
	}
	p := Path{f.parent.mount, f.parent.dentry.added(f.name, inode)}
	creates(at.Caller, f.parent, f.name, inode)
	return p, nil
}

// MakeNode is mknod(2) and mkdir(2). mode includes the file type; rdev is used
// only for devices. Errors besides those of a walk: EEXIST, EPERM, ENOSPC.
func (at At) MakeNode(mode uint32, rdev uint64) (Path, error) {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	f, err := at.findNew(m)
	if err != nil {
		return Path{}, err
	}
	if f.slash && mode&unix.S_IFMT != unix.S_IFDIR {
		return Path{}, unix.ENOENT
	}
	if isDevice(mode) && !at.Caller.Credentials().Has(cred.MkNod) {
		return Path{}, unix.EPERM
	}
	return at.create(f, NewNode{Mode: mode, Rdev: rdev})
}

func isDevice(mode uint32) bool {
	return mode&unix.S_IFMT == unix.S_IFCHR || mode&unix.S_IFMT == unix.S_IFBLK
}

// MakeDirectory is mkdir(2).
func (at At) MakeDirectory(mode uint32) error {
	_, err := at.MakeNode(unix.S_IFDIR|mode&(0o777|unix.S_ISVTX), 0)
	return err
}

// MakeLink is symlink(2).
func (at At) MakeLink(target string) error {
	if target == "" {
		return unix.ENOENT
	}
	if len(target) >= MaxPathLength {
		return unix.ENAMETOOLONG
	}
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	f, err := at.findNew(m)
	if err != nil {
		return err
	}
	if f.slash {
		return unix.ENOENT
	}
	_, err = at.create(f, NewNode{Mode: unix.S_IFLNK | 0o777, Target: target})
	return err
}

// LinkTo is link(2): it creates the name at for the inode of old.
func (at At) LinkTo(old At) error {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	from, err := old.locate(m)
	if err != nil {
		return err
	}
	f, err := at.findNew(m)
	if err != nil {
		return err
	}
	if f.slash {
		return unix.ENOENT
	}
	if f.parent.mount != from.mount {
		return unix.EXDEV
	}
	inode := from.Inode()
	if err := m.mayLink(inode, at.Caller.Credentials()); err != nil {
		return err
	}
	if inode.Base().Type() == unix.S_IFDIR {
		return unix.EPERM
	}
	if err := f.parent.Inode().Link(f.name, inode); err != nil {
		return err
	}
	f.parent.dentry.added(f.name, inode)
	creates(at.Caller, f.parent, f.name, inode)
	return nil
}

// makeTemporary is open(2) with O_TMPFILE. at names the directory. The path is in
// use until the caller releases it.
func (at At) makeTemporary(mode uint32, l Linking) (Path, error) {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	p, err := at.locate(m)
	if err != nil {
		return Path{}, err
	}
	if !p.dentry.isDirectory() {
		return Path{}, unix.ENOTDIR
	}
	maker, ok := p.Inode().(TemporaryMaker)
	if !ok {
		return Path{}, unix.EOPNOTSUPP
	}
	if err := mayAdd(p, at.Caller.Credentials()); err != nil {
		return Path{}, err
	}
	inode, err := maker.CreateTemporary(at.owned(p, NewNode{Mode: unix.S_IFREG | mode}), l)
	if err != nil {
		return Path{}, err
	}
	label := "#" + decimal(inode.Base().Number())
	p.hold()
	return Path{p.mount, &Dentry{inode: inode, parent: p.dentry, name: label, deleted: true}}, nil
}
