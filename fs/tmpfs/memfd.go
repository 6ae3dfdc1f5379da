package tmpfs

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
)

// allSeals are the seals of fcntl(2) in Linux 6.1.
const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE

// MaxMemfdName is the maximum length of a memfd's name, in bytes
// (memfd_create(2)).
const MaxMemfdName = 249

// memfdKey is the fs.Mounts.Service key of the instance that has the memfds.
type memfdKey struct{}

// Register adds the file system type "tmpfs" for mount(2), and the instance that
// Memfds returns.
func Register(m *fs.Mounts, memory *mm.Memory) {
	m.Register("tmpfs", func(options string) (fs.Filesystem, error) {
		c, err := ParseOptions(memory, options)
		if err != nil {
			return nil, err
		}
		return New(memory, c), nil
	})
	m.Service(memfdKey{}, func() any {
		f := New(memory, Config{})
		f.numbers.SetDevice(m.NewDevice())
		return f
	})
}

// Memfds returns the instance in which memfd_create(2) makes its files. It
// panics if Register was not called for m.
func Memfds(m *fs.Mounts) *Filesystem {
	return m.Service(memfdKey{}, func() any { panic("tmpfs: not registered") }).(*Filesystem)
}

// OpenMemfd implements memfd_create(2). It makes a file without a name in the
// tree and opens it for reading and writing. If sealing is false, F_SEAL_SEAL is
// set.
func (f *Filesystem) OpenMemfd(m *fs.Mounts, name string, uid, gid uint32, sealing bool) (*fs.File, error) {
	inode, err := f.newInode(fs.NewNode{Mode: unix.S_IFREG | 0o777, UID: uid, GID: gid})
	if err != nil {
		return nil, err
	}
	r := inode.(*regular)
	if sealing {
		r.seals = 0
	}
	r.AddLinks(-1)
	f.nodes.Add(-1)
	operations, err := r.Open(fs.OpenRequest{})
	if err != nil {
		return nil, err
	}
	return m.OpenInode(r, "/memfd:"+name+" (deleted)", unix.O_RDWR|unix.O_LARGEFILE, operations), nil
}

// Seals implements F_GET_SEALS (fcntl(2)). It fails with EINVAL if the file is
// not in a tmpfs.
func Seals(f *fs.File) (int, error) {
	o, ok := f.Operations().(*file)
	if !ok {
		return 0, unix.EINVAL
	}
	o.regular.mu.RLock()
	defer o.regular.mu.RUnlock()
	return o.regular.seals, nil
}

// AddSeals implements F_ADD_SEALS (fcntl(2)). It fails with EPERM if the file is
// not open for writing or has F_SEAL_SEAL, EINVAL if the file is not in a tmpfs
// or a seal is unknown, and EBUSY if F_SEAL_WRITE is requested while the file has
// a writable shared mapping.
func AddSeals(f *fs.File, seals int) error {
	if !f.Writable() {
		return unix.EPERM
	}
	o, ok := f.Operations().(*file)
	if !ok || seals&^allSeals != 0 {
		return unix.EINVAL
	}
	r := o.regular
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seals&unix.F_SEAL_SEAL != 0 {
		return unix.EPERM
	}
	if seals&unix.F_SEAL_WRITE != 0 && r.seals&unix.F_SEAL_WRITE == 0 && r.mappings.WritableShared() > 0 {
		return unix.EBUSY
	}
	r.seals |= seals
	return nil
}

// sealsWriting are the seals that forbid new writes and new writable shared
// mappings.
const sealsWriting = unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE

// ReserveWritable prepares a writable shared mapping of object. The caller calls
// release after mm has registered the mapping, or has failed to. The check of the
// seals and the reservation are one step, so AddSeals either sees the mapping and
// fails, or forbids it. Objects of other file systems, and nil for anonymous memory,
// have no seals. Error: EPERM if a seal forbids the mapping.
func ReserveWritable(object mm.Mappable) (release func(), err error) {
	r, ok := object.(*regular)
	if !ok {
		return func() {}, nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.seals&sealsWriting != 0 {
		return nil, unix.EPERM
	}
	r.mappings.ReserveWritable()
	return r.mappings.ReleaseWritable, nil
}
