package procfs

import (
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
)

// identity identifies a task that opens, reads or writes a file. Unlike fs.Caller it
// may be kept after the exit of the task.
type identity struct {
	process     int32 // getpid(2)
	thread      int32 // gettid(2)
	credentials *cred.Credentials
	killed      func() bool // whether the caller has a fatal signal; nil if that is not known
}

func identityOf(c fs.Caller) identity {
	who := identity{process: c.ProcessID(), thread: c.ThreadID(), credentials: c.Credentials()}
	if task, ok := c.(interface{ Killed() bool }); ok {
		who.killed = task.Killed
	}
	return who
}

// stopped reports whether a long operation for the caller must end early.
func (who identity) stopped() bool { return who.killed != nil && who.killed() }

// reader formats the contents of an open file for the task that reads it.
type reader func(who identity) ([]byte, error)

// text is a file with generated contents.
type text struct {
	fs.InodeBase
	// open checks the access and returns what the open file needs. The open file
	// keeps nothing of the caller, which may exit before the file is read.
	open  func(c fs.Caller) (opened, error)
	store func(who identity, text string) error // nil if it cannot be written
}

// opened is the state of an open text.
type opened struct {
	read    reader
	release func() // called at the last close; may be nil
}

// whenRead returns an open function without a check, for contents that depend on the
// time of the read only.
func whenRead(read reader) func(fs.Caller) (opened, error) {
	return func(fs.Caller) (opened, error) { return opened{read: read}, nil }
}

// textFile is an open text.
type textFile struct {
	fs.BytesFile
	inode  *text
	opener identity
	state  opened
}

// Open implements fs.Inode.
func (i *text) Open(r fs.OpenRequest) (fs.FileOperations, error) {
	state, err := i.open(r.Caller)
	if err != nil {
		return nil, err
	}
	f := &textFile{inode: i, opener: identityOf(r.Caller), state: state}
	f.Memory = r.Mounts.Memory()
	f.Contents = func(c fs.Caller) ([]byte, error) { return state.read(f.current(c)) }
	return f, nil
}

// current returns the task that makes a transfer. If that is the kernel, such as for
// splice(2), it is the opener.
func (f *textFile) current(c fs.Caller) identity {
	if c == nil {
		return f.opener
	}
	return identityOf(c)
}

// Release implements fs.FileOperations.
func (f *textFile) Release() {
	if f.state.release != nil {
		f.state.release()
	}
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
	if err := f.inode.store(f.current(fs.CallerOf(src)), strings.TrimRight(string(p), "\n\x00")); err != nil {
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
	process *process // of /proc/PID; nil for other directories
	lookup  func(c fs.Caller, name string) (fs.Inode, error)
	list    func() []fs.DirectoryEntry            // without positions
	permit  func(c fs.Caller, byMode error) error // nil if only the mode counts
	// walk replaces list if the number of entries has no small bound: it calls emit
	// for the entries from a position on, until that returns false.
	walk func(position int64, emit func(fs.DirectoryEntry) bool)
}

// PermitAccess implements fs.AccessRule.
func (i *directory) PermitAccess(c fs.Caller, _ fs.Permission, byMode error) error {
	if i.permit == nil {
		return byMode
	}
	return i.permit(c, byMode)
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
	if i.walk != nil {
		i.walk(position, emit)
		return nil
	}
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

// fixed returns a directory with these entries. They belong to root.
func (f *Filesystem) fixed(n fs.NewNode, entries []entry) *directory {
	return f.owned(n, entries, func(mode uint32) fs.NewNode { return fs.NewNode{Mode: mode} })
}

// owned returns a directory with these entries. owner returns the node of an entry
// with the given mode.
func (f *Filesystem) owned(n fs.NewNode, entries []entry, owner func(mode uint32) fs.NewNode) *directory {
	d := &directory{}
	d.Init(&f.numbers, n)
	d.lookup = func(_ fs.Caller, name string) (fs.Inode, error) {
		for i := range entries {
			if entries[i].name == name {
				return entries[i].make(owner(entries[i].mode)), nil
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

// textEntry returns the entry of a read-only file whose contents do not depend on
// the reader.
func (f *Filesystem) textEntry(name string, contents func() ([]byte, error)) entry {
	return f.openEntry(name, 0o444, whenRead(func(identity) ([]byte, error) { return contents() }), nil)
}

// openEntry returns the entry of a file. If store is nil, writes fail with EIO.
func (f *Filesystem) openEntry(name string, mode uint32, open func(c fs.Caller) (opened, error), store func(who identity, text string) error) entry {
	return entry{name: name, mode: unix.S_IFREG | mode, make: func(n fs.NewNode) fs.Inode {
		i := &text{open: open, store: store}
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
