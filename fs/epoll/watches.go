package epoll

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
)

// watchBytes is about what an interest needs of the kernel's heap.
const watchBytes = 512

// linuxWatchBytes is what Linux counts for an interest, and watchShare the part of the
// memory that the interests of one user may take (fs/eventpoll.c, max_user_watches).
const (
	linuxWatchBytes = 200
	watchShare      = 25
)

// watches is the account of a set's interests.
type watches struct {
	mounts *fs.Mounts
	uid    uint32
	count  atomic.Int64
}

// charge counts one interest. Errors: ENOSPC at the user's limit, ENOMEM.
func (w *watches) charge() error {
	memory := w.mounts.Memory()
	if err := memory.Admit(watchBytes); err != nil {
		return err
	}
	held := w.mounts.Accounts().Charge(w.uid, fs.EpollWatches, 1)
	if memory != nil && held > MaxUserWatches(memory) {
		w.mounts.Accounts().Charge(w.uid, fs.EpollWatches, -1)
		return unix.ENOSPC
	}
	w.count.Add(1)
	return nil
}

// release undoes n charges.
func (w *watches) release(n int) {
	w.mounts.Accounts().Charge(w.uid, fs.EpollWatches, int64(-n))
	w.count.Add(int64(-n))
}

// MaxUserWatches is the maximum number of interests of one user (epoll(7),
// /proc/sys/fs/epoll/max_user_watches).
func MaxUserWatches(memory *mm.Memory) int64 {
	return int64(memory.Stats().Total) / watchShare * mm.PageSize / linuxWatchBytes
}

// HeldMemory implements fs.MemoryHolder.
func (s *Set) HeldMemory() int64 { return s.watches.count.Load() * watchBytes }
