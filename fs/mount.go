package fs

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/mm"
	"slowpath/sysctl"
)

// MountFlags are the MS_ flags of mount(2) that a mount keeps: MS_RDONLY,
// MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME.
type MountFlags uint64

const keptMountFlags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC |
	unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME

// Mount attaches a dentry tree, or a part of one, to a path in the namespace.
type Mount struct {
	id         int
	instance   *instance
	filesystem Filesystem
	source     string
	root       *Dentry
	flags      atomic.Uint64

	// uses counts what keeps the mount in use: the namespace while the mount is
	// attached, open files, contexts, and the mounts on it.
	uses     atomic.Int64
	expiring atomic.Bool // MNT_EXPIRE was requested and the mount not used since

	// Guarded by Mounts.tree. parent and point are nil at the root of the
	// namespace, and after the mount was detached.
	attached   bool
	unbindable bool // MS_UNBINDABLE
	parent     *Mount
	point      *Dentry
	children   []*Mount // the mounts on it, in the order of mounting
}

// Filesystem returns the mounted file system.
func (m *Mount) Filesystem() Filesystem { return m.filesystem }

// Flags returns the flags of the mount.
func (m *Mount) Flags() MountFlags { return MountFlags(m.flags.Load()) }

func (m *Mount) readOnly() bool { return m.Flags()&unix.MS_RDONLY != 0 }

// NoExec reports whether the mount forbids executing programs (MS_NOEXEC).
func (m *Mount) NoExec() bool { return m.Flags()&unix.MS_NOEXEC != 0 }

// Path is a location in the namespace. The zero Path is not valid.
type Path struct {
	mount  *Mount
	dentry *Dentry
}

// Valid reports whether p is not the zero Path.
func (p Path) Valid() bool { return p.dentry != nil }

// Inode returns the inode at p.
func (p Path) Inode() Inode { return p.dentry.inode }

// Mount returns the mount that p is on.
func (p Path) Mount() *Mount { return p.mount }

// hold keeps the mount in use until release, so its file system exists. The
// caller holds the path already, or the namespace is locked for reading.
func (p Path) hold() { p.mount.hold() }

// release undoes hold. If the mount was detached and this was its last use, the
// file system may be discarded, so the namespace must not be locked.
func (p Path) release() { p.mount.release() }

func (m *Mount) hold() {
	m.uses.Add(1)
	m.expiring.Store(false)
}

func (m *Mount) release() {
	if m.uses.Add(-1) == 0 && m.instance != nil {
		m.instance.release()
	}
}

type mountPoint struct {
	mount  *Mount
	dentry *Dentry
}

// MakeFilesystem creates an instance of a file system for mount(2). options is
// the data argument of mount(2).
type MakeFilesystem func(options string) (Filesystem, error)

// Mounts is a mount namespace: the tree of all mounts, and the state that its
// files share. It is safe for concurrent use.
type Mounts struct {
	// Settings are those of /proc/sys/fs. They are set before the first file
	// operation; NewMounts sets sysctl.Defaults.
	Settings *sysctl.Settings

	// tree guards the structure of the namespace. It is held for reading during
	// a walk, and for writing while a name or a mount changes.
	tree   sync.RWMutex
	root   *Mount
	points map[mountPoint]*Mount
	list   []*Mount // in the order of mounting
	types  map[string]MakeFilesystem
	order  []string // names of types, in the order of registration
	nextID int

	memory    *mm.Memory
	devices   devices
	fifo      OpenFunc
	unnamed   *Mount
	numbers   Numbers // of inodes without a name
	lockGraph lockGraph
	lastMinor atomic.Uint32 // of device numbers for file systems
	instances instances
	openFiles atomic.Int64

	servicesMu sync.Mutex
	services   map[any]any
}

// NewMounts returns a namespace with the given root file system. FIFO opens
// FIFOs.
func NewMounts(root Filesystem, fifo OpenFunc) *Mounts {
	m := &Mounts{
		points: make(map[mountPoint]*Mount),
		types:  make(map[string]MakeFilesystem),
		fifo:   fifo,

		services: make(map[any]any),
		Settings: sysctl.Defaults(),
	}
	m.numbers.SetDevice(m.NewDevice())
	m.root = m.newMount(m.instances.use(root, m), root.Type(), 0)
	m.root.attached = true
	m.list = append(m.list, m.root)
	m.unnamed = &Mount{filesystem: unnamedFilesystem{}}
	m.unnamed.hold()
	return m
}

