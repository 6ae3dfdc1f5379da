package fs

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/guard"
)

// OpenRequest has the arguments of opening an inode.
type OpenRequest struct {
	Caller Caller
	// Flags are those of open(2).
	Flags int
	// Mounts is the namespace. It has the functions that open devices and
	// FIFOs.
	Mounts *Mounts
}

// Reads reports whether the access mode allows reading.
func (r OpenRequest) Reads() bool { return r.Flags&unix.O_ACCMODE != unix.O_WRONLY }

// Writes reports whether the access mode allows writing.
func (r OpenRequest) Writes() bool { return r.Flags&unix.O_ACCMODE != unix.O_RDONLY }

// OpenFunc opens an inode that its file system does not open itself: a device
// or a FIFO.
type OpenFunc func(inode Inode, r OpenRequest) (FileOperations, error)

// OpenSpecial opens an inode that is neither a regular file nor a directory.
// Errors: ENXIO for a socket or a device without a driver, ELOOP for a symbolic
// link.
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
	locked := guard.RLock(&d.mu)
	defer locked.Release()
	open, ok := d.drivers[deviceKey{a.Type(), a.Rdev}]
	locked.Release()
	if !ok {
		return nil, unix.ENXIO
	}
	return open(inode, r)
}

// temporary is the part of O_TMPFILE that is not O_DIRECTORY.
const temporary = unix.O_TMPFILE &^ unix.O_DIRECTORY

// Open is openat2(2), but does not wait for the other end of a FIFO: the caller
// waits until File.Opened succeeds. Errors: those of open(2).
func (at At) Open(flags int, mode uint32) (*File, error) {
	if err := checkOpenFlags(flags); err != nil {
		return nil, err
	}
	at.Follow = flags&unix.O_NOFOLLOW == 0
	p, origin, err := at.resolveOpen(flags, mode&0o7777)
	if err != nil {
		return nil, err
	}
	defer p.release()
	if flags&unix.O_PATH != 0 {
		return at.openPath(p, flags&(unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW))
	}
	return at.finishOpen(p, flags, origin)
}

// resolveOpen finds or creates the file to open. The path is in use until the
// caller releases it.
func (at At) resolveOpen(flags int, mode uint32) (p Path, origin fileOrigin, err error) {
	switch {
	case flags&unix.O_PATH != 0:
		p, err = at.lookupHeld()
	case flags&temporary != 0:
		origin = newlyCreated
		p, err = at.makeTemporary(mode, flags&unix.O_EXCL == 0)
	case flags&unix.O_CREAT != 0:
		p, origin, err = at.findOrCreate(flags, mode)
	default:
		p, err = at.lookupHeld()
	}
	return p, origin, err
}

// fileOrigin says whether this open(2) has created the file.
type fileOrigin bool

const (
	existedBefore fileOrigin = false
	newlyCreated  fileOrigin = true
)

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

func (at At) openPath(p Path, flags int) (*File, error) {
	if flags&unix.O_DIRECTORY != 0 && !p.dentry.isDirectory() {
		return nil, unix.ENOTDIR
	}
	keeper, _ := p.Inode().(PathKeeper)
	if keeper != nil {
		if err := keeper.KeepForPath(); err != nil {
			return nil, err
		}
	}
	return newFile(at.mounts(), p, flags, pathOnly{keeper: keeper}), nil
}

// findOrCreate is the walk of O_CREAT. The file usually exists, so the first
// walk locks the namespace only for reading. The path is in use until the caller
// releases it.
func (at At) findOrCreate(flags int, mode uint32) (p Path, origin fileOrigin, err error) {
	m := at.mounts()
	exclusive := flags&unix.O_EXCL != 0
	final := followFinal
	if exclusive {
		final = stopAlways
	} else if !at.Follow {
		final = stopUnlessSlash
	}
	p, origin, err = at.findExisting(m, final, exclusive)
	if err == nil && !p.Valid() {
		return at.createLocked(m, final, exclusive, mode)
	}
	return p, origin, err
}

