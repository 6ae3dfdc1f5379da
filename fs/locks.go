package fs

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/guard"
	"slowpath/wait"
)

// LockOwner is the owner of advisory locks: an *FDTable for the process-wide
// record locks of fcntl(2), a *File for open file description locks.
type LockOwner any

// LockKind is the kind of an advisory lock.
type LockKind uint8

// The kinds of lock.
const (
	Unlocked LockKind = iota
	SharedLock
	ExclusiveLock
)

// RecordLock is a lock on the bytes from Start to End, both included.
type RecordLock struct {
	Kind       LockKind
	Start, End int64
	Owner      LockOwner
	Process    int32 // for F_GETLK; -1 for open file description locks
}

// EndOfFile is the End of a lock that extends to the end of the file, however
// much the file grows.
const EndOfFile = math.MaxInt64

// RecordBytes is about what a record lock needs of the kernel's heap.
const RecordBytes = 96

// recordCounter is implemented by owners that count their record locks, for
// HeldMemory.
type recordCounter interface{ countRecords(n int) }

func (t *FDTable) countRecords(n int) { t.records.Add(int64(n)) }

func (f *File) countRecords(n int) { f.records.Add(int64(n)) }

func (a *RecordLock) overlaps(b *RecordLock) bool { return a.Start <= b.End && b.Start <= a.End }

func (a *RecordLock) conflicts(b *RecordLock) bool {
	return a.Owner != b.Owner && a.overlaps(b) && (a.Kind == ExclusiveLock || b.Kind == ExclusiveLock)
}

// FileLocks are the advisory locks of one inode: the record locks of fcntl(2)
// and the whole-file locks of flock(2), which are independent of each other.
// The zero value has no locks. No method waits.
type FileLocks struct {
	// Queue is woken when a lock is released.
	Queue wait.Queue

	mu      sync.Mutex
	records []RecordLock       // in no order; the locks of one owner do not overlap
	whole   map[*File]LockKind // flock(2)
}

// TestRecord returns the lock with the lowest start that conflicts with want, and
// whether there is one (F_GETLK).
func (l *FileLocks) TestRecord(want RecordLock) (RecordLock, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocker(&want)
}

func (l *FileLocks) blocker(want *RecordLock) (lowest RecordLock, found bool) {
	for _, r := range l.records {
		if r.conflicts(want) && (!found || r.Start < lowest.Start) {
			lowest, found = r, true
		}
	}
	return lowest, found
}

// setRecord sets a lock or, for Unlocked, removes it. If a lock of another
// owner conflicts, blocked is set and holder is that owner.
func (l *FileLocks) setRecord(want RecordLock) (holder LockOwner, blocked bool) {
	locked := guard.Lock(&l.mu)
	defer locked.Release()
	if want.Kind != Unlocked {
		if b, is := l.blocker(&want); is {
			return b.Owner, true
		}
	}
	before := len(l.records)
	freed := l.carve(&want)
	if want.Kind != Unlocked {
		l.join(want)
	}
	if owner, ok := want.Owner.(recordCounter); ok {
		owner.countRecords(len(l.records) - before)
	}
	locked.Release()
	if freed {
		l.Queue.Wake(wait.All)
	}
	return nil, false
}

// carve removes the range of hole from the locks of its owner. freed reports
// whether a lock changed.
func (l *FileLocks) carve(hole *RecordLock) (freed bool) {
	kept := l.records[:0:0]
	for _, r := range l.records {
		if r.Owner != hole.Owner || !r.overlaps(hole) {
			kept = append(kept, r)
			continue
		}
		freed = true
		if r.Start < hole.Start {
			left := r
			left.End = hole.Start - 1
			kept = append(kept, left)
		}
		if r.End > hole.End {
			right := r
			right.Start = hole.End + 1
			kept = append(kept, right)
		}
	}
	l.records = kept
	return freed
}

// join adds a lock and merges it with adjacent locks of the same owner and
// kind.
func (l *FileLocks) join(n RecordLock) {
	kept := l.records[:0]
	for _, r := range l.records {
		touches := r.Owner == n.Owner && r.Kind == n.Kind &&
			(r.End != EndOfFile && r.End+1 == n.Start || n.End != EndOfFile && n.End+1 == r.Start)
		if !touches {
			kept = append(kept, r)
			continue
		}
		n.Start, n.End = min(n.Start, r.Start), max(n.End, r.End)
	}
	l.records = append(kept, n)
}

// ReleaseRecords removes all record locks of an owner.
func (l *FileLocks) ReleaseRecords(owner LockOwner) {
	l.mu.Lock()
	none := len(l.records) == 0
	l.mu.Unlock()
	if !none {
		l.setRecord(RecordLock{Start: 0, End: EndOfFile, Owner: owner})
	}
}

// SetWhole is flock(2) without waiting. Error: EAGAIN if another open file
// description holds a conflicting lock. A change of kind releases the old lock
// first, as in Linux.
func (l *FileLocks) SetWhole(f *File, kind LockKind) error {
	locked := guard.Lock(&l.mu)
	defer locked.Release()
	old, held := l.whole[f]
	if held && old == kind {
		return nil
	}
	delete(l.whole, f)
	err := l.addWhole(f, kind)
	locked.Release()
	if held {
		l.Queue.Wake(wait.All)
	}
	return err
}

func (l *FileLocks) addWhole(f *File, kind LockKind) error {
	if kind == Unlocked {
		return nil
	}
	for _, other := range l.whole {
		if kind == ExclusiveLock || other == ExclusiveLock {
			return unix.EAGAIN
		}
	}
	if l.whole == nil {
		l.whole = make(map[*File]LockKind)
	}
	l.whole[f] = kind
	return nil
}

// ReleaseFile removes all locks of an open file description.
func (l *FileLocks) ReleaseFile(f *File) {
	l.mu.Lock()
	idle := len(l.records) == 0 && len(l.whole) == 0
	l.mu.Unlock()
	if idle {
		return
	}
	l.SetWhole(f, Unlocked)
	l.ReleaseRecords(f)
}