// SetMemory sets the memory that admits the growth of files in the kernel's heap. It
// is called once, before the first task. Without it all growth is admitted.
func (m *Mounts) SetMemory(memory *mm.Memory) { m.memory = memory }

// Memory returns what SetMemory has set, or nil.
func (m *Mounts) Memory() *mm.Memory { return m.memory }

// OpenFiles returns the number of open file descriptions (/proc/sys/fs/file-nr).
func (m *Mounts) OpenFiles() int64 { return m.openFiles.Load() }

// CheckFileMax returns ENFILE if there are more than file-max open files and the caller
// has no CAP_SYS_ADMIN (Linux: alloc_empty_file).
func (m *Mounts) CheckFileMax(c *cred.Credentials) error {
	if m.OpenFiles() > m.Settings.FileMax.Get() && !c.Has(cred.SysAdmin) {
		return unix.ENFILE
	}
	return nil
}

// Register makes a file system type known to mount(2) and /proc/filesystems.
func (m *Mounts) Register(name string, makeInstance MakeFilesystem) {
	m.tree.Lock()
	defer m.tree.Unlock()
	if _, known := m.types[name]; !known {
		m.order = append(m.order, name)
	}
	m.types[name] = makeInstance
}

// Types returns the names of the registered types.
func (m *Mounts) Types() []string {
	m.tree.RLock()
	defer m.tree.RUnlock()
	return append([]string(nil), m.order...)
}

// NewDevice returns a new device number for a file system that is not on a
// device.
func (m *Mounts) NewDevice() uint64 { return DeviceNumber(0, m.lastMinor.Add(1)) }

// UnnamedNumbers returns the numbers of the inodes that have no name.
func (m *Mounts) UnnamedNumbers() *Numbers { return &m.numbers }

// Service returns an object that exists once per namespace, such as the table
// of abstract socket names. The first call for a key creates the object by
// make. The type of key is private to the package that uses it.
func (m *Mounts) Service(key any, make func() any) any {
	m.servicesMu.Lock()
	defer m.servicesMu.Unlock()
	service, ok := m.services[key]
	if !ok {
		service = make()
		m.services[key] = service
	}
	return service
}

// Root returns the root of the namespace.
func (m *Mounts) Root() Path {
	m.tree.RLock()
	defer m.tree.RUnlock()
	return m.over(Path{m.root, m.root.root})
}

// newMount returns a mount of the whole file system. It is not attached, but in
// use once, and takes over the caller's use of i.
func (m *Mounts) newMount(i *instance, source string, flags uint64) *Mount {
	m.nextID++
	n := &Mount{id: m.nextID, instance: i, filesystem: i.filesystem, source: source, root: i.root}
	n.uses.Store(1)
	n.flags.Store(flags & keptMountFlags)
	return n
}

// over returns the root of the topmost mount at p, or p if it is not a mount
// point.
func (m *Mounts) over(p Path) Path {
	for p.dentry.mounted.Load() > 0 {
		top, ok := m.points[mountPoint{p.mount, p.dentry}]
		if !ok {
			return p
		}
		p = Path{top, top.root}
	}
	return p
}

// up returns the parent directory of p, or p itself if p is root.
func (m *Mounts) up(p, root Path) Path {
	for p != root {
		if p.dentry == p.mount.root {
			if p.mount.parent == nil {
				return p
			}
			p = Path{p.mount.parent, p.mount.point}
			continue
		}
		if p.dentry.parent == nil {
			return p
		}
		return m.over(Path{p.mount, p.dentry.parent})
	}
	return p
}

