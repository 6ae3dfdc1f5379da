// Package tmpfs implements a file system in memory (tmpfs(5)). The pages of its
// files are frames of mm.Memory. A mapping of a file and read(2) use the same
// frames.
//
// The root file system is a tmpfs, mount(2) makes instances of the type "tmpfs",
// and memfd_create(2) makes its files in one.
package tmpfs

import (
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
)

// Filesystem is one instance. It implements fs.Filesystem.
type Filesystem struct {
	memory   *mm.Memory
	numbers  fs.Numbers
	root     *directory
	maxPages int64
	maxNodes int64
	pages    atomic.Int64 // pages of all files
	nodes    atomic.Int64 // existing inodes
}

// Config has the mount options of an instance.
type Config struct {
	// Mode is the permissions of the root directory. 0 means 01777.
	Mode uint32
	// UID and GID are the owner and group of the root directory.
	UID, GID uint32
	// MaxPages is the maximum number of pages in files. 0 means half of the
	// memory.
	MaxPages int64
	// MaxNodes is the maximum number of inodes. 0 means half of the number of
	// pages of memory.
	MaxNodes int64
}

// New returns an empty file system. Its pages are allocated from memory.
func New(memory *mm.Memory, c Config) *Filesystem {
	half := int64(memory.Stats().Total / 2)
	f := &Filesystem{memory: memory, maxPages: c.MaxPages, maxNodes: c.MaxNodes}
	if f.maxPages == 0 {
		f.maxPages = half
	}
	if f.maxNodes == 0 {
		f.maxNodes = max(half, 1024)
	}
	if c.Mode == 0 {
		c.Mode = 0o1777
	}
	f.root = newDirectory(f, fs.NewNode{Mode: unix.S_IFDIR | c.Mode, UID: c.UID, GID: c.GID})
	f.nodes.Store(1)
	return f
}

// ParseOptions parses the mount options that tmpfs(5) describes: size,
// nr_blocks, nr_inodes, mode, uid and gid. It fails with EINVAL for others.
func ParseOptions(memory *mm.Memory, options string) (Config, error) {
	var c Config
	for option := range strings.SplitSeq(options, ",") {
		if option == "" {
			continue
		}
		key, value, _ := strings.Cut(option, "=")
		if err := c.set(memory, key, value); err != nil {
			return Config{}, err
		}
	}
	return c, nil
}

func (c *Config) set(memory *mm.Memory, key, value string) error {
	var n int64
	var err error
	switch key {
	case "size":
		n, err = parseSize(value, int64(memory.Stats().Total)*mm.PageSize)
		c.MaxPages = max((n+mm.PageSize-1)/mm.PageSize, 1)
	case "nr_blocks":
		c.MaxPages, err = parseSize(value, 0)
	case "nr_inodes":
		c.MaxNodes, err = parseSize(value, 0)
	case "mode":
		var mode uint64
		mode, err = strconv.ParseUint(value, 8, 12)
		c.Mode = uint32(mode)
	case "uid", "gid":
		var id uint64
		id, err = strconv.ParseUint(value, 10, 32)
		if key == "uid" {
			c.UID = uint32(id)
		} else {
			c.GID = uint32(id)
		}
	default:
		return unix.EINVAL
	}
	if err != nil {
		return unix.EINVAL
	}
	return nil
}

