package fs

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/clock"
)

// InodeBase is the part that all inodes have in common: number, mode, owner,
// times, locks. An inode type embeds it and calls Init once, before the inode
// is shared. The methods implement an inode that supports no operation but
// stat(2).
type InodeBase struct {
	numbers  *Numbers // of the file system
	inode    uint64
	kind     uint32 // the S_IFMT part of the mode, which never changes
	volatile bool
	locks    FileLocks
	writing  writeAccess

	mu         sync.Mutex // guards the fields below
	mode       uint32
	links      uint32
	uid, gid   uint32
	rdev       uint64
	access     int64
	modify     int64
	change     int64
	birth      int64
	attachment any
}

// Numbers allocates the inode numbers of one instance of a file system, and
// holds its device number. The first mount sets the device number if it is not
// set. The zero value starts at inode 1.
type Numbers struct {
	device atomic.Uint64
	last   atomic.Uint64
}

// Device returns the device number of the file system instance.
func (n *Numbers) Device() uint64 { return n.device.Load() }

// SetDevice sets the device number if it is not set yet.
func (n *Numbers) SetDevice(device uint64) { n.device.CompareAndSwap(0, device) }

// Next returns a new inode number.
func (n *Numbers) Next() uint64 { return n.last.Add(1) }

// Init sets the number, mode and owner of the inode, and all times to now. A
// directory starts with two links, other files with one.
func (n *InodeBase) Init(numbers *Numbers, from NewNode) {
	n.InitWithNumber(numbers, numbers.Next(), from)
}

// InitWithNumber is Init for file systems that choose the inode numbers
// themselves.
func (n *InodeBase) InitWithNumber(numbers *Numbers, inode uint64, from NewNode) {
	now := clock.Realtime()
	n.numbers, n.inode = numbers, inode
	n.kind = from.Mode & unix.S_IFMT
	n.mode, n.rdev, n.uid, n.gid = from.Mode, from.Rdev, from.UID, from.GID
	n.access, n.modify, n.change, n.birth = now, now, now, now
	n.links = 1
	if from.Mode&unix.S_IFMT == unix.S_IFDIR {
		n.links = 2
	}
}

// SetVolatile marks a directory whose entries appear and disappear by
// themselves, as in procfs. Its dentries are not kept. Call it before the inode
// is shared.
func (n *InodeBase) SetVolatile() { n.volatile = true }

// Base implements Inode.
func (n *InodeBase) Base() *InodeBase { return n }

// Number returns the inode number.
func (n *InodeBase) Number() uint64 { return n.inode }

// Type returns the S_IFMT part of the mode, which never changes.
func (n *InodeBase) Type() uint32 { return n.kind }

// Locks returns the advisory locks of the inode.
func (n *InodeBase) Locks() *FileLocks { return &n.locks }

// Attributes implements Inode, with size 0.
func (n *InodeBase) Attributes() Attributes {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Attributes{
		Device: n.numbers.Device(), Inode: n.inode, Mode: n.mode, Links: n.links,
		UID: n.uid, GID: n.gid, Rdev: n.rdev, BlockSize: 4096,
		Access: n.access, Modify: n.modify, Change: n.change, Birth: n.birth,
	}
}

// Change implements Inode for all attributes but the size. Error: EINVAL for
// the size.
func (n *InodeBase) Change(c Changes) error {
	if c.Has(ChangeSize) {
		return unix.EINVAL
	}
	n.ChangeAttributes(c)
	return nil
}

// ChangeAttributes sets the attributes in c except the size, and sets the
// change time to now.
func (n *InodeBase) ChangeAttributes(c Changes) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.Has(ChangeMode) {
		n.mode = n.mode&unix.S_IFMT | c.Mode&^unix.S_IFMT
	}
	if c.Has(ChangeUID) {
		n.uid = c.UID
	}
	if c.Has(ChangeGID) {
		n.gid = c.GID
	}
	if c.Has(ChangeAccess) {
		n.access = c.Access
	}
	if c.Has(ChangeModify) {
		n.modify = c.Modify
	}
	n.change = clock.Realtime()
}

// AddLinks changes the link count by delta and returns the new count.
func (n *InodeBase) AddLinks(delta int) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = uint32(int(n.links) + delta)
	n.change = clock.Realtime()
	return n.links
}

// Links returns the link count.
func (n *InodeBase) Links() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.links
}

// Modified sets the modification and change times to now.
func (n *InodeBase) Modified() {
	now := clock.Realtime()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.modify, n.change = now, now
}

// Accessed sets the access time to now by the rule of the relatime mount
// option: only if it is not later than the last change, or a day old.
func (n *InodeBase) Accessed() {
	now := clock.Realtime()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.access <= n.modify || n.access <= n.change || now-n.access >= 24*3600*clock.Second {
		n.access = now
	}
}

// Attachment returns the object that is attached to the inode: the pipe of a
// FIFO, or the socket that is bound to a name. If there is none and make is not
// nil, it attaches the result of make.
func (n *InodeBase) Attachment(make func() any) any {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.attachment == nil && make != nil {
		n.attachment = make()
	}
	return n.attachment
}

// Lookup implements Inode: ENOTDIR.
func (n *InodeBase) Lookup(Caller, string) (Inode, error) { return nil, unix.ENOTDIR }

// Create implements Inode: ENOTDIR, or EPERM for a directory, as in a file
// system that only the kernel fills.
func (n *InodeBase) Create(string, NewNode) (Inode, error) { return nil, n.refuseName() }

// Link implements Inode: ENOTDIR, or EPERM for a directory.
func (n *InodeBase) Link(string, Inode) error { return n.refuseName() }

// Remove implements Inode: ENOTDIR, or EPERM for a directory.
func (n *InodeBase) Remove(string, Inode) error { return n.refuseName() }

// Rename implements Inode: ENOTDIR, or EPERM for a directory.
func (n *InodeBase) Rename(string, Inode, string) error { return n.refuseName() }

// Exchange implements Inode: ENOTDIR, or EPERM for a directory.
func (n *InodeBase) Exchange(string, Inode, string) error { return n.refuseName() }

func (n *InodeBase) refuseName() error {
	if n.Type() != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	return unix.EPERM
}

// ReadLink implements Inode: EINVAL.
func (n *InodeBase) ReadLink(Caller) (string, error) { return "", unix.EINVAL }

// Open implements Inode: ENXIO.
func (n *InodeBase) Open(OpenRequest) (FileOperations, error) { return nil, unix.ENXIO }
