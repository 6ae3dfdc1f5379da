package fs

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/clock"
)

// InodeBase is the part that all inodes have: number, mode, owner, times, locks.
// An inode type embeds it and calls Init once before anybody else sees it.
// The methods answer like an inode that can do nothing but exist.
type InodeBase struct {
	numbers  *Numbers // of the file system; nil for none
	inode    uint64
	volatile bool
	locks    FileLocks
	writing  writeAccess

	mu         sync.Mutex // guards what follows
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

// Numbers gives inode numbers to one file system instance, and holds its
// device number, which it gets when it is first mounted if it has none. The
// zero value starts at inode 1.
type Numbers struct {
	device atomic.Uint64
	last   atomic.Uint64
}

// Device returns the device number of the file system instance.
func (n *Numbers) Device() uint64 { return n.device.Load() }

// SetDevice sets the device number, unless there is one already.
func (n *Numbers) SetDevice(device uint64) { n.device.CompareAndSwap(0, device) }

// Next returns an inode number that was not used yet.
func (n *Numbers) Next() uint64 { return n.last.Add(1) }

// Init gives the node its number, mode and owner; all times become now. A
// directory starts with two links, others with one.
func (n *InodeBase) Init(numbers *Numbers, from NewNode) {
	n.InitWithNumber(numbers, numbers.Next(), from)
}

// InitWithNumber is Init for file systems whose inode numbers mean something.
func (n *InodeBase) InitWithNumber(numbers *Numbers, inode uint64, from NewNode) {
	now := clock.Realtime()
	n.numbers, n.inode = numbers, inode
	n.mode, n.rdev, n.uid, n.gid = from.Mode, from.Rdev, from.UID, from.GID
	n.access, n.modify, n.change, n.birth = now, now, now, now
	n.links = 1
	if from.Mode&unix.S_IFMT == unix.S_IFDIR {
		n.links = 2
	}
}

// SetVolatile marks a directory whose entries come and go by themselves, as
// in procfs: the name space then remembers none of them. Call it before the
// inode is shared.
func (n *InodeBase) SetVolatile() { n.volatile = true }

// Base implements Inode.
func (n *InodeBase) Base() *InodeBase { return n }

// Number returns the inode number.
func (n *InodeBase) Number() uint64 { return n.inode }

// Type returns the S_IFMT part of the mode, which never changes.
func (n *InodeBase) Type() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mode & unix.S_IFMT
}

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

// Change implements Inode for everything but the size, which it refuses with
// EINVAL.
func (n *InodeBase) Change(c Changes) error {
	if c.Has(ChangeSize) {
		return unix.EINVAL
	}
	n.ChangeAttributes(c)
	return nil
}

// ChangeAttributes sets everything in c but the size, and the change time.
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

// Accessed sets the access time to now, by the rule of the relatime mount
// option: only if it is older than the last change or than a day.
func (n *InodeBase) Accessed() {
	now := clock.Realtime()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.access <= n.modify || n.access <= n.change || now-n.access >= 24*3600*clock.Second {
		n.access = now
	}
}

// Attachment returns what is attached to the inode: the pipe of a fifo, the
// socket bound to a name. If nothing is and make is not nil, it attaches what
// make returns.
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

// Create implements Inode: EPERM, as in a file system that the kernel fills.
func (n *InodeBase) Create(string, NewNode) (Inode, error) { return nil, n.refuseName() }

// Link implements Inode: EPERM.
func (n *InodeBase) Link(string, Inode) error { return n.refuseName() }

// Remove implements Inode: EPERM.
func (n *InodeBase) Remove(string, Inode) error { return n.refuseName() }

// Rename implements Inode: EPERM.
func (n *InodeBase) Rename(string, Inode, string) error { return n.refuseName() }

// Exchange implements Inode: EPERM.
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
