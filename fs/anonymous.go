package fs

import "golang.org/x/sys/unix"

// anonymous is the inode of files that are only what their operations do, such
// as event files. Linux shows them as mode 0600 without a type.
type anonymous struct{ InodeBase }

// NewAnonymous opens a file without a name for ops. kind is what /proc/pid/fd
// shows, as anon_inode:[kind]. flags may have O_NONBLOCK; O_RDWR is implied.
func (m *Mounts) NewAnonymous(kind string, flags int, ops FileOperations) *File {
	i := &anonymous{}
	i.Init(&m.numbers, NewNode{Mode: 0o600})
	return m.OpenInode(i, "anon_inode:["+kind+"]", unix.O_RDWR|flags&unix.O_NONBLOCK, ops)
}
