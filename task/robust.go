package task

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
)

// Bits of a futex word in the robust-list protocol (include/uapi/linux/futex.h,
// Documentation/locking/robust-futexes.rst).
const (
	futexWaiters   = 0x80000000
	futexOwnerDied = 0x40000000
	futexTIDMask   = 0x3fffffff

	// robustListLimit is ROBUST_LIST_LIMIT: the walk ends after that many
	// locks, because the list may be circular.
	robustListLimit = 2048
)

// robustListSubsystem is the list of robust futexes that a thread holds
// (get_robust_list(2)).
var robustListSubsystem = Subsystem{Name: "robust list", LeaveMemory: (*Task).leaveRobustList}

// SetRobustList is set_robust_list(2). A thread has a list for each width of pointers. The
// caller has checked the size. Only the task's own goroutine calls it.
func (t *Task) SetRobustList(l abi.Layout, head uint64) { t.robustListOf(l).Store(head) }

// RobustList returns the user address of the list's head, or 0. Any goroutine may
// call it.
func (t *Task) RobustList(l abi.Layout) uint64 { return t.robustListOf(l).Load() }

func (t *Task) robustListOf(l abi.Layout) *atomic.Uint64 {
	if l.Narrow() {
		return &t.robustList32
	}
	return &t.robustList
}

// robustPointers are the functions that read the head and the links of a robust list.
type robustPointers struct {
	head func(t *Task, address uint64) (abi.RobustListHead, error)
	link func(t *Task, address uint64) (uint64, error)
}

var (
	robustPointers64 = robustPointers{
		head: func(t *Task, address uint64) (abi.RobustListHead, error) {
			return abi.CopyIn[abi.RobustListHead](t, address)
		},
		link: func(t *Task, address uint64) (uint64, error) { return abi.CopyIn[uint64](t, address) },
	}
	robustPointers32 = robustPointers{
		head: func(t *Task, address uint64) (abi.RobustListHead, error) {
			n, err := abi.CopyIn[compat.RobustListHead](t, address)
			return abi.RobustListHead{
				List: uint64(n.List), FutexOffset: uint64(int64(n.FutexOffset)), ListOpPending: uint64(n.ListOpPending),
			}, err
		},
		link: func(t *Task, address uint64) (uint64, error) {
			n, err := abi.CopyIn[uint32](t, address)
			return uint64(n), err
		},
	}
)

// robustLock is a lock in a robust list.
type robustLock struct {
	word uint64 // user address of the futex word
	// inherits is set for a lock with priority inheritance. leaveLocks hands it over
	// to its waiters.
	inherits bool
	// pending is set for the lock of list_op_pending: the thread was acquiring
	// or releasing it.
	pending bool
}

// lockOf returns the lock of a list node. The low bit of the node's address marks
// priority inheritance.
func lockOf(node, offset uint64) robustLock {
	return robustLock{word: node&^1 + offset, inherits: node&1 != 0}
}

// leaveRobustList leaves both lists of the exiting thread.
func (t *Task) leaveRobustList() {
	t.leaveList(t.robustList.Swap(0), &robustPointers64)
	t.leaveList(t.robustList32.Swap(0), &robustPointers32)
}

// leaveList marks the locks in a list that the exiting thread holds as ownerless, and wakes
// one waiter of each. The list is user memory. The walk ends at the first error.
func (t *Task) leaveList(head uint64, pointers *robustPointers) {
	if head == 0 {
		return
	}
	list, err := pointers.head(t, head)
	if err != nil {
		return
	}
	next, offset, pending := list.List, list.FutexOffset, list.ListOpPending
	for count := 0; next&^1 != head && count < robustListLimit; count++ {
		// Read the link before the lock is released, because another thread may
		// reuse the node after that.
		node := next
		link, err := pointers.link(t, node&^1)
		if node != pending && t.markOwnerDied(lockOf(node, offset)) != nil {
			return
		}
		if err != nil {
			return
		}
		next = link
	}
	if pending != 0 {
		lock := lockOf(pending, offset)
		lock.pending = true
		t.markOwnerDied(lock)
	}
}

// markOwnerDied sets FUTEX_OWNER_DIED in the lock's word if the task is the
// owner, and wakes one waiter. Errors: EINVAL for a word that is not aligned,
// EFAULT.
func (t *Task) markOwnerDied(lock robustLock) error {
	if lock.word&3 != 0 {
		return unix.EINVAL
	}
	was, err := t.LoadUint32(lock.word)
	for {
		if err != nil {
			return err
		}
		owner := was & futexTIDMask
		if lock.pending && !lock.inherits && owner == 0 {
			// The thread exited after it had unlocked and before it woke a
			// waiter.
			t.wakeOneShared(lock.word)
			return nil
		}
		if owner != uint32(t.TID()) {
			return nil
		}
		var now uint32
		now, err = t.MM.CompareAndSwapUint32(lock.word, was, was&futexWaiters|futexOwnerDied)
		if err == nil && now == was {
			break
		}
		was = now
	}
	if was&futexWaiters != 0 && !lock.inherits {
		t.wakeOneShared(lock.word)
	}
	return nil
}