// mayMountOn checks that n mounts may be attached at p. Errors: ENOENT if the
// name of p was removed, EINVAL if p is not in the namespace, ENOSPC for too many
// mounts, ENOMEM. m.tree is held.
func (m *Mounts) mayMountOn(p Path, n int) error {
	switch {
	case p.dentry.deleted:
		return unix.ENOENT
	case !p.mount.attached:
		return unix.EINVAL
	case int64(len(m.list)+n) > m.Settings.MountMax.Get():
		return unix.ENOSPC
	}
	return m.memory.Admit(int64(n) * mountBytes)
}

// mountBytes is about what a mount needs of the kernel's heap.
const mountBytes = 512

// attach mounts n at p. m.tree is held for writing.
func (m *Mounts) attach(n *Mount, p Path) {
	n.attached = true
	m.list = append(m.list, n)
	m.connect(n, p)
}

// connect makes p the mount point of n. m.tree is held for writing.
func (m *Mounts) connect(n *Mount, p Path) {
	n.parent, n.point = p.mount, p.dentry
	p.hold()
	p.dentry.mounted.Add(1)
	p.mount.children = append(p.mount.children, n)
	m.points[mountPoint{p.mount, p.dentry}] = n
}

// disconnect undoes connect. It returns the mount that n was on, which the caller
// releases when the namespace is not locked.
func (m *Mounts) disconnect(n *Mount) (parent *Mount) {
	parent = n.parent
	delete(m.points, mountPoint{parent, n.point})
	n.point.mounted.Add(-1)
	parent.children = slices.DeleteFunc(parent.children, func(other *Mount) bool { return other == n })
	n.parent, n.point = nil, nil
	return parent
}

// detach removes n, and all mounts on it, from the namespace. It returns the
// mounts that the caller releases when the namespace is not locked. m.tree is held
// for writing.
func (m *Mounts) detach(n *Mount) (unused []*Mount) {
	tree := []*Mount{n}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, tree[i].children...)
	}
	for _, above := range tree[1:] { // like disconnect, but the parent forgets all at once
		delete(m.points, mountPoint{above.parent, above.point})
		above.point.mounted.Add(-1)
		unused = append(unused, above.parent)
		above.parent, above.point = nil, nil
	}
	for _, each := range tree {
		each.attached, each.children = false, nil
	}
	m.list = slices.DeleteFunc(m.list, func(each *Mount) bool { return !each.attached })
	unused = append(unused, tree...)
	return append(unused, m.disconnect(n))
}

// MountInfo is one line of /proc/pid/mountinfo.
type MountInfo struct {
	ID, ParentID int
	Device       uint64
	Root, Point  string
	Flags        MountFlags
	Type, Source string
}

// Options returns the mount options in the format of /proc/mounts.
func (i *MountInfo) Options() string {
	options := []string{"rw"}
	if i.Flags&unix.MS_RDONLY != 0 {
		options[0] = "ro"
	}
	for _, o := range []struct {
		flag MountFlags
		name string
	}{{unix.MS_NOSUID, "nosuid"}, {unix.MS_NODEV, "nodev"}, {unix.MS_NOEXEC, "noexec"}, {unix.MS_NOATIME, "noatime"}} {
		if i.Flags&o.flag != 0 {
			options = append(options, o.name)
		}
	}
	if i.Flags&unix.MS_NOATIME == 0 {
		options = append(options, "relatime")
	}
	return strings.Join(options, ",")
}

// List returns the mounts that can be reached from root, in mount order.
func (m *Mounts) List(root Path) []MountInfo {
	m.tree.RLock()
	defer m.tree.RUnlock()
	var infos []MountInfo
	for _, n := range m.list {
		point, reachable := m.name(root, Path{n, n.root})
		if !reachable {
			continue
		}
		attributes := n.root.inode.Attributes()
		info := MountInfo{
			ID: n.id, Device: attributes.Device, Flags: n.Flags(), Point: point,
			Root: treeName(n.root), Type: n.filesystem.Type(), Source: n.source,
		}
		if n.parent != nil {
			info.ParentID = n.parent.id
		}
		infos = append(infos, info)
	}
	return infos
}

// ID returns the number of the mount in /proc/pid/mountinfo and statx(2).
func (m *Mount) ID() int { return m.id }

// IsMountRoot reports whether p is the root of a mount.
func (p Path) IsMountRoot() bool { return p.dentry == p.mount.root }
