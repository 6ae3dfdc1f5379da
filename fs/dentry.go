package fs

import (
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Dentry is a name of an inode in a directory, or the root of a tree. Once a
// name was looked up its dentry stays until the name goes away, so that two
// lookups give the same one, and what is mounted on it is found. Directories
// whose entries are volatile keep none.
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

// Inode returns the inode that the name is for.
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

// added returns the dentry of a name that the file system has just got.
func (d *Dentry) added(name string, inode Inode) *Dentry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.remember(name, inode)
}

func (d *Dentry) remember(name string, inode Inode) *Dentry {
	if d.children == nil {
		d.children = make(map[string]*Dentry)
	}
	// Names come as parts of whole paths; a clone does not keep those alive.
	c := &Dentry{inode: inode, parent: d, name: strings.Clone(name)}
	d.children[c.name] = c
	return c
}

// forget takes c out of its directory: its name is gone.
func (d *Dentry) forget(c *Dentry) {
	d.mu.Lock()
	delete(d.children, c.name)
	d.mu.Unlock()
	c.deleted = true
}

// moveTo gives c another name, in place of whatever had it. Mounts.tree is
// held for writing.
func (d *Dentry) moveTo(parent *Dentry, name string) {
	old := d.parent
	old.mu.Lock()
	if old.children[d.name] == d {
		delete(old.children, d.name)
	}
	old.mu.Unlock()
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
