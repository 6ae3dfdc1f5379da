package fs

import (
	"sync"

	"golang.org/x/sys/unix"
)

// lockGraph records which owner of record locks waits for which other owner, to
// detect deadlocks (fcntl(2), EDEADLK).
type lockGraph struct {
	mu      sync.Mutex
	waiting map[LockOwner]LockOwner
}

// SetRecord is fcntl(2) with F_SETLK: EAGAIN if another owner holds a
// conflicting lock.
func (f *File) SetRecord(want RecordLock) error {
	if _, blocked := f.Inode().Base().locks.setRecord(want); blocked {
		return unix.EAGAIN
	}
	return nil
}

// AwaitRecord is one attempt of fcntl(2) with F_SETLKW: EAGAIN if another owner
// holds a conflicting lock, EDEADLK if that owner waits for this one. After
// EAGAIN the caller waits on the inode's Locks().Queue and tries again. In the
// end it must call StopWaiting, whatever the result is.
func (f *File) AwaitRecord(want RecordLock) error {
	holder, blocked := f.Inode().Base().locks.setRecord(want)
	if !blocked {
		return nil
	}
	return f.mounts.lockGraph.wait(want.Owner, holder)
}

// StopWaiting removes owner from the waiting owners.
func (f *File) StopWaiting(owner LockOwner) {
	g := &f.mounts.lockGraph
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiting, owner)
}

// wait records that owner waits for holder and returns EAGAIN. It returns
// EDEADLK if holder waits for owner, directly or through other owners.
func (g *lockGraph) wait(owner, holder LockOwner) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	// A cycle without owner cannot exist, because the wait that would have
	// closed it failed with EDEADLK. The bound is for owners that take locks
	// while one of their threads waits.
	next := holder
	for steps := 0; steps <= len(g.waiting); steps++ {
		if next == owner && isProcess(owner) {
			return unix.EDEADLK
		}
		after, waits := g.waiting[next]
		if !waits {
			break
		}
		next = after
	}
	if g.waiting == nil {
		g.waiting = make(map[LockOwner]LockOwner)
	}
	g.waiting[owner] = holder
	return unix.EAGAIN
}

// isProcess reports whether the owner is a process and not an open file
// description. Like Linux, deadlock detection skips the latter.
func isProcess(owner LockOwner) bool {
	_, is := owner.(*FDTable)
	return is
}
