package syscall

import (
	"testing"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/fs/fstest"
	"slowpath/task"
	"slowpath/task/tasktest"
)

// asTask starts a process with an empty descriptor table, runs body in place of
// its user mode, and waits until the process has ended.
func asTask(t *testing.T, w *fstest.World, body func(t *task.Task)) {
	t.Helper()
	done := make(chan struct{})
	kernel := task.New(task.Config{
		Run: func(t *task.Task) {
			defer close(done)
			body(t)
			t.ExitGroup(task.ExitStatus(0))
		},
		Kick:   func(*task.Task) {},
		Log:    t.Logf,
		Memory: w.Memory,
		Wall:   new(clock.Wall),
	})
	group := tasktest.Spawn(w, kernel)
	<-done
	group.AwaitEnd()
}

// invoke calls a handler with arguments.
func invoke(t *task.Task, h Handler, arguments ...uint64) (uint64, error) {
	var a amd64.Args
	copy(a[:], arguments)
	result, err := h(t, &a)
	task.WorkHandlers().BeforeUser(t) // task work, as before every return to user mode
	return result, err
}
