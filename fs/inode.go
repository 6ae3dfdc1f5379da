package fs

// Inode is a file, whatever its type and its names. A file system makes its
// own types of them, each with an InodeBase inside, which has an honest answer to
// every method: a type writes only those that it does better.
//
// Methods are safe for concurrent use. Those that change a directory are
// called with the name space locked against any other change, so they never
// meet each other. Permissions have been checked. None may sleep.
type Inode interface {
	// Base returns the part that all inodes have.
	Base() *InodeBase

	// Attributes returns the data for stat(2).
	Attributes() Attributes
	// Change sets attributes. Errors: EINVAL or EPERM where the size cannot be
	// set, EFBIG, ENOSPC.
	Change(c Changes) error

	// Lookup finds name in a directory: ENOENT if it is not there, ENOTDIR if
	// the inode is no directory. The caller matters only to file systems that
	// show each process something else.
	Lookup(caller Caller, name string) (Inode, error)
	// Create makes a new inode and names it. The name is not taken.
	Create(name string, n NewNode) (Inode, error)
	// Link gives target, an inode of the same file system, one name more.
	Link(name string, target Inode) error
	// Remove takes the name away. A directory must be empty: ENOTEMPTY.
	Remove(name string, target Inode) error
	// Rename moves oldName of this directory to newName of newDirectory,
	// replacing what has that name. It has been checked that replacing is
	// allowed, except that a directory is empty: ENOTEMPTY.
	Rename(oldName string, newDirectory Inode, newName string) error
	// Exchange swaps two names (renameat2(2), RENAME_EXCHANGE).
	Exchange(oldName string, newDirectory Inode, newName string) error

	// ReadLink returns the target of a symbolic link, EINVAL for others.
	ReadLink(caller Caller) (string, error)

	// Open returns the operations of a new open file.
	Open(r OpenRequest) (FileOperations, error)
}

// MagicLink is a symbolic link of procfs that leads to an object, not to a
// name: /proc/pid/fd/N reaches even a file that has no name.
type MagicLink interface {
	// Target returns the place that following the link leads to.
	Target(caller Caller) (Path, error)
}

// TemporaryMaker is a directory that can make a file without a name (open(2),
// O_TMPFILE).
type TemporaryMaker interface {
	CreateTemporary(n NewNode) (Inode, error)
}

// Filesystem is an instance of a file system. It must be comparable with ==:
// use a pointer.
type Filesystem interface {
	// Type is the name in /proc/filesystems.
	Type() string
	// Root is the directory that a mount shows. Its inode was made by Init, so
	// that the instance gets a device number when it is mounted.
	Root() Inode
	// Statistics returns the data for statfs(2).
	Statistics() Statistics
}
