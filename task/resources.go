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

// CPUTime returns the time that all processes have used, in nanoseconds: those
// that run, and those that somebody has waited for.
func (k *Kernel) CPUTime() (user, system int64) {
	for _, g := range k.Groups() {
		used := g.Usage()
		used.Add(g.ChildrenUsage())
		user += used.User
		system += used.System
	}
	return user, system
}
