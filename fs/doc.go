// Package fs is the virtual file system: names, inodes, mounts, open files
// and descriptor tables. The file systems and the kinds of files that are not
// in any file system (pipes, sockets, event files) are its sub-packages.
//
// # The objects
//
//   - An Inode is a file itself, whatever its names: what stat(2) describes.
//   - A Dentry is a name of an inode in a directory. Dentries form the tree
//     that path names walk; each file system instance has its own tree.
//   - A Mount puts a dentry tree, or a part of one, at a place of another
//     tree. Mounts is the whole: the name space that every path starts from.
//   - A Path is a mount and a dentry: a place in the name space.
//   - A File is an open file description: offset, status flags and the
//     FileOperations that do the work. Descriptors in an FDTable refer to it.
//   - A Context is the part of a task that names are relative to: its root,
//     its working directory and its umask.
//   - At is a path name as a system call gets it: a caller, a directory
//     descriptor, a string. The operations on names are its methods.
//
// # Rules
//
// No operation blocks. One that would returns unix.EAGAIN, and the caller
// waits on the file's wait.Queue until File.Readiness says otherwise. So
// O_NONBLOCK, signals and deadlines are decided in one place, the system call
// layer, and everything here is tested without tasks.
//
// Data moves through a Sink or a Source. Put and Get may fault user pages in,
// and a fault may enter the inode whose data is moved: no lock that a page
// fault takes is held across them. Lock order: Mounts, directory, address
// space, inode.
//
// Every error is a bare unix.Errno. No input panics.
package fs
