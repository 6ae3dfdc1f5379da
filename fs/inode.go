package fs

// Inode is a file of any type, independent of its names. Each file system has
// its own inode types. They embed InodeBase, which implements every method for
// an inode that supports no operation, and override the methods that they
// support.
//
// Methods are safe for concurrent use and do not sleep. The caller has checked
// permissions. When a method changes a directory, the namespace is locked for
// writing, so such methods do not run concurrently.
type Inode interface {
	// Base returns the part that all inodes have in common.
	Base() *InodeBase

	// Attributes returns the data for stat(2).
	Attributes() Attributes
	// Change sets attributes. Errors: EINVAL or EPERM where the size cannot be
	// set, EFBIG, ENOSPC.
	Change(c Changes) error

	// Lookup finds name in a directory: ENOENT if it does not exist, ENOTDIR if
	// the inode is not a directory. Only file systems whose contents depend on
	// the process use caller.
	Lookup(caller Caller, name string) (Inode, error)
	// Create creates an inode under a name that does not exist.
	Create(name string, n NewNode) (Inode, error)
	// Link adds a name for target, which is an inode of the same file system.
	Link(name string, target Inode) error
	// Remove removes a name. Error: ENOTEMPTY for a directory that is not
	// empty.
	Remove(name string, target Inode) error
	// Rename moves oldName of this directory to newName of newDirectory and
	// replaces an existing file. The caller has checked that it may be
	// replaced, except that a directory is empty: ENOTEMPTY.
	Rename(oldName string, newDirectory Inode, newName string) error
	// Exchange swaps two names (renameat2(2), RENAME_EXCHANGE).
	Exchange(oldName string, newDirectory Inode, newName string) error

	// ReadLink returns the target of a symbolic link. Error: EINVAL for other
	// inodes.
	ReadLink(caller Caller) (string, error)

	// Open returns the operations of a new open file.
	Open(r OpenRequest) (FileOperations, error)
}

// MagicLink is a symbolic link of procfs that refers to an object and not to a
// name: /proc/pid/fd/N can be followed even if the file has no name.
type MagicLink interface {
	// Target returns the path to which the link refers.
	Target(caller Caller) (Path, error)
}

// TemporaryMaker is implemented by directories that can create a file without a
// name (open(2), O_TMPFILE).
type TemporaryMaker interface {
	CreateTemporary(n NewNode, l Linking) (Inode, error)
}

// Linking says whether linkat(2) may name a file that was created without a name.
type Linking bool

// The values of Linking.
const (
	NeverLinked Linking = false // O_TMPFILE with O_EXCL
	MayBeLinked Linking = true
)

// Filesystem is an instance of a file system. It must be comparable with ==:
// use a pointer.
type Filesystem interface {
	// Type returns the name in /proc/filesystems.
	Type() string
	// Root returns the root directory. Its inode was initialised by Init,
	// because mounting sets the device number of the instance there.
	Root() Inode
	// Statistics returns the data for statfs(2).
	Statistics() Statistics
}
