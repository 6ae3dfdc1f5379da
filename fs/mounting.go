package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
)

// MountAt mounts instance f at the path at without checking privileges. Errors:
// those of a walk, ENOTDIR, ENOSPC if there are mount-max mounts.
func (at At) MountAt(f Filesystem, source string, flags uint64) error {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	p, err := at.locate(m)
	if err != nil {
		return err
	}
	if !p.dentry.isDirectory() {
		return unix.ENOTDIR
	}
	if int64(len(m.list)) >= m.Settings.MountMax.Get() {
		return unix.ENOSPC
	}
	m.attach(m.newMount(f, m.rootOf(f), source, flags), p)
	return nil
}

// changePropagation are the flags of mount(2) that set a propagation type other
// than private. They are not supported: there is one namespace, so every mount
// is private.
const changePropagation = unix.MS_SHARED | unix.MS_SLAVE | unix.MS_UNBINDABLE

// Mount is mount(2): at is the target. source is a path for MS_BIND and
// MS_MOVE and otherwise a label. Errors as in the man page.
func (at At) Mount(source, filesystemType string, flags uint64, options string) error {
	if !at.Caller.Credentials().Has(cred.SysAdmin) {
		return unix.EPERM
	}
	switch {
	case flags&unix.MS_REMOUNT != 0:
		return at.remount(flags)
	case flags&unix.MS_BIND != 0:
		return at.bind(source, flags)
	case flags&changePropagation != 0, flags&unix.MS_MOVE != 0:
		return unix.EINVAL
	case flags&unix.MS_PRIVATE != 0:
		_, err := at.Lookup()
		return err
	}
	return at.mountNew(source, filesystemType, flags, options)
}

func (at At) mountNew(source, filesystemType string, flags uint64, options string) error {
	m := at.mounts()
	m.tree.RLock()
	makeInstance, known := m.types[filesystemType]
	m.tree.RUnlock()
	if !known {
		return unix.ENODEV
	}
	f, err := makeInstance(options)
	if err != nil {
		return err
	}
	if source == "" {
		source = "none"
	}
	return at.MountAt(f, source, flags)
}

func (at At) remount(flags uint64) error {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	p, err := at.locate(m)
	if err != nil {
		return err
	}
	if p.dentry != p.mount.root {
		return unix.EINVAL
	}
	p.mount.flags.Store(flags & keptMountFlags)
	return nil
}

// bind attaches the tree at source to a second path. MS_REC includes the mounts
// below source.
func (at At) bind(source string, flags uint64) error {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	from, err := At{Caller: at.Caller, Name: source, Follow: true}.locate(m)
	if err != nil {
		return err
	}
	to, err := at.locate(m)
	if err != nil {
		return err
	}
	if from.dentry.isDirectory() != to.dentry.isDirectory() {
		return unix.ENOTDIR
	}
	copyOf := m.newMount(from.mount.filesystem, from.dentry, from.mount.source, from.mount.flags.Load())
	below := m.mountsBelow(from)
	m.attach(copyOf, to)
	if flags&unix.MS_REC != 0 {
		m.bindBelow(below, copyOf)
	}
	return nil
}

func (m *Mounts) mountsBelow(p Path) []*Mount {
	var below []*Mount
	for _, n := range m.mountsOn(p.mount) {
		if n.point.isWithin(p.dentry) {
			below = append(below, n)
		}
	}
	return below
}

func (m *Mounts) bindBelow(originals []*Mount, under *Mount) {
	for _, n := range originals {
		point := Path{under, n.point}
		deeper := m.mountsOn(n)
		copyOf := m.newMount(n.filesystem, n.root, n.source, n.flags.Load())
		m.attach(copyOf, point)
		m.bindBelow(deeper, copyOf)
	}
}

// Unmount is umount2(2). at is the root of the mount. Errors: EPERM, EINVAL if
// it is not the root of a mount, EBUSY if the mount is in use and MNT_DETACH is
// not set.
func (at At) Unmount(flags int) error {
	if !at.Caller.Credentials().Has(cred.SysAdmin) {
		return unix.EPERM
	}
	if flags&^(unix.MNT_FORCE|unix.MNT_DETACH|unix.MNT_EXPIRE|unix.UMOUNT_NOFOLLOW) != 0 {
		return unix.EINVAL
	}
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	p, err := at.locate(m)
	if err != nil {
		return err
	}
	if p.dentry != p.mount.root || p.mount.parent == nil {
		return unix.EINVAL
	}
	if flags&unix.MNT_DETACH == 0 && p.mount.uses.Load() > 0 {
		return unix.EBUSY
	}
	m.detach(p.mount)
	return nil
}
