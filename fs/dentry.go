package fs

import (
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/guard"
)

// Dentry is a name of an inode in a directory, or the root of a tree. The
// dentry of a name is kept from its first lookup until the name is removed:
// mounts are attached to dentries, so all lookups must return the same one.
// Directories with volatile entries keep no dentries.
type Dentry struct {
	inode   Inode
	mounted atomic.Int32 // mounts on this dentry

	// Guarded by Mounts.tree.
	parent  *Dentry // nil at a root
	name    string
	deleted bool

	mu       sync.Mutex // guards children
	children map[string]*Dentry
}

// Inode returns the inode of the name.
func (d *Dentry) Inode() Inode { return d.inode }

// child looks name up in d. Mounts.tree is held for reading at least.
func (d *Dentry) child(caller Caller, name string) (*Dentry, error) {
	if d.inode.Base().volatile {
		inode, err := d.inode.Lookup(caller, name)
		if err != nil {
			return nil, err
		}
		return &Dentry{inode: inode, parent: d, name: name}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c, ok := d.children[name]; ok {
		return c, nil
	}
	inode, err := d.inode.Lookup(caller, name)
	if err != nil {
		return nil, err
	}
	return d.remember(name, inode), nil
}

// added returns the dentry of a name that was just created in the file system.
func (d *Dentry) added(name string, inode Inode) *Dentry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.remember(name, inode)
}

func (d *Dentry) remember(name string, inode Inode) *Dentry {
	if d.children == nil {
		d.children = make(map[string]*Dentry)
	}
	// The name is part of a longer path, which a clone does not keep alive.
	c := &Dentry{inode: inode, parent: d, name: strings.Clone(name)}
	d.children[c.name] = c
	return c
}

// forget removes c, whose name was removed, from the children of d.
func (d *Dentry) forget(c *Dentry) {
	d.mu.Lock()
	delete(d.children, c.name)
	d.mu.Unlock()
	c.deleted = true
}

// moveTo gives d another name and replaces the dentry that had the name.
// Mounts.tree is held for writing.
func (d *Dentry) moveTo(parent *Dentry, name string) {
	guard.With(&d.parent.mu, func() {
		if d.parent.children[d.name] == d {
			delete(d.parent.children, d.name)
		}
	})
	d.parent, d.name = parent, strings.Clone(name)
	parent.mu.Lock()
	defer parent.mu.Unlock()
	if parent.children == nil {
		parent.children = make(map[string]*Dentry)
	}
	parent.children[d.name] = d
}

// isWithin reports whether d is ancestor or below it.
func (d *Dentry) isWithin(ancestor *Dentry) bool {
	for ; d != nil; d = d.parent {
		if d == ancestor {
			return true
		}
	}
	return false
}

func (d *Dentry) isDirectory() bool { return d.inode.Base().Type() == unix.S_IFDIR }
