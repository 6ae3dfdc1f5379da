package fs

import (
	"sync"

	"golang.org/x/sys/unix"
)

// OpenRequest is what an inode is opened for.
type OpenRequest struct {
	Caller Caller
	// Flags are those of open(2).
	Flags int
	// Mounts is the name space, for inodes whose opening is done elsewhere.
	Mounts *Mounts
}

// Reads and Writes report what the access mode allows.
func (r OpenRequest) Reads() bool { return r.Flags&unix.O_ACCMODE != unix.O_WRONLY }

// Writes reports whether the access mode allows writing.
func (r OpenRequest) Writes() bool { return r.Flags&unix.O_ACCMODE != unix.O_RDONLY }

// OpenFunc opens an inode whose file system does not know how: a device, a
// fifo.
type OpenFunc func(inode Inode, r OpenRequest) (FileOperations, error)

// OpenSpecial opens an inode that is no regular file and no directory, by its
// type. Errors: ENXIO for a device without a driver and for sockets, ELOOP for
// symbolic links.
func (r OpenRequest) OpenSpecial(inode Inode) (FileOperations, error) {
	a := inode.Attributes()
	switch a.Type() {
	case unix.S_IFCHR, unix.S_IFBLK:
		return r.Mounts.devices.open(&a, inode, r)
	case unix.S_IFIFO:
		return r.Mounts.fifo(inode, r)
	case unix.S_IFLNK:
		return nil, unix.ELOOP
	}
	return nil, unix.ENXIO
}

// devices are the drivers by type and device number.
type devices struct {
	mu      sync.RWMutex
	drivers map[deviceKey]OpenFunc
}

type deviceKey struct {
	kind   uint32 // S_IFCHR or S_IFBLK
	number uint64
}

// RegisterDevice makes open the driver of a character device.
func (m *Mounts) RegisterDevice(number uint64, open OpenFunc) {
	m.devices.mu.Lock()
	defer m.devices.mu.Unlock()
	if m.devices.drivers == nil {
		m.devices.drivers = make(map[deviceKey]OpenFunc)
	}
	m.devices.drivers[deviceKey{unix.S_IFCHR, number}] = open
}

func (d *devices) open(a *Attributes, inode Inode, r OpenRequest) (FileOperations, error) {
	d.mu.RLock()
	open, ok := d.drivers[deviceKey{a.Type(), a.Rdev}]
	d.mu.RUnlock()
	if !ok {
		return nil, unix.ENXIO
	}
	return open(inode, r)
}

// temporary is the part of O_TMPFILE that is not O_DIRECTORY.
const temporary = unix.O_TMPFILE &^ unix.O_DIRECTORY

// Open is openat2(2): flags and mode as there. The name may still have to wait
// for a partner: see File.Opened. Errors as in open(2).
func (at At) Open(flags int, mode uint32) (*File, error) {
	if err := checkOpenFlags(flags); err != nil {
		return nil, err
	}
	at.Follow = flags&unix.O_NOFOLLOW == 0
	switch {
	case flags&unix.O_PATH != 0:
		return at.openPath(flags & (unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW))
	case flags&temporary != 0:
		p, err := at.makeTemporary(mode & 0o7777)
		if err != nil {
			return nil, err
		}
		return at.finishOpen(p, flags, true)
	case flags&unix.O_CREAT != 0:
		p, created, err := at.findOrCreate(flags, mode&0o7777)
		if err != nil {
			return nil, err
		}
		return at.finishOpen(p, flags, created)
	}
	p, err := at.Lookup()
	if err != nil {
		return nil, err
	}
	return at.finishOpen(p, flags, false)
}

func checkOpenFlags(flags int) error {
	if flags&temporary != 0 {
		if flags&unix.O_DIRECTORY == 0 || flags&unix.O_CREAT != 0 || flags&unix.O_ACCMODE == unix.O_RDONLY {
			return unix.EINVAL
		}
		return nil
	}
	if flags&unix.O_CREAT != 0 && flags&unix.O_DIRECTORY != 0 {
		return unix.EINVAL
	}
	return nil
}

func (at At) openPath(flags int) (*File, error) {
	p, err := at.Lookup()
	if err != nil {
		return nil, err
	}
	if flags&unix.O_DIRECTORY != 0 && !p.dentry.isDirectory() {
		return nil, unix.ENOTDIR
	}
	return newFile(at.mounts(), p, flags, pathOnly{}), nil
}

