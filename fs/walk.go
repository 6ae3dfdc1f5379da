package fs

import (
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/cred"
)

// Limits of path_resolution(7).
const (
	MaxPathLength = 4096 // bytes, with the terminating zero
	MaxNameLength = 255  // bytes of one component
	maxLinks      = 40   // symbolic links in one resolution
)

// lastKind is the kind of the last component of a path name.
type lastKind int

const (
	lastName   lastKind = iota
	lastRoot            // the name has only slashes
	lastDot             // "."
	lastDotDot          // ".."
	lastJump            // a magic link was followed
)

// found is the result of a walk.
type found struct {
	parent Path   // the directory of the last component
	name   string // the last component
	path   Path   // of the last component; not Valid if it does not exist
	kind   lastKind
	slash  bool // slashes follow the last component
}

// finalLink is what a walk does with a symbolic link at the end of the name.
type finalLink int

const (
	followFinal finalLink = iota
	// stopUnlessSlash stops at the link unless slashes follow it.
	stopUnlessSlash
	// stopAlways stops at the link, for operations on the name itself.
	stopAlways
)

// walker resolves one path name (path_resolution(7)). Mounts.tree is held.
type walker struct {
	mounts  *Mounts
	caller  Caller
	cred    *cred.Credentials
	root    Path
	start   Path
	at      Path
	final   finalLink
	resolve uint64 // RESOLVE_ flags of openat2(2)
	links   int

	rest string   // the part of the name that is not yet walked
	kind lastKind // of the component walked last
	end  *found   // set when the walk is over
}

// walk resolves name, starting at w.at. If only the last component is missing,
// it returns no error, and the path of the result is not Valid.
func (w *walker) walk(name string) (found, error) {
	if name == "" {
		return found{}, unix.ENOENT
	}
	if len(name) >= MaxPathLength {
		return found{}, unix.ENAMETOOLONG
	}
	if err := w.absolute(name); err != nil {
		return found{}, err
	}
	w.rest, w.kind, w.end = name, lastRoot, nil
	for w.end == nil {
		w.rest = strings.TrimLeft(w.rest, "/")
		if w.rest == "" {
			return found{path: w.at, parent: w.at, kind: w.kind}, nil
		}
		if err := w.step(); err != nil {
			return found{}, err
		}
	}
	return *w.end, nil
}

// absolute moves to the root if name starts with a slash.
func (w *walker) absolute(name string) error {
	if name[0] != '/' {
		return nil
	}
	if w.resolve&unix.RESOLVE_BENEATH != 0 {
		return unix.EXDEV
	}
	if w.resolve&unix.RESOLVE_NO_XDEV != 0 && w.at.mount != w.root.mount {
		return unix.EXDEV
	}
	w.at = w.root
	return nil
}

// step walks the first component of rest.
func (w *walker) step() error {
	component, after, slash := strings.Cut(w.rest, "/")
	after = strings.TrimLeft(after, "/")
	last := after == ""
	if err := w.searchable(component); err != nil {
		return err
	}
	switch component {
	case ".":
		w.rest, w.kind = after, lastDot
		return nil
	case "..":
		w.rest, w.kind = after, lastDotDot
		return w.stepUp()
	}
	dentry, err := w.at.dentry.child(w.caller, component)
	if err == unix.ENOENT && last {
		w.end = &found{parent: w.at, name: component, slash: slash}
		return nil
	}
	if err != nil {
		return err
	}
	child := w.mounts.over(Path{w.at.mount, dentry})
	if child.mount != w.at.mount && w.resolve&unix.RESOLVE_NO_XDEV != 0 {
		return unix.EXDEV
	}
	if child.dentry.inode.Base().Type() == unix.S_IFLNK && w.follows(last, slash) {
		if err := w.mayFollow(w.at, child.dentry.inode); err != nil {
			return err
		}
		return w.stepLink(child, after, slash)
	}
	if !last {
		w.at, w.rest, w.kind = child, after, lastName
		return nil
	}
	if slash && w.final != stopAlways && !child.dentry.isDirectory() {
		return unix.ENOTDIR
	}
	w.end = &found{parent: w.at, name: component, path: child, slash: slash}
	return nil
}

// searchable checks that component may be looked up in the current directory.
func (w *walker) searchable(component string) error {
	a := w.at.dentry.inode.Attributes()
	if !a.IsDirectory() {
		return unix.ENOTDIR
	}
	if len(component) > MaxNameLength {
		return unix.ENAMETOOLONG
	}
	return permitInode(w.at.dentry.inode, &a, w.caller, w.cred, MayExecute)
}

func (w *walker) stepUp() error {
	if w.resolve&unix.RESOLVE_BENEATH != 0 && w.at == w.start {
		return unix.EXDEV
	}
	parent := w.mounts.up(w.at, w.root)
	if w.resolve&unix.RESOLVE_NO_XDEV != 0 && parent.mount != w.at.mount {
		return unix.EXDEV
	}
	w.at = parent
	return nil
}

func (w *walker) follows(last, slash bool) bool {
	if !last {
		return true
	}
	switch w.final {
	case followFinal:
		return true
	case stopUnlessSlash:
		return slash
	}
	return false
}

// stepLink replaces the symbolic link at the start of rest by its target.
func (w *walker) stepLink(link Path, after string, slash bool) error {
	if w.links++; w.links > maxLinks || w.resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
		return unix.ELOOP
	}
	if magic, ok := link.dentry.inode.(MagicLink); ok {
		return w.jump(magic, after)
	}
	target, err := link.dentry.inode.ReadLink(w.caller)
	if err != nil {
		return err
	}
	if target == "" {
		return unix.ENOENT
	}
	if err := w.absolute(target); err != nil {
		return err
	}
	switch {
	case after != "":
		target += "/" + after
	case slash:
		target += "/"
	}
	w.rest, w.kind = target, lastRoot
	return nil
}

// jump moves the walk to the target of a magic link.
func (w *walker) jump(magic MagicLink, after string) error {
	if w.resolve&(unix.RESOLVE_NO_MAGICLINKS|unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) != 0 {
		return unix.ELOOP
	}
	target, err := magic.Target(w.caller)
	if err != nil {
		return err
	}
	w.at, w.rest, w.kind = target, after, lastName
	if after == "" {
		w.end = &found{path: target, parent: target, kind: lastJump}
	}
	return nil
}
