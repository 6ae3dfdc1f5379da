package fs

import "golang.org/x/sys/unix"

// Attributes are the data of stat(2) and statx(2). Times are nanoseconds since
// 1970.
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

// ChangeMask selects fields of Changes.
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
// has only the bits 07777. The caller of Inode.Change has checked the
// permissions.
type Changes struct {
	Mask           ChangeMask
	Mode           uint32
	UID, GID       uint32
	Size           int64
	Access, Modify int64 // nanoseconds since 1970
}

// Has reports whether all fields in m are to be set.
func (c *Changes) Has(m ChangeMask) bool { return c.Mask&m == m }

// NewNode describes a new inode for mknod(2), mkdir(2), symlink(2) or open(2).
// In Inode.Create it has the final mode and owner: the umask has been applied.
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

// DirectoryEntry is one entry of a directory, as getdents64(2) returns it.
type DirectoryEntry struct {
	Name  string
	Inode uint64
	Type  uint32 // the S_IFMT bits
	// Next is the directory position after this entry. Reading from it
	// continues after the entry, even if entries were added or removed since.
	Next int64
}

// Positions of "." and "..", which every directory has. The entries that an
// inode lists itself start at FirstPosition.
const (
	dotPosition    = 0
	dotDotPosition = 1
	FirstPosition  = 2
)

// DeviceNumber returns a device number in the encoding of the user interface
// (makedev(3)).
func DeviceNumber(major, minor uint32) uint64 { return unix.Mkdev(major, minor) }
