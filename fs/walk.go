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
	maxLinks      = 40   // symbolic links on one way
)

// lastKind tells what the last component of a path name is.
type lastKind int

const (
	lastName   lastKind = iota
	lastRoot            // the name was only slashes
	lastDot             // "."
	lastDotDot          // ".."
	lastJump            // a magic link led here
)

// found is where a walk ended.
type found struct {
	parent Path   // the directory of the last component
	name   string // the last component
	path   Path   // what has that name; not Valid if nothing has
	kind   lastKind
	slash  bool // slashes stood behind the last component
}

// finalLink says what a walk does with a symbolic link at its end.
type finalLink int

const (
	followFinal finalLink = iota
	// stopUnlessSlash stops at the link, unless slashes behind it say that
	// the directory is meant.
	stopUnlessSlash
	// stopAlways is for operations on the name itself.
	stopAlways
)

// walker is one walk along one path name. Mounts.tree is held.
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
}

// walk goes along name from w.at. A missing last component is no error: the
// result then has no path.
func (w *walker) walk(name string) (found, error) {
	if name == "" {
		return found{}, unix.ENOENT
	}
	if len(name) >= MaxPathLength {
		return found{}, unix.ENAMETOOLONG
	}
	rest := name
	if err := w.absolute(rest); err != nil {
		return found{}, err
	}
	kind := lastRoot
	for {
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return found{path: w.at, parent: w.at, kind: kind}, nil
		}
		component, after, _ := strings.Cut(rest, "/")
		hit, next, err := w.step(component, after, len(component) < len(rest))
		if err != nil {
			return found{}, err
		}
		if hit != nil {
			return *hit, nil
		}
		kind, rest = next.kind, next.rest
	}
}

// absolute begins at the root if the name says so.
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

// onward is what is left of the walk after a step.
type onward struct {
	rest string
	kind lastKind
}

// step takes one component. It returns a hit if that was the end of the walk.
func (w *walker) step(component, after string, slash bool) (*found, onward, error) {
	after = strings.TrimLeft(after, "/")
	last := after == ""
	if err := w.searchable(component); err != nil {
		return nil, onward{}, err
	}
	switch component {
	case ".":
		return nil, onward{after, lastDot}, nil
	case "..":
		return nil, onward{after, lastDotDot}, w.stepUp()
	}
	dentry, err := w.at.dentry.child(w.caller, component)
	if err == unix.ENOENT && last {
		return &found{parent: w.at, name: component, slash: slash}, onward{}, nil
	}
	if err != nil {
		return nil, onward{}, err
	}
	child := w.mounts.over(Path{w.at.mount, dentry})
	if child.mount != w.at.mount && w.resolve&unix.RESOLVE_NO_XDEV != 0 {
		return nil, onward{}, unix.EXDEV
	}
	if child.dentry.inode.Base().Type() == unix.S_IFLNK && w.follows(last, slash) {
		return w.stepLink(child, after, slash)
	}
	if !last {
		w.at = child
		return nil, onward{after, lastName}, nil
	}
	if slash && w.final != stopAlways && !child.dentry.isDirectory() {
		return nil, onward{}, unix.ENOTDIR
	}
	return &found{parent: w.at, name: component, path: child, slash: slash}, onward{}, nil
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
	return permit(&a, w.cred, MayExecute)
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

// stepLink goes on along the target of a symbolic link.
func (w *walker) stepLink(link Path, after string, slash bool) (*found, onward, error) {
	if w.links++; w.links > maxLinks || w.resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
		return nil, onward{}, unix.ELOOP
	}
	if magic, ok := link.dentry.inode.(MagicLink); ok {
		return w.jump(magic, after)
	}
	target, err := link.dentry.inode.ReadLink(w.caller)
	if err != nil {
		return nil, onward{}, err
	}
	if target == "" {
		return nil, onward{}, unix.ENOENT
	}
	if err := w.absolute(target); err != nil {
		return nil, onward{}, err
	}
	switch {
	case after != "":
		target += "/" + after
	case slash:
		target += "/"
	}
	return nil, onward{target, lastRoot}, nil
}

func (w *walker) jump(magic MagicLink, after string) (*found, onward, error) {
	if w.resolve&(unix.RESOLVE_NO_MAGICLINKS|unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) != 0 {
		return nil, onward{}, unix.ELOOP
	}
	target, err := magic.Target(w.caller)
	if err != nil {
		return nil, onward{}, err
	}
	w.at = target
	if after == "" {
		return &found{path: target, parent: target, kind: lastJump}, onward{}, nil
	}
	return nil, onward{after, lastName}, nil
}
