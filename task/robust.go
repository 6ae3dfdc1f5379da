package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// Parts of a futex word that the robust-list protocol fixes
// (include/uapi/linux/futex.h, Documentation/locking/robust-futexes.rst).
const (
	futexWaiters   = 0x80000000
	futexOwnerDied = 0x40000000
	futexTIDMask   = 0x3fffffff

	// robustListLimit stops a list that is a circle.
	robustListLimit = 2048
)

// robustListSubsystem is the list of the robust futexes that a thread holds.
var robustListSubsystem = Subsystem{Name: "robust list", LeaveMemory: (*Task).leaveRobustList}

// SetRobustList is set_robust_list(2) after the check of the size.
func (t *Task) SetRobustList(head uint64) { t.robustList.Store(head) }

// RobustList returns the list's head. Anybody may call it.
func (t *Task) RobustList() uint64 { return t.robustList.Load() }

// leaveRobustList marks the locks that the dying thread holds, and wakes a
// waiter of each. The list is the user's: whatever is wrong with it ends the
// walk.
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
		// Read the link before the lock is released: another thread may then
		// reuse this entry.
		entry := next
		link, err := abi.CopyIn[uint64](t, entry&^1)
		if entry != pending && t.markOwnerDied(entry, offset, false) != nil {
			return
		}
		if err != nil {
			return
		}
		next = link
	}
	if pending != 0 {
		t.markOwnerDied(pending, offset, true)
	}
}

// markOwnerDied tells the waiters of one lock that its owner is dead. The low
// bit of the entry marks a lock with priority inheritance, which has no
// waiters here.
func (t *Task) markOwnerDied(entry, offset uint64, pending bool) error {
	address, inherits := entry&^1+offset, entry&1 != 0
	if address&3 != 0 {
		return unix.EINVAL
	}
	was, err := t.LoadUint32(address)
	for {
		if err != nil {
			return err
		}
		owner := was & futexTIDMask
		if pending && !inherits && owner == 0 {
			// It died between unlocking and waking.
			t.wakeOneShared(address)
			return nil
		}
		if owner != uint32(t.TID()) {
			return nil
		}
		var now uint32
		now, err = t.MM.CompareAndSwapUint32(address, was, was&futexWaiters|futexOwnerDied)
		if err == nil && now == was {
			break
		}
		was = now
	}
	if was&futexWaiters != 0 && !inherits {
		t.wakeOneShared(address)
	}
	return nil
}
