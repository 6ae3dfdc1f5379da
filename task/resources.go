package task

import "slowpath/fs"

// Resources returns the descriptor table and the directories of the task, nil
// after its exit. Anybody may call it; both may be given up at any time, and
// then answer like empty ones.
func (t *Task) Resources() (*fs.FDTable, *fs.Context) {
	t.resources.Lock()
	defer t.resources.Unlock()
	return t.FDs, t.FS
}

// ExitSignal returns what the parent is sent at the task's exit, 0 for none.
func (t *Task) ExitSignal() int {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	return int(t.exitSignal)
}
