// Package fs is the virtual file system: names, inodes, mounts, open files and
// descriptor tables. Its sub-packages are the file systems, and the kinds of
// files that are in no file system: pipes, sockets, event files.
//
// # The objects
//
//   - An Inode is a file, independent of its names: the object that stat(2)
//     describes.
//   - A Dentry is a name of an inode in a directory. Dentries form the tree
//     that path names walk. Each instance of a file system has its own tree.
//   - A Mount attaches a dentry tree, or a part of one, to a dentry of another
//     tree. Mounts is a mount namespace: the tree of all mounts.
//   - A Path is a mount and a dentry: a location in the namespace.
//   - A File is an open file description: offset, status flags, and the
//     FileOperations of its kind. Descriptors in an FDTable refer to it.
//   - A Context is the root directory, the working directory and the umask of
//     a task.
//   - At is a path name argument of a system call: a caller, a directory
//     descriptor and a string. The operations on names are its methods.
//
// # Rules
//
// No operation blocks. An operation that would block returns unix.EAGAIN. The
// caller then waits on the file's wait.Queue until File.Readiness reports the
// event. Only the system call layer handles O_NONBLOCK, signals and deadlines,
// so this package is tested without tasks.
//
// Data moves through a Sink or a Source. Put and Get may fault in user pages,
// and the fault may use the inode whose data is moved. No lock that a page
// fault takes is held across them. Lock order: Mounts, directory, address
// space, inode.
//
// Every error is a bare unix.Errno. No input panics.
package fs
