package fs

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Context is the root directory, the working directory and the umask of a task.
// Threads share one (clone(2), CLONE_FS), so it counts its users. It is safe
// for concurrent use.
type Context struct {
	users  atomic.Int32
	umask  atomic.Uint32
	mounts *Mounts

	mu        sync.Mutex // guards the fields below
	root      Path
	directory Path
	executing int // users between BeginExec and EndExec
}

// NewContext returns a context at the root of m with umask 022 and one user.
func NewContext(m *Mounts) *Context {
	return newContext(m, m.Root(), m.Root(), 0o022)
}

// newContext returns a context with one user. The caller keeps the directories in use
// until it returns.
func newContext(m *Mounts, root, directory Path, umask uint32) *Context {
	root.hold()
	directory.hold()
	c := &Context{mounts: m, root: root, directory: directory}
	c.umask.Store(umask)
	c.users.Store(1)
	return c
}

// Share adds a user and returns c (CLONE_FS). Error: EAGAIN between BeginExec and
// EndExec.
func (c *Context) Share() (*Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.executing > 0 {
		return nil, unix.EAGAIN
	}
	c.users.Add(1)
	return c, nil
}

// BeginExec reports whether c has only the given number of users, all of them in one
// process. If so, Share fails until EndExec (Linux: fs_struct.in_exec).
func (c *Context) BeginExec(users int) (alone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	alone = int(c.users.Load()) <= users
	if alone {
		c.executing++
	}
	return alone
}

// EndExec ends BeginExec. alone is its result.
func (c *Context) EndExec(alone bool) {
	if !alone {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.executing--
}

// RootOnly returns a new context with the root of c as root and working directory,
// for a file that shows the mounts below that root.
func (c *Context) RootOnly() *Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return newContext(c.mounts, c.root, c.root, 0)
}

// Copy returns a new context with the same contents and one user (fork(2)).
func (c *Context) Copy() *Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return newContext(c.mounts, c.root, c.directory, c.umask.Load())
}

// Users returns how many tasks share the context.
func (c *Context) Users() int { return int(c.users.Load()) }

// Release removes one user. The last one releases the mounts of the two
// directories.
func (c *Context) Release() {
	if c.users.Add(-1) > 0 {
		return
	}
	c.Root().release()
	c.Directory().release()
}

// Mounts returns the mount namespace of the context.
func (c *Context) Mounts() *Mounts { return c.mounts }

// Umask returns the file mode creation mask, umask(2).
func (c *Context) Umask() uint32 { return c.umask.Load() }

// SetUmask sets the mask and returns the old one.
func (c *Context) SetUmask(mask uint32) uint32 { return c.umask.Swap(mask & 0o777) }

// Root returns the root directory.
func (c *Context) Root() Path {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.root
}

// Directory returns the working directory.
func (c *Context) Directory() Path {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.directory
}

// SetDirectory makes p the working directory. The caller has checked that p is
// a directory that the task may search, and p is in use.
func (c *Context) SetDirectory(p Path) { c.replace(&c.directory, p) }

// SetRoot makes p the root directory (chroot(2)). p is in use.
func (c *Context) SetRoot(p Path) { c.replace(&c.root, p) }

// replace stores p in one of the two fields and releases the old path.
func (c *Context) replace(field *Path, p Path) {
	p.hold()
	c.mu.Lock()
	old := *field
	*field = p
	c.mu.Unlock()
	old.release()
}

// WorkingDirectory returns the path name of the working directory (getcwd(2)).
// The name starts with "(unreachable)" if the directory is outside the root.
// Error: ENOENT if the directory was removed.
func (c *Context) WorkingDirectory() (string, error) {
	c.mu.Lock()
	root, directory := c.root, c.directory
	c.mu.Unlock()
	return c.mounts.directoryName(root, directory)
}
