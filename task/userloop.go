package task

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
)

// The methods that entry.Task wants. The user loop calls them.

// TakeCPU implements entry.Task. A task that only some CPUs may run binds the
// runtime thread under it to them. Another program may have run on the CPU, or
// the task came from another CPU: either ends a restartable sequence.
func (t *Task) TakeCPU() {
	for !amd64.TakeCPU(t.Frame) {
		t.kernel.Scheduler().Threads.Pin(t.Frame.Affinity())
	}
	t.RaiseRSeq()
}

// AfterInterrupt implements entry.Task.
func (t *Task) AfterInterrupt() {
	t.ChargeTicks()
	if t.Frame.TakeResched() {
		entry.Raise(&t.Frame.ThreadFlags, entry.NeedResched)
	}
}

// Stuck implements entry.Task: the duties are reported by name, and the process
// is killed.
func (t *Task) Stuck(duties entry.Flag) {
	t.kernel.Logf("The duties %v of %s are raised again however often they are served, so it is killed.", duties, t)
	t.ExitGroup(SignalStatus(unix.SIGKILL))
}
