package tmpfs

import (
	"sort"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// directory keeps its entries in two indexes: by name, and in the order in which
// they were added. readdir(3) returns them in that order. The position of an
// entry never changes, so a reader's position stays valid when other entries are
// added or removed. A removed entry stays in order, marked as removed, until
// more than half of the entries are removed.
type directory struct {
	fs.InodeBase
	filesystem *Filesystem

	mu      sync.RWMutex // guards the fields below
	byName  map[string]*entry
	order   []*entry // by ascending position
	removed int      // number of removed entries in order
	next    int64    // position of the next entry
	dead    bool     // the directory was removed: it takes no more entries
}

type entry struct {
	name     string
	inode    fs.Inode
	position int64
	removed  bool
}

func newDirectory(f *Filesystem, n fs.NewNode) *directory {
	d := &directory{filesystem: f, byName: make(map[string]*entry), next: fs.FirstPosition}
	d.Init(&f.numbers, n)
	return d
}

// entrySize is the size in bytes that an entry adds to its directory's size, as
// in Linux (BOGO_DIRENT_SIZE in mm/shmem.c).
const entrySize = 20

// Attributes implements fs.Inode.
func (d *directory) Attributes() fs.Attributes {
	a := d.InodeBase.Attributes()
	d.mu.RLock()
	defer d.mu.RUnlock()
	a.Size = int64(len(d.byName)+2) * entrySize
	return a
}

// Lookup implements fs.Inode.
func (d *directory) Lookup(_ fs.Caller, name string) (fs.Inode, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	e, ok := d.byName[name]
	if !ok {
		return nil, unix.ENOENT
	}
	return e.inode, nil
}

// add adds an entry. There must be none with this name. Error: ENOENT if the
// directory was removed.
func (d *directory) add(name string, inode fs.Inode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return unix.ENOENT
	}
	e := &entry{name: strings.Clone(name), inode: inode, position: d.next}
	d.next++
	d.byName[e.name] = e
	d.order = append(d.order, e)
	return nil
}

// take removes an entry and returns its inode. Error: ENOENT.
func (d *directory) take(name string) (fs.Inode, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, there := d.byName[name]
	if !there {
		return nil, unix.ENOENT
	}
	inode := e.inode
	delete(d.byName, name)
	e.removed, e.inode = true, nil
	if d.removed++; d.removed > 16 && d.removed > len(d.order)/2 {
		d.compact()
	}
	return inode, nil
}

// compact drops the removed entries from order. d.mu is held.
func (d *directory) compact() {
	kept := make([]*entry, 0, len(d.byName))
	for _, e := range d.order {
		if !e.removed {
			kept = append(kept, e)
		}
	}
	d.order, d.removed = kept, 0
}

// Create implements fs.Inode.
func (d *directory) Create(name string, n fs.NewNode) (fs.Inode, error) {
	inode, err := d.filesystem.newInode(n)
	if err != nil {
		return nil, err
	}
	if err := d.add(name, inode); err != nil {
		d.filesystem.unlinked(inode)
		return nil, err
	}
	d.Modified()
	if n.Mode&unix.S_IFMT == unix.S_IFDIR {
		d.AddLinks(1)
	}
	return inode, nil
}

// CreateTemporary implements fs.TemporaryMaker.
func (d *directory) CreateTemporary(n fs.NewNode, l fs.Linking) (fs.Inode, error) {
	inode, err := d.filesystem.newInode(n)
	if err != nil {
		return nil, err
	}
	if r, ok := inode.(*regular); ok {
		r.linking = l
	}
	// Link counts the inode again when it gets a name.
	inode.Base().AddLinks(-1)
	d.filesystem.nodes.Add(-1)
	return inode, nil
}

// Link implements fs.Inode. It fails with ENOENT for a file whose last name was
// removed. A file that CreateTemporary made for it gets its first name.
func (d *directory) Link(name string, target fs.Inode) error {
	if target.Base().Links() == 0 && !firstNameAllowed(target) {
		return unix.ENOENT
	}
	if err := d.filesystem.chargeNode(0); err != nil {
		return err
	}
	if err := d.add(name, target); err != nil {
		d.filesystem.nodes.Add(-1)
		return err
	}
	target.Base().AddLinks(1)
	d.Modified()
	return nil
}

