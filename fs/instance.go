package fs

import "sync"

// instance is a file system in use. It exists as long as one of its mounts is in
// use: attached to the namespace, or detached and still the place of an open file,
// a working directory or a root directory (umount(2), MNT_DETACH).
type instance struct {
	filesystem Filesystem
	root       *Dentry
	owner      *instances
	mounts     int // that are in use; guarded by owner.mu
}

// instances are the file systems in use. The zero value has none.
type instances struct {
	mu  sync.Mutex
	all map[Filesystem]*instance
}

// use returns the instance of f with one more mount. The first use gives the file
// system a device number from m.
func (s *instances) use(f Filesystem, m *Mounts) *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[Filesystem]*instance)
	}
	i, there := s.all[f]
	if !there {
		i = &instance{filesystem: f, root: &Dentry{inode: f.Root()}, owner: s}
		i.root.inode.Base().numbers.SetDevice(m.NewDevice())
		s.all[f] = i
	}
	i.mounts++
	return i
}

// useAgain adds a mount to an instance that has a mount in use.
func (i *instance) useAgain() *instance {
	i.owner.mu.Lock()
	defer i.owner.mu.Unlock()
	i.mounts++
	return i
}

// release removes a mount that is no longer in use. After the last one it calls
// Unmounted of the file system, if it has that method. It may sleep.
func (i *instance) release() {
	if !i.owner.forget(i) {
		return
	}
	if u, ok := i.filesystem.(interface{ Unmounted() }); ok {
		u.Unmounted()
	}
}

// forget removes a mount from i, and i after its last mount. It reports whether
// that was the last one.
func (s *instances) forget(i *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.mounts--; i.mounts != 0 {
		return false
	}
	delete(s.all, i.filesystem)
	return true
}