// parseSize parses a number with an optional suffix k, m or g. With the suffix %
// the number is a percentage of whole.
func parseSize(s string, whole int64) (int64, error) {
	shift := 0
	digits := s
	if s != "" {
		switch s[len(s)-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		case '%':
			shift = -1
		}
	}
	if shift != 0 {
		digits = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || shift > 0 && n > 1<<(62-shift) || shift < 0 && n > 100 {
		return 0, unix.EINVAL
	}
	if shift < 0 {
		return whole / 100 * n, nil
	}
	return n << shift, nil
}

// Type implements fs.Filesystem.
func (f *Filesystem) Type() string { return "tmpfs" }

// Root implements fs.Filesystem.
func (f *Filesystem) Root() fs.Inode { return f.root }

// Statistics implements fs.Filesystem.
func (f *Filesystem) Statistics() fs.Statistics {
	free := min(f.maxPages-f.pages.Load(), int64(f.memory.Stats().Available))
	return fs.Statistics{
		Magic: unix.TMPFS_MAGIC, BlockSize: mm.PageSize, MaxName: fs.MaxNameLength,
		Blocks: uint64(f.maxPages), Free: uint64(max(free, 0)),
		Files: uint64(f.maxNodes), FilesFree: uint64(max(f.maxNodes-f.nodes.Load(), 0)),
	}
}

// count adds to the number of pages in files, and returns the new number.
func (f *Filesystem) count(pages int64) int64 {
	f.memory.CountShared(pages)
	return f.pages.Add(pages)
}

// Unmounted removes all names and frees the pages of all files. It is called when
// no mount of the file system is in use any more.
func (f *Filesystem) Unmounted() {
	directories := []*directory{f.root}
	for len(directories) > 0 {
		last := len(directories) - 1
		d := directories[last]
		directories = directories[:last]
		for _, inode := range d.takeAll() {
			if below, ok := inode.(*directory); ok {
				directories = append(directories, below)
			}
			f.unlinked(inode)
		}
	}
}

// newInode makes an inode of the type in n.Mode. It fails with ENOSPC if there
// are too many inodes, and with EINVAL for an unknown type.
func (f *Filesystem) newInode(n fs.NewNode) (fs.Inode, error) {
	if err := f.chargeNode(int64(len(n.Target))); err != nil {
		return nil, err
	}
	switch n.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return newRegular(f, n), nil
	case unix.S_IFDIR:
		return newDirectory(f, n), nil
	case unix.S_IFLNK:
		l := &link{target: strings.Clone(n.Target)}
		l.Init(&f.numbers, n)
		return l, nil
	case unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
		s := &special{}
		s.Init(&f.numbers, n)
		return s, nil
	}
	f.nodes.Add(-1)
	return nil, unix.EINVAL
}

// nodeBytes is about what an inode and a name need of the kernel's heap, with the
// name's place in its directory and in the name space.
const nodeBytes = 2048

// chargeNode counts an inode, or a further name of one, as Linux does. target is the
// length of a symbolic link's target. Error: ENOSPC.
func (f *Filesystem) chargeNode(target int64) error {
	if f.nodes.Add(1) > f.maxNodes || f.memory.Admit(nodeBytes+target) != nil {
		f.nodes.Add(-1)
		return unix.ENOSPC
	}
	return nil
}

// unlinked removes one name of an inode and frees the inode if it is unreachable.
func (f *Filesystem) unlinked(inode fs.Inode) {
	links := inode.Base().AddLinks(-1)
	if d, ok := inode.(*directory); ok {
		d.AddLinks(-1) // its own "."
		links = 0
	}
	f.nodes.Add(-1)
	if links > 0 {
		return
	}
	if r, ok := inode.(*regular); ok {
		r.freeIfUnused()
	}
}

// link is a symbolic link.
type link struct {
	fs.InodeBase
	target string
}

// ReadLink implements fs.Inode.
func (l *link) ReadLink(fs.Caller) (string, error) { return l.target, nil }

// Attributes implements fs.Inode.
func (l *link) Attributes() fs.Attributes {
	a := l.InodeBase.Attributes()
	a.Size = int64(len(l.target))
	return a
}

// Open implements fs.Inode: ELOOP.
func (l *link) Open(r fs.OpenRequest) (fs.FileOperations, error) { return r.OpenSpecial(l) }

// special is a FIFO, a socket or a device node. Its operations are implemented
// outside this package (OpenRequest.OpenSpecial).
type special struct{ fs.InodeBase }

// Open implements fs.Inode.
func (s *special) Open(r fs.OpenRequest) (fs.FileOperations, error) { return r.OpenSpecial(s) }
