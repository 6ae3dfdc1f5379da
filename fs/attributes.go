package fs

import "golang.org/x/sys/unix"

// Attributes is what stat(2) and statx(2) tell of an inode. Times are
// nanoseconds since 1970.
type Attributes struct {
	Device    uint64 // of the file system instance
	Inode     uint64
	Mode      uint32 // type and permissions, S_IFMT | 07777
	Links     uint32
	UID, GID  uint32
	Rdev      uint64 // of a device node
	Size      int64  // bytes
	BlockSize uint32 // preferred transfer size in bytes
	Blocks    int64  // units of 512 bytes
	Access    int64
	Modify    int64
	Change    int64
	Birth     int64
}

// Type returns the S_IFMT part of the mode.
func (a *Attributes) Type() uint32 { return a.Mode & unix.S_IFMT }

// IsDirectory reports whether the inode is a directory.
func (a *Attributes) IsDirectory() bool { return a.Type() == unix.S_IFDIR }

// IsRegular reports whether the inode is a regular file.
func (a *Attributes) IsRegular() bool { return a.Type() == unix.S_IFREG }

// ChangeMask says which fields of Changes count.
type ChangeMask uint8

// The fields of Changes.
const (
	ChangeMode ChangeMask = 1 << iota
	ChangeUID
	ChangeGID
	ChangeSize
	ChangeAccess
	ChangeModify
)

// Changes is a request to set attributes, like the kernel's struct iattr. Mode
// has the 07777 bits only. Whoever passes it to Inode.Change has checked that
// the caller may.
type Changes struct {
	Mask           ChangeMask
	Mode           uint32
	UID, GID       uint32
	Size           int64
	Access, Modify int64 // nanoseconds since 1970
}

// Has reports whether all fields of m are to be set.
func (c *Changes) Has(m ChangeMask) bool { return c.Mask&m == m }

// NewNode describes an inode to be made by mknod(2), mkdir(2), symlink(2) or
// open(2): the umask is applied and the owner decided.
type NewNode struct {
	Mode     uint32 // type and permissions
	Rdev     uint64 // of device nodes
	UID, GID uint32
	Target   string // of symbolic links
}

// Statistics is the data of statfs(2).
type Statistics struct {
	Magic                  int64  // f_type
	BlockSize              int64  // bytes
	Blocks, Free           uint64 // of BlockSize
	Files, FilesFree       uint64
	MaxName                int64 // bytes of one component
	Identifier             uint64
	ReadOnly, NoSUID, NoEX bool
}

// DirectoryEntry is one entry of a directory as getdents64(2) gives it.
type DirectoryEntry struct {
	Name  string
	Inode uint64
	Type  uint32 // the S_IFMT bits
	// Next is the directory position after this entry: reading from it goes
	// on behind the entry, whatever was added or removed meanwhile.
	Next int64
}

// Positions of the two entries that every directory has. What an inode lists
// itself begins at FirstPosition.
const (
	dotPosition    = 0
	dotDotPosition = 1
	FirstPosition  = 2
)

// DeviceNumber packs a device number as the kernel's user interface has it
// (makedev(3)).
func DeviceNumber(major, minor uint32) uint64 { return unix.Mkdev(major, minor) }
