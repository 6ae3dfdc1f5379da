package task

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/wait"
)

// vforkSubsystem is CLONE_VFORK: the parent sleeps until the child no longer
// uses its memory.
var vforkSubsystem = Subsystem{
	Name: "vfork",
	Fork: func(_, child *Task, a *CloneArgs) error {
		if a.Flags&unix.CLONE_VFORK != 0 {
			child.vfork = new(vforkWait)
		}
		return nil
	},
	LeaveMemory: func(t *Task) {
		if t.vfork != nil {
			t.vfork.release()
		}
	},
}

// vforkWait is where the parent of a vfork(2) sleeps.
type vforkWait struct {
	released atomic.Bool
	queue    wait.Queue
}

// awaitVfork sleeps until child no longer uses the memory of t. Only death
// interrupts it. tid is the id of child.
func (t *Task) awaitVfork(child *Task, tid int) {
	v := child.vfork
	if v == nil {
		return
	}
	if t.BlockKillable(&v.queue, waitReadable, 0, v.released.Load) == nil {
		t.kernel.subsystems.vforkDone(t, tid)
	}
}

// release wakes the parent. Later calls do nothing.
func (v *vforkWait) release() {
	if !v.released.Swap(true) {
		v.queue.Wake(waitReadable)
	}
}