// firstNameAllowed reports whether a file without a name may be linked.
func firstNameAllowed(target fs.Inode) bool {
	r, ok := target.(*regular)
	return ok && r.linking == fs.MayBeLinked && !r.isDead()
}

// close makes the directory refuse new entries if it is empty, and reports whether
// it is.
func (d *directory) close() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = d.dead || len(d.byName) == 0
	return d.dead
}

// Remove implements fs.Inode.
func (d *directory) Remove(name string, target fs.Inode) error {
	below, isDirectory := target.(*directory)
	if isDirectory && !below.close() {
		return unix.ENOTEMPTY
	}
	if _, err := d.take(name); err != nil {
		return err
	}
	d.Modified()
	if isDirectory {
		d.AddLinks(-1)
	}
	d.filesystem.unlinked(target)
	return nil
}

// Rename implements fs.Inode.
func (d *directory) Rename(oldName string, newDirectory fs.Inode, newName string) error {
	to, ok := newDirectory.(*directory)
	if !ok {
		return unix.EXDEV
	}
	if replaced, err := to.Lookup(nil, newName); err == nil {
		if err := to.Remove(newName, replaced); err != nil {
			return err
		}
	}
	moved, err := d.take(oldName)
	if err != nil {
		return err
	}
	if err := to.add(newName, moved); err != nil {
		d.filesystem.unlinked(moved)
		return err
	}
	d.moveParentLink(to, moved)
	d.Modified()
	to.Modified()
	moved.Base().Change(fs.Changes{}) // sets the change time
	return nil
}

// moveParentLink updates the link counts of d and to after moved went from d to
// to. If moved is a directory, its ".." entry is a link to its parent.
func (d *directory) moveParentLink(to *directory, moved fs.Inode) {
	if _, ok := moved.(*directory); ok && d != to {
		d.AddLinks(-1)
		to.AddLinks(1)
	}
}

// Exchange implements fs.Inode.
func (d *directory) Exchange(oldName string, newDirectory fs.Inode, newName string) error {
	to, ok := newDirectory.(*directory)
	if !ok {
		return unix.EXDEV
	}
	first, second := d.entry(oldName), to.entry(newName)
	if first == nil || second == nil {
		return unix.ENOENT
	}
	// The caller holds the name space lock, so no other change runs now. Readers
	// may see one of the two entries changed before the other.
	a, b := first.inode, second.inode
	d.mu.Lock()
	first.inode = b
	d.mu.Unlock()
	to.mu.Lock()
	second.inode = a
	to.mu.Unlock()
	d.moveParentLink(to, a)
	to.moveParentLink(d, b)
	d.Modified()
	to.Modified()
	return nil
}

func (d *directory) entry(name string) *entry {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byName[name]
}

// Open implements fs.Inode.
func (d *directory) Open(fs.OpenRequest) (fs.FileOperations, error) {
	return fs.DirectoryFile{List: d.list}, nil
}

func (d *directory) list(position int64, emit func(fs.DirectoryEntry) bool) error {
	d.Accessed()
	d.mu.RLock()
	defer d.mu.RUnlock()
	first := sort.Search(len(d.order), func(i int) bool { return d.order[i].position >= position })
	for _, e := range d.order[first:] {
		if e.removed {
			continue
		}
		node := e.inode.Base()
		if !emit(fs.DirectoryEntry{Name: e.name, Inode: node.Number(), Type: node.Type(), Next: e.position + 1}) {
			break
		}
	}
	return nil
}

// takeAll removes all entries and returns their inodes. The directory takes no
// more entries.
func (d *directory) takeAll() []fs.Inode {
	d.mu.Lock()
	defer d.mu.Unlock()
	inodes := make([]fs.Inode, 0, len(d.byName))
	for _, e := range d.order {
		if !e.removed {
			inodes = append(inodes, e.inode)
		}
	}
	d.order, d.byName, d.removed, d.dead = nil, make(map[string]*entry), 0, true
	return inodes
}
