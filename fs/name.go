package fs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// PathName returns the name of p as seen from root, in the format of
// /proc/pid/fd. A file without a name has its label, such as "pipe:[7]". A
// removed name is followed by " (deleted)".
func (m *Mounts) PathName(root, p Path) string {
	if !p.Valid() {
		return ""
	}
	if p.mount == m.unnamed {
		return p.dentry.name
	}
	m.tree.RLock()
	defer m.tree.RUnlock()
	name, _ := m.name(root, p)
	if p.dentry.deleted {
		name += " (deleted)"
	}
	return name
}

// directoryName is PathName for getcwd(2).
func (m *Mounts) directoryName(root, p Path) (string, error) {
	m.tree.RLock()
	defer m.tree.RUnlock()
	if p.dentry.deleted {
		return "", unix.ENOENT
	}
	name, reachable := m.name(root, p)
	if !reachable {
		return "(unreachable)" + name, nil
	}
	return name, nil
}

// name returns the name of p as seen from root, and whether p is below root.
// m.tree is held for reading.
func (m *Mounts) name(root, p Path) (string, bool) {
	var parts []string
	for p != root {
		if p.dentry == p.mount.root {
			if p.mount.parent == nil {
				return joinReversed(parts), p.mount == root.mount && p.dentry == root.dentry
			}
			p = Path{p.mount.parent, p.mount.point}
			continue
		}
		parts = append(parts, p.dentry.name)
		if p.dentry.parent == nil {
			return joinReversed(parts), false
		}
		p = Path{p.mount, p.dentry.parent}
	}
	return joinReversed(parts), true
}

// treeName returns the name of d within its own tree.
func treeName(d *Dentry) string {
	var parts []string
	for ; d.parent != nil; d = d.parent {
		parts = append(parts, d.name)
	}
	return joinReversed(parts)
}

func joinReversed(parts []string) string {
	if len(parts) == 0 {
		return "/"
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(parts[i])
	}
	return b.String()
}

// unnamedFilesystem is the file system of files that have no name.
type unnamedFilesystem struct{}

func (unnamedFilesystem) Type() string { return "anon_inodefs" }
func (unnamedFilesystem) Root() Inode  { return nil }

// Statistics implements Filesystem. The magic is ANON_INODE_FS_MAGIC.
func (unnamedFilesystem) Statistics() Statistics {
	return Statistics{Magic: 0x09041934, BlockSize: 4096, MaxName: MaxNameLength}
}

// Unnamed returns a path for an inode that has no name: a pipe, a socket, an
// event file. label is its name in /proc/pid/fd.
func (m *Mounts) Unnamed(label string, inode Inode) Path {
	return Path{m.unnamed, &Dentry{inode: inode, name: label}}
}
