package fs

import (
	"sync"

	"golang.org/x/sys/unix"
)

// lockGraph knows which owner of record locks waits for which, to find
// deadlocks (fcntl(2), EDEADLK).
type lockGraph struct {
	mu      sync.Mutex
	waiting map[LockOwner]LockOwner
}

// SetRecord is fcntl(2) with F_SETLK, or F_SETLKW if willWait: EAGAIN if
// another owner is in the way, EDEADLK if that owner waits for this one. After
// an EAGAIN with willWait the caller waits on the inode's Locks().Queue, tries
// again, and calls StopWaiting when it has done with it, however it ends.
func (f *File) SetRecord(want RecordLock, willWait bool) error {
	inTheWay, blocked := f.Inode().Base().locks.setRecord(want)
	if !blocked {
		return nil
	}
	if !willWait {
		return unix.EAGAIN
	}
	return f.mounts.lockGraph.wait(want.Owner, inTheWay)
}

// StopWaiting forgets that owner waits for a lock.
func (f *File) StopWaiting(owner LockOwner) {
	g := &f.mounts.lockGraph
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiting, owner)
}

func (g *lockGraph) wait(owner, inTheWay LockOwner) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	// The chain cannot run in a circle without owner: whoever would have
	// closed it got EDEADLK. The bound guards against owners that took locks
	// while one of their threads waits.
	next := inTheWay
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
	g.waiting[owner] = inTheWay
	return unix.EAGAIN
}

// isProcess tells owners that are processes from open file descriptions, for
// which Linux looks for no deadlocks.
func isProcess(owner LockOwner) bool {
	_, is := owner.(*FDTable)
	return is
}
