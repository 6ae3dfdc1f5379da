package fs

import "golang.org/x/sys/unix"

// anonymous is the inode of a file that is not in a file system, such as an
// eventfd. Linux gives such inodes mode 0600 without a file type.
type anonymous struct{ InodeBase }

// NewAnonymous returns an open file without a name, opened with O_RDWR. Its
// link in /proc/pid/fd is anon_inode:[kind]. Of flags only O_NONBLOCK has an
// effect.
func (m *Mounts) NewAnonymous(kind string, flags int, ops FileOperations) *File {
	return m.NewAnonymousNamed("["+kind+"]", flags, ops)
}

// NewAnonymousNamed is NewAnonymous for the kinds of files whose name has no brackets.
func (m *Mounts) NewAnonymousNamed(name string, flags int, ops FileOperations) *File {
	i := &anonymous{}
	i.Init(&m.numbers, NewNode{Mode: 0o600})
	return m.OpenInode(i, "anon_inode:"+name, unix.O_RDWR|flags&unix.O_NONBLOCK, ops)
}
