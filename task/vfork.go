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
	Started: func(parent, child *Task, _ *CloneArgs) {
		if child.vfork != nil {
			child.vfork.wait(parent)
		}
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

// wait sleeps until release. Only death interrupts it.
func (v *vforkWait) wait(t *Task) {
	t.BlockKillable(&v.queue, waitReadable, 0, v.released.Load)
}

// release wakes the parent. Later calls do nothing.
func (v *vforkWait) release() {
	if !v.released.Swap(true) {
		v.queue.Wake(waitReadable)
	}
}