// findExisting is the walk of O_CREAT to a file that exists. If there is none,
// the path is not Valid.
func (at At) findExisting(m *Mounts, final finalLink, exclusive bool) (Path, fileOrigin, error) {
	m.tree.RLock()
	defer m.tree.RUnlock()
	f, err := at.find(m, final)
	if err == nil {
		at.resolvedParent(f.parent)
	}
	if err == nil && !f.path.Valid() {
		return Path{}, existedBefore, nil
	}
	return at.existing(m, f, err, exclusive)
}

// createLocked walks again with the namespace locked for writing, because the
// file may have been created since. Then it creates the file.
func (at At) createLocked(m *Mounts, final finalLink, exclusive bool, mode uint32) (Path, fileOrigin, error) {
	m.tree.Lock()
	defer m.tree.Unlock()
	f, err := at.find(m, final)
	if err != nil || f.path.Valid() {
		return at.existing(m, f, err, exclusive)
	}
	if f.slash {
		return Path{}, existedBefore, unix.EISDIR
	}
	if err := mayAdd(f.parent, at.Caller.Credentials()); err != nil {
		return Path{}, existedBefore, err
	}
	p, err := at.create(f, NewNode{Mode: unix.S_IFREG | mode})
	if err == nil {
		p.hold()
	}
	return p, newlyCreated, err
}

// existing returns the result of a walk of O_CREAT that has found a file. The path is
// in use until the caller releases it. The namespace is locked.
func (at At) existing(m *Mounts, f found, err error, exclusive bool) (Path, fileOrigin, error) {
	if err == nil && !exclusive {
		at.resolved(f.path)
	}
	switch {
	case err != nil:
		return Path{}, existedBefore, err
	case exclusive:
		return Path{}, existedBefore, unix.EEXIST
	case f.path.dentry.isDirectory(), f.slash:
		return Path{}, existedBefore, unix.EISDIR
	case f.kind == lastJump:
		f.path.hold()
		return f.path, existedBefore, nil // the parent is not known, and the file is the caller's
	}
	if err := m.mayReuse(f.parent, f.path.Inode(), at.Caller.Credentials()); err != nil {
		return Path{}, existedBefore, err
	}
	f.path.hold()
	return f.path, existedBefore, nil
}

// finishOpen opens the inode at p. It checks permissions only if the file
// existed before: its creator may open it whatever its mode.
func (at At) finishOpen(p Path, flags int, origin fileOrigin) (*File, error) {
	r := OpenRequest{Caller: at.Caller, Flags: flags, Mounts: at.mounts()}
	if origin == existedBefore {
		if err := p.mayOpen(r); err != nil {
			return nil, err
		}
	}
	base := p.Inode().Base()
	writes := r.Writes() && base.Type() == unix.S_IFREG
	if !writes {
		return p.openInode(r, origin)
	}
	if err := base.writing.enter(); err != nil {
		return nil, err
	}
	file, err := p.openInode(r, origin)
	if err != nil {
		base.writing.leave()
		return nil, err
	}
	file.writes = true
	return file, nil
}

// openInode opens the inode at p, and truncates an old file for O_TRUNC.
func (p Path) openInode(r OpenRequest, origin fileOrigin) (*File, error) {
	ops, err := p.Inode().Open(r)
	if err != nil {
		return nil, err
	}
	if r.Flags&unix.O_TRUNC != 0 && origin == existedBefore && p.Inode().Base().Type() == unix.S_IFREG {
		if err := p.resize(0); err != nil {
			ops.Release()
			return nil, err
		}
	}
	return newFile(r.Mounts, p, r.Flags, ops), nil
}

// mayOpen makes the checks of open(2) on an existing inode.
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
// operations ops. label is its name in /proc/pid/fd.
func (m *Mounts) OpenInode(inode Inode, label string, flags int, ops FileOperations) *File {
	return newFile(m, m.Unnamed(label, inode), flags, ops)
}
