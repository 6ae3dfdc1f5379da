package fs

// NameWatcher is told of the names that a task uses, and of the files to which they lead.
// Audit records them (Linux: audit_inode, audit_inode_child). Except for Named, the methods
// run with the namespace locked: they do not resolve names, and they do not sleep.
type NameWatcher interface {
	// Named: the program has passed a name, at a user address.
	Named(address uint64, name string)
	// Resolved: a name has led to the file at p. The name is empty for the file of a
	// descriptor.
	Resolved(name string, p Path)
	// ResolvedParent: the last component of a name is an entry of the directory, which the
	// call creates or removes.
	ResolvedParent(name string, directory Path)
	// EntryCreated: an entry of the directory is about to be created, or, with its inode,
	// was created.
	EntryCreated(directory Path, name string, inode Inode)
	// EntryDeleted: an entry of the directory is about to be removed.
	EntryDeleted(directory Path, name string, inode Inode)
}

// Ancestors calls f for the inode at p and for the directories above it, up to the root of
// the namespace. The namespace is locked.
func (p Path) Ancestors(f func(Inode)) {
	for {
		f(p.dentry.inode)
		switch {
		case p.dentry != p.mount.root && p.dentry.parent != nil:
			p.dentry = p.dentry.parent
		case p.dentry == p.mount.root && p.mount.parent != nil:
			p = Path{p.mount.parent, p.mount.point}
		default:
			return
		}
	}
}

// Parents calls f for the inode at p and for the directories above it in its file system,
// also for those that a bind mount hides. The namespace is locked.
func (p Path) Parents(f func(Inode)) {
	for d := p.dentry; d != nil; d = d.parent {
		f(d.inode)
	}
}

// TreeRoots returns the inode at p, and the roots of the mounts below it (Linux:
// collect_mounts).
func (m *Mounts) TreeRoots(p Path) []Inode {
	m.tree.RLock()
	defer m.tree.RUnlock()
	roots, mounts := []Inode{p.dentry.inode}, []*Mount{p.mount}
	for i := 0; i < len(mounts); i++ {
		for _, above := range mounts[i].children {
			if i == 0 && !above.point.isWithin(p.dentry) {
				continue
			}
			roots, mounts = append(roots, above.root.inode), append(mounts, above)
		}
	}
	return roots
}

// IsUnder reports whether p is q or below it in the namespace (Linux: path_is_under).
func (m *Mounts) IsUnder(p, q Path) bool {
	m.tree.RLock()
	defer m.tree.RUnlock()
	for p.mount != q.mount {
		if p.mount.parent == nil {
			return false
		}
		p = Path{p.mount.parent, p.mount.point}
	}
	return p.dentry.isWithin(q.dentry)
}

// resolved tells the caller's watcher of a file.
func (at At) resolved(p Path) {
	if w := at.Caller.NameWatcher(); w != nil {
		w.Resolved(at.Name, p)
	}
}

// resolvedParent tells the caller's watcher of a directory.
func (at At) resolvedParent(directory Path) {
	if w := at.Caller.NameWatcher(); w != nil {
		w.ResolvedParent(at.Name, directory)
	}
}

// creates tells the caller's watcher of an entry that is created. inode is nil before.
func creates(c Caller, directory Path, name string, inode Inode) {
	if w := c.NameWatcher(); w != nil {
		w.EntryCreated(directory, name, inode)
	}
}

// deletes tells the caller's watcher of an entry that is about to be removed.
func deletes(c Caller, f *found) {
	if w := c.NameWatcher(); w != nil {
		w.EntryDeleted(f.parent, f.name, f.path.Inode())
	}
}