// findOrCreate is the walk of O_CREAT. Most often the file exists, so the
// first try does not lock out other walks.
func (at At) findOrCreate(flags int, mode uint32) (p Path, created bool, err error) {
	m := at.mounts()
	exclusive := flags&unix.O_EXCL != 0
	final := followFinal
	if exclusive {
		final = stopAlways
	} else if !at.Follow {
		final = stopUnlessSlash
	}
	m.tree.RLock()
	f, err := at.find(m, final)
	m.tree.RUnlock()
	if err == nil && !f.path.Valid() {
		return at.createLocked(m, final, exclusive, mode)
	}
	return existing(f, err, exclusive)
}

// createLocked walks again, with the name space locked: the file may have been
// made meanwhile.
func (at At) createLocked(m *Mounts, final finalLink, exclusive bool, mode uint32) (Path, bool, error) {
	m.tree.Lock()
	defer m.tree.Unlock()
	f, err := at.find(m, final)
	if err != nil || f.path.Valid() {
		return existing(f, err, exclusive)
	}
	if f.slash {
		return Path{}, false, unix.EISDIR
	}
	if err := mayAdd(f.parent, at.Caller.Credentials()); err != nil {
		return Path{}, false, err
	}
	p, err := at.create(f, NewNode{Mode: unix.S_IFREG | mode})
	return p, true, err
}

func existing(f found, err error, exclusive bool) (Path, bool, error) {
	switch {
	case err != nil:
		return Path{}, false, err
	case exclusive:
		return Path{}, false, unix.EEXIST
	case f.path.dentry.isDirectory(), f.slash:
		return Path{}, false, unix.EISDIR
	}
	return f.path, false, nil
}

// finishOpen checks permissions and opens the inode at p. What the caller has
// just created it may open whatever its mode.
func (at At) finishOpen(p Path, flags int, created bool) (*File, error) {
	r := OpenRequest{Caller: at.Caller, Flags: flags, Mounts: at.mounts()}
	if !created {
		if err := p.mayOpen(r); err != nil {
			return nil, err
		}
	}
	base := p.Inode().Base()
	writes := r.Writes() && base.Type() == unix.S_IFREG
	if !writes {
		return p.openInode(r, created)
	}
	if err := base.writing.enter(); err != nil {
		return nil, err
	}
	file, err := p.openInode(r, created)
	if err != nil {
		base.writing.leave()
		return nil, err
	}
	file.writes = true
	return file, nil
}

// openInode opens the inode at p, and truncates it if O_TRUNC says so.
func (p Path) openInode(r OpenRequest, created bool) (*File, error) {
	ops, err := p.Inode().Open(r)
	if err != nil {
		return nil, err
	}
	if r.Flags&unix.O_TRUNC != 0 && !created && p.Inode().Base().Type() == unix.S_IFREG {
		if err := p.resize(0); err != nil {
			ops.Release()
			return nil, err
		}
	}
	return newFile(r.Mounts, p, r.Flags, ops), nil
}

// mayOpen has the checks of open(2) on an inode that exists.
func (p Path) mayOpen(r OpenRequest) error {
	a := p.Inode().Attributes()
	if err := checkOpenType(&a, r); err != nil {
		return err
	}
	if isDevice(a.Mode) && p.mount.Flags()&unix.MS_NODEV != 0 {
		return unix.EACCES
	}
	var want Permission
	if r.Reads() {
		want |= MayRead
	}
	if r.Writes() || r.Flags&unix.O_TRUNC != 0 {
		want |= MayWrite
	}
	if err := p.Permit(r.Caller, want); err != nil {
		return err
	}
	if r.Flags&unix.O_NOATIME != 0 && !owns(&a, r.Caller.Credentials()) {
		return unix.EPERM
	}
	return nil
}

func checkOpenType(a *Attributes, r OpenRequest) error {
	switch {
	case a.Type() == unix.S_IFLNK:
		return unix.ELOOP
	case a.IsDirectory() && (r.Writes() || r.Flags&unix.O_TRUNC != 0):
		return unix.EISDIR
	case !a.IsDirectory() && r.Flags&unix.O_DIRECTORY != 0:
		return unix.ENOTDIR
	}
	return nil
}

// OpenInode opens an inode that has no name, such as a new pipe, with the
// operations ops. label is what /proc/pid/fd shows.
func (m *Mounts) OpenInode(inode Inode, label string, flags int, ops FileOperations) *File {
	return newFile(m, m.Unnamed(label, inode), flags, ops)
}
