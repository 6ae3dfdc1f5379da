package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/guard"
)

// MountAt mounts instance f at the path at without checking privileges. Errors:
// those of a walk, ENOTDIR, EINVAL, ENOSPC.
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
	if err := m.mayMountOn(p, 1); err != nil {
		return err
	}
	m.attach(m.newMount(m.instances.use(f, m), source, flags), p)
	return nil
}

// propagationTypes are the flags of mount(2) that set the propagation type of a
// mount.
const propagationTypes = unix.MS_SHARED | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE

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
	case flags&propagationTypes != 0:
		return at.setPropagation(flags)
	case flags&unix.MS_MOVE != 0:
		return at.move(source)
	}
	return at.mountNew(source, filesystemType, flags, options)
}

func (at At) mountNew(source, filesystemType string, flags uint64, options string) error {
	m := at.mounts()
	locked := guard.RLock(&m.tree)
	defer locked.Release()
	makeInstance, known := m.types[filesystemType]
	locked.Release()
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

// locateMount walks to the root of a mount that is in the namespace. Errors:
// those of a walk, EINVAL for any other path. The namespace is locked.
func (at At) locateMount(m *Mounts) (*Mount, error) {
	p, err := at.locate(m)
	if err != nil {
		return nil, err
	}
	if p.dentry != p.mount.root || !p.mount.attached {
		return nil, unix.EINVAL
	}
	return p.mount, nil
}

func (at At) remount(flags uint64) error {
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	n, err := at.locateMount(m)
	if err != nil {
		return err
	}
	n.flags.Store(flags & keptMountFlags)
	return nil
}

// setPropagation changes the propagation type of a mount, or with MS_REC of it
// and all mounts below. Every mount is private or unbindable: a private mount that
// becomes a slave stays private, because it has no master (mount_namespaces(7)).
// Shared mounts are not supported. Errors: those of locateMount, EINVAL for
// MS_SHARED, for several types and for other flags.
func (at At) setPropagation(flags uint64) error {
	kind := flags &^ (unix.MS_REC | unix.MS_SILENT)
	if kind != unix.MS_PRIVATE && kind != unix.MS_SLAVE && kind != unix.MS_UNBINDABLE {
		return unix.EINVAL
	}
	m := at.mounts()
	m.tree.Lock()
	defer m.tree.Unlock()
	n, err := at.locateMount(m)
	if err != nil {
		return err
	}
	changed := []*Mount{n}
	for i := 0; i < len(changed); i++ {
		changed[i].unbindable = kind == unix.MS_UNBINDABLE
		if flags&unix.MS_REC != 0 {
			changed = append(changed, changed[i].children...)
		}
	}
	return nil
}

// bind attaches the tree at source to a second path. MS_REC includes the mounts
// below source. Errors: those of a walk, ENOTDIR, ENOENT, EINVAL, ENOSPC.
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
	if !from.mount.attached || from.mount.unbindable {
		return unix.EINVAL
	}
	// The tree is listed before the first copy is attached: the target may be in
	// it, and a copy must not be copied.
	tree := []placedMount{{original: from.mount}}
	if flags&unix.MS_REC != 0 {
		tree = m.treeAt(from)
	}
	if err := m.mayMountOn(to, len(tree)); err != nil {
		return err
	}
	if from.dentry.isDirectory() != to.dentry.isDirectory() {
		return unix.ENOTDIR
	}
	m.attachCopies(tree, from, to)
	return nil
}

// placedMount is a mount of a tree. under is the index of the mount that it is
// on; the first mount of a tree is on none.
type placedMount struct {
	original *Mount
	under    int
}

// treeAt returns the mount of p and the bindable mounts below p, each after the
// mount that it is on. m.tree is held.
func (m *Mounts) treeAt(p Path) []placedMount {
	tree := []placedMount{{original: p.mount}}
	for i := 0; i < len(tree); i++ {
		for _, above := range tree[i].original.children {
			if above.unbindable || i == 0 && !above.point.isWithin(p.dentry) {
				continue
			}
			tree = append(tree, placedMount{above, i})
		}
	}
	return tree
}

// attachCopies attaches copies of the mounts of a tree, the first one at to with
// the dentry of from as its root. m.tree is held for writing.
func (m *Mounts) attachCopies(tree []placedMount, from, to Path) {
	copies := make([]*Mount, len(tree))
	for i, t := range tree {
		original := t.original
		n := m.newMount(original.instance.useAgain(), original.source, original.flags.Load())
		n.root = original.root
		copies[i] = n
		if i == 0 {
			n.root = from.dentry
			m.attach(n, to)
			continue
		}
		m.attach(n, Path{copies[t.under], original.point})
	}
}

// move moves the mount at source to at (MS_MOVE). Errors: those of locateMount,
// EINVAL for the root of the namespace and for a file onto a directory or the
// reverse, ENOENT, ELOOP if the target is below source.
func (at At) move(source string) error {
	m := at.mounts()
	old, err := at.reconnect(m, source)
	if err == nil {
		old.release()
	}
	return err
}

// reconnect is the part of move that runs with the namespace locked. It returns
// the mount that the moved one was on, to be released.
func (at At) reconnect(m *Mounts, source string) (*Mount, error) {
	m.tree.Lock()
	defer m.tree.Unlock()
	n, err := At{Caller: at.Caller, Name: source, Follow: true}.locateMount(m)
	if err != nil {
		return nil, err
	}
	to, err := at.locate(m)
	if err != nil {
		return nil, err
	}
	if err := m.mayMountOn(to, 0); err != nil {
		return nil, err
	}
	if n.parent == nil || n.root.isDirectory() != to.dentry.isDirectory() {
		return nil, unix.EINVAL
	}
	for above := to.mount; above != nil; above = above.parent {
		if above == n {
			return nil, unix.ELOOP
		}
	}
	old := m.disconnect(n)
	m.connect(n, to)
	return old, nil
}

// Unmount is umount2(2). at is the root of the mount. Errors: EPERM, EINVAL if
// it is not the root of a mount, EBUSY if the mount is in use and MNT_DETACH is
// not set, EAGAIN for the first MNT_EXPIRE.
func (at At) Unmount(flags int) error {
	if !at.Caller.Credentials().Has(cred.SysAdmin) {
		return unix.EPERM
	}
	if flags&^(unix.MNT_FORCE|unix.MNT_DETACH|unix.MNT_EXPIRE|unix.UMOUNT_NOFOLLOW) != 0 {
		return unix.EINVAL
	}
	unused, err := at.unmount(at.mounts(), flags)
	for _, n := range unused {
		n.release()
	}
	return err
}

// unmount is the part of Unmount that runs with the namespace locked. It returns
// the mounts to be released.
func (at At) unmount(m *Mounts, flags int) ([]*Mount, error) {
	m.tree.Lock()
	defer m.tree.Unlock()
	n, err := at.locateMount(m)
	if err != nil {
		return nil, err
	}
	if n.parent == nil {
		return nil, unix.EINVAL
	}
	inUse := n.uses.Load() > 1
	if flags&unix.MNT_EXPIRE != 0 {
		switch {
		case flags&(unix.MNT_FORCE|unix.MNT_DETACH) != 0:
			return nil, unix.EINVAL
		case inUse:
			return nil, unix.EBUSY
		case !n.expiring.Swap(true):
			return nil, unix.EAGAIN
		}
	}
	if flags&unix.MNT_DETACH == 0 && inUse {
		return nil, unix.EBUSY
	}
	return m.detach(n), nil
}
