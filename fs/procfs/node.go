package procfs

import (
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// text is a file with contents that a function generates.
type text struct {
	fs.InodeBase
	contents func(c fs.Caller) ([]byte, error)
	store    func(c fs.Caller, text string) error // nil if it cannot be written
}

// textFile is an open text.
type textFile struct {
	fs.BytesFile
	inode  *text
	caller fs.Caller
}

// Open implements fs.Inode.
func (i *text) Open(r fs.OpenRequest) (fs.FileOperations, error) {
	f := &textFile{inode: i, caller: r.Caller}
	f.Contents = func(fs.Caller) ([]byte, error) { return i.contents(r.Caller) }
	return f, nil
}

// Change implements fs.Inode. Truncation succeeds and changes nothing, because
// programs open these files with O_TRUNC.
func (i *text) Change(c fs.Changes) error {
	if c.Mask == fs.ChangeSize {
		return nil
	}
	return unix.EPERM
}

// maxStore is the maximum length of one write to a text, in bytes.
const maxStore = 4096

// Write implements fs.FileOperations.
func (f *textFile) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	if f.inode.store == nil {
		return 0, offset, unix.EIO
	}
	if src.Remaining() > maxStore {
		return 0, offset, unix.EINVAL
	}
	p, err := fs.GetAll(src, maxStore)
	if err != nil {
		return 0, offset, err
	}
	if err := f.inode.store(f.caller, strings.TrimRight(string(p), "\n\x00")); err != nil {
		return 0, offset, err
	}
	return len(p), offset + int64(len(p)), nil
}

// link is a symbolic link with a target that a function generates.
type link struct {
	fs.InodeBase
	read func(c fs.Caller) (string, error)
}

// ReadLink implements fs.Inode.
func (i *link) ReadLink(c fs.Caller) (string, error) { return i.read(c) }

// Open implements fs.Inode: ELOOP.
func (i *link) Open(fs.OpenRequest) (fs.FileOperations, error) { return nil, unix.ELOOP }

// magicLink is a link to an object. Path resolution goes to the object directly
// and does not use the link's text.
type magicLink struct {
	link
	target func(c fs.Caller) (fs.Path, error)
}

// Target implements fs.MagicLink.
func (i *magicLink) Target(c fs.Caller) (fs.Path, error) { return i.target(c) }

// directory is a directory with functions that find and list its entries.
type directory struct {
	fs.InodeBase
	lookup func(c fs.Caller, name string) (fs.Inode, error)
	list   func() []fs.DirectoryEntry // without positions
}

// Lookup implements fs.Inode.
func (i *directory) Lookup(c fs.Caller, name string) (fs.Inode, error) { return i.lookup(c, name) }

// Change implements fs.Inode: EPERM.
func (i *directory) Change(fs.Changes) error { return unix.EPERM }

// Open implements fs.Inode.
func (i *directory) Open(fs.OpenRequest) (fs.FileOperations, error) {
	return fs.DirectoryFile{List: i.emit}, nil
}

// emit lists the entries from position on. The position of an entry is its
// index in the list, unless list set Next: the entries of processes, threads
// and descriptors have a position that follows from their number.
func (i *directory) emit(position int64, emit func(fs.DirectoryEntry) bool) error {
	entries := i.list()
	for n := range entries {
		if entries[n].Next == 0 {
			entries[n].Next = fs.FirstPosition + int64(n) + 1
		}
	}
	first := sort.Search(len(entries), func(n int) bool { return entries[n].Next > position })
	for _, e := range entries[first:] {
		if !emit(e) {
			break
		}
	}
	return nil
}

// entry describes a child of a fixed directory.
type entry struct {
	name string
	mode uint32
	make func(n fs.NewNode) fs.Inode
}

// fixed returns a directory with these entries.
func (f *Filesystem) fixed(n fs.NewNode, entries []entry) *directory {
	d := &directory{}
	d.Init(&f.numbers, n)
	d.lookup = func(_ fs.Caller, name string) (fs.Inode, error) {
		for i := range entries {
			if entries[i].name == name {
				return f.makeEntry(&entries[i], n), nil
			}
		}
		return nil, unix.ENOENT
	}
	d.list = func() []fs.DirectoryEntry {
		list := make([]fs.DirectoryEntry, len(entries))
		for i, e := range entries {
			list[i] = fs.DirectoryEntry{Name: e.name, Inode: f.numbers.Next(), Type: e.mode & unix.S_IFMT}
		}
		return list
	}
	return d
}

// makeEntry makes the inode of an entry, with the owner of its directory.
func (f *Filesystem) makeEntry(e *entry, parent fs.NewNode) fs.Inode {
	return e.make(fs.NewNode{Mode: e.mode, UID: parent.UID, GID: parent.GID})
}

// textEntry returns the entry of a read-only file.
func (f *Filesystem) textEntry(name string, contents func(c fs.Caller) ([]byte, error)) entry {
	return f.writableEntry(name, 0o444, contents, nil)
}

// writableEntry returns the entry of a file. If store is nil, writes fail with
// EIO.
func (f *Filesystem) writableEntry(name string, mode uint32, contents func(c fs.Caller) ([]byte, error), store func(c fs.Caller, text string) error) entry {
	return entry{name: name, mode: unix.S_IFREG | mode, make: func(n fs.NewNode) fs.Inode {
		i := &text{contents: contents, store: store}
		i.Init(&f.numbers, n)
		return i
	}}
}

// linkEntry returns the entry of a symbolic link.
func (f *Filesystem) linkEntry(name string, read func(c fs.Caller) (string, error)) entry {
	return entry{name: name, mode: unix.S_IFLNK | 0o777, make: func(n fs.NewNode) fs.Inode {
		i := &link{read: read}
		i.Init(&f.numbers, n)
		return i
	}}
}

// magicEntry returns the entry of a link to an object.
func (f *Filesystem) magicEntry(name string, mode uint32, read func(c fs.Caller) (string, error), target func(c fs.Caller) (fs.Path, error)) entry {
	return entry{name: name, mode: unix.S_IFLNK | mode, make: func(n fs.NewNode) fs.Inode {
		i := &magicLink{link: link{read: read}, target: target}
		i.Init(&f.numbers, n)
		return i
	}}
}

// directoryEntry returns the entry of a directory with fixed entries.
func (f *Filesystem) directoryEntry(name string, entries ...entry) entry {
	return entry{name: name, mode: unix.S_IFDIR | 0o555, make: func(n fs.NewNode) fs.Inode { return f.fixed(n, entries) }}
}
