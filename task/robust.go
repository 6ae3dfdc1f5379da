package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
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

// SetRobustList is set_robust_list(2). The caller has checked the size. Only the
// task's own goroutine calls it.
func (t *Task) SetRobustList(head uint64) { t.robustList.Store(head) }

// RobustList returns the user address of the list's head, or 0. Any goroutine may
// call it.
func (t *Task) RobustList() uint64 { return t.robustList.Load() }

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

// leaveRobustList marks the locks that the exiting thread holds as ownerless, and
// wakes one waiter of each. The list is user memory. The walk ends at the first
// error.
func (t *Task) leaveRobustList() {
	head := t.robustList.Swap(0)
	if head == 0 {
		return
	}
	list, err := abi.CopyIn[abi.RobustListHead](t, head)
	if err != nil {
		return
	}
	next, offset, pending := list.List, list.FutexOffset, list.ListOpPending
	for count := 0; next&^1 != head && count < robustListLimit; count++ {
		// Read the link before the lock is released, because another thread may
		// reuse the node after that.
		node := next
		link, err := abi.CopyIn[uint64](t, node&^1)
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
