package task

import (
	"sync/atomic"

	"slowpath/wait"
)

// vforkWait is how the parent of a vfork(2) waits until the child no longer
// uses its memory.
type vforkWait struct {
	released atomic.Bool
	queue    wait.Queue
}

// wait sleeps until the child lets go of the memory; only death ends it
// earlier.
func (v *vforkWait) wait(t *Task) {
	t.BlockKillable(&v.queue, waitReadable, 0, v.released.Load)
}

// vforkDone lets the parent go on: the child's execve(2) has succeeded, or it
// ends.
func (t *Task) vforkDone() {
	if t.vfork == nil {
		return
	}
	t.vfork.released.Store(true)
	t.vfork.queue.Wake(waitReadable)
	t.vfork = nil
}
