package task

import "golang.org/x/sys/unix"

// clearChildTIDSubsystem is set_tid_address(2) and CLONE_CHILD_CLEARTID: the
// word on which pthread_join(3) waits for the exit of a thread.
var clearChildTIDSubsystem = Subsystem{
	Name: "clear_child_tid",
	Fork: func(_, child *Task, a *CloneArgs) error {
		if a.Flags&unix.CLONE_CHILD_CLEARTID != 0 {
			child.clearChildTID = a.ChildTID
		}
		return nil
	},
	LeaveMemory: (*Task).clearTID,
}

// clearTID stores 0 into the word and wakes its futex, unless this task is the last user of
// the memory. While another thread of the process writes a core file, that thread does it
// at the end (dieOfCoreSignal): debuggers find the threads of the C library in the core file by
// this word (Linux: coredump_task_exit, before mm_release).
func (t *Task) clearTID() {
	if t.group.isDumpedByOther(t) {
		return
	}
	t.clearTIDOf(t)
}

// clearTIDOf is clearTID for a thread of t's process, which may have exited.
func (t *Task) clearTIDOf(thread *Task) {
	address := thread.clearChildTID
	thread.clearChildTID = 0
	if address == 0 || t.MM.Refs() < 2 {
		return
	}
	t.StoreUint32(address, 0)
	t.wakeOneShared(address)
}

// isDumpedByOther reports whether a thread other than t writes a core file of the process.
func (g *ThreadGroup) isDumpedByOther(t *Task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dumper != nil && g.dumper != t
}

// SetChildTID is set_tid_address(2). Only the task itself calls it.
func (t *Task) SetChildTID(address uint64) { t.clearChildTID = address }

// ChildTID is PR_GET_TID_ADDRESS. Only the task itself calls it.
func (t *Task) ChildTID() uint64 { return t.clearChildTID }
