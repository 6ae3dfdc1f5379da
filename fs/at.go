package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
)

// At is a path name argument of a system call. Its methods are the operations
// on names. Each implements one system call, and returns the errors of that
// call and of path_resolution(7).
type At struct {
	// Caller is the task that makes the call.
	Caller Caller
	// Start is the directory at which a relative name starts; nil means the
	// working directory (AT_FDCWD).
	Start *File
	// Name is the path name.
	Name string
	// Follow follows a symbolic link at the end of the name.
	Follow bool
	// Empty allows an empty name, which means Start itself (AT_EMPTY_PATH).
	Empty bool
	// Resolve holds the RESOLVE_ flags of openat2(2).
	Resolve uint64
}

func (at At) mounts() *Mounts { return at.Caller.FSContext().Mounts() }

// walker returns a walker for the name. The namespace need not be locked yet.
func (at At) walker(m *Mounts, final finalLink) (*walker, error) {
	context := at.Caller.FSContext()
	w := &walker{
		mounts: m, caller: at.Caller, cred: at.Caller.Credentials(),
		root: context.Root(), final: final, resolve: at.Resolve,
	}
	w.at = context.Directory()
	if at.Start != nil {
		w.at = at.Start.path
	}
	w.start = w.at
	if w.resolve&unix.RESOLVE_IN_ROOT != 0 {
		w.root = w.at
	}
	return w, nil
}

// find walks the name. The namespace is locked.
func (at At) find(m *Mounts, final finalLink) (found, error) {
	w, err := at.walker(m, final)
	if err != nil {
		return found{}, err
	}
	if at.Name == "" && at.Empty {
		return found{path: w.at, parent: w.at, kind: lastJump}, nil
	}
	return w.walk(at.Name)
}

// locate walks to an existing file: ENOENT if there is none. The namespace is
// locked.
func (at At) locate(m *Mounts) (Path, error) {
	final := stopUnlessSlash
	if at.Follow {
		final = followFinal
	}
	f, err := at.find(m, final)
	if err != nil {
		return Path{}, err
	}
	if !f.path.Valid() {
		return Path{}, unix.ENOENT
	}
	at.resolved(f.path)
	return f.path, nil
}

// Lookup resolves the name. Errors: those of path_resolution(7).
func (at At) Lookup() (Path, error) {
	m := at.mounts()
	m.tree.RLock()
	defer m.tree.RUnlock()
	return at.locate(m)
}

// lookupHeld is Lookup, but the path is in use until the caller releases it.
func (at At) lookupHeld() (Path, error) {
	m := at.mounts()
	m.tree.RLock()
	defer m.tree.RUnlock()
	p, err := at.locate(m)
	if err == nil {
		p.hold()
	}
	return p, err
}

// Attributes is stat(2), or lstat(2) if Follow is not set.
func (at At) Attributes() (Attributes, error) {
	p, err := at.Lookup()
	if err != nil {
		return Attributes{}, err
	}
	return p.Inode().Attributes(), nil
}

// Statistics is statfs(2).
func (at At) Statistics() (Statistics, error) {
	p, err := at.Lookup()
	if err != nil {
		return Statistics{}, err
	}
	return p.Statistics(), nil
}

// Statistics returns the data of statfs(2) for the file system at p.
func (p Path) Statistics() Statistics {
	s := p.mount.filesystem.Statistics()
	flags := p.mount.Flags()
	s.ReadOnly = flags&unix.MS_RDONLY != 0
	s.NoSUID = flags&unix.MS_NOSUID != 0
	s.NoEX = flags&unix.MS_NOEXEC != 0
	return s
}

// ReadLink is readlink(2).
func (at At) ReadLink() (string, error) {
	at.Follow = false
	p, err := at.Lookup()
	if err != nil {
		return "", err
	}
	// An empty name means the file of a descriptor. readlinkat(2) returns
	// ENOENT if that is not a link.
	target, err := p.Inode().ReadLink(at.Caller)
	if err == unix.EINVAL && at.Name == "" {
		return "", unix.ENOENT
	}
	return target, err
}

// Access is access(2) with the file-system ids of the caller. For the real ids,
// use a Caller whose credentials have them as file-system ids.
func (at At) Access(want Permission) error {
	p, err := at.Lookup()
	if err != nil {
		return err
	}
	return p.Permit(at.Caller, want)
}

// Permit checks whether caller has the permissions want on the inode at p.
// Errors: EACCES, EROFS for writing on a read-only mount.
func (p Path) Permit(caller Caller, want Permission) error {
	a := p.Inode().Attributes()
	if want&MayWrite != 0 && p.mount.readOnly() && writesMount(&a) {
		return unix.EROFS
	}
	if want&MayExecute != 0 && a.IsRegular() && p.mount.NoExec() {
		return unix.EACCES
	}
	return permitInode(p.Inode(), &a, caller, caller.Credentials(), want)
}

// writesMount reports whether writing to the inode changes its file system.
// Writing to a device or a pipe does not.
func writesMount(a *Attributes) bool {
	switch a.Type() {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK:
		return true
	}
	return false
}

// ChangeDirectory is chdir(2): it makes the directory the caller's working
// directory. Errors: those of a walk, ENOTDIR, EACCES.
func (at At) ChangeDirectory() error {
	return at.enter(func(p Path) error {
		at.Caller.FSContext().SetDirectory(p)
		return nil
	})
}

// ChangeRoot is chroot(2): it makes the directory the caller's root directory.
// Errors: those of ChangeDirectory, EPERM without CAP_SYS_CHROOT.
func (at At) ChangeRoot() error {
	return at.enter(func(p Path) error {
		if !at.Caller.Credentials().Has(cred.SysChroot) {
			return unix.EPERM
		}
		at.Caller.FSContext().SetRoot(p)
		return nil
	})
}

// enter resolves the name to a directory that the caller may search, and calls
// use with it. The directory is in use meanwhile.
func (at At) enter(use func(p Path) error) error {
	at.Follow = true
	p, err := at.lookupHeld()
	if err != nil {
		return err
	}
	defer p.release()
	if err := p.searchDirectory(at.Caller); err != nil {
		return err
	}
	return use(p)
}

func (p Path) searchDirectory(caller Caller) error {
	a := p.Inode().Attributes()
	if !a.IsDirectory() {
		return unix.ENOTDIR
	}
	return permitInode(p.Inode(), &a, caller, caller.Credentials(), MayExecute)
}
