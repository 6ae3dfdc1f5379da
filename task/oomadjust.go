package task

import "golang.org/x/sys/unix"

// SetOOMAdjust handles a write of oom_score_adj, which is between -1000 and 1000. A
// value below the lowest one that a privileged task has set needs
// CAP_SYS_RESOURCE: EACCES (proc(5); Linux: __set_oom_adj). The value also applies
// to other processes with the same memory. Any goroutine may call it.
func (t *Task) SetOOMAdjust(value int32, p Privilege) error {
	g := t.group
	if value < g.oomAdjustMin.Load() && p != Privileged {
		return unix.EACCES
	}
	g.storeOOMAdjust(value, p)
	memory, _ := t.Image()
	if memory == nil || memory.Refs() == g.ThreadCount() {
		return nil
	}
	for _, other := range g.kernel.Groups() {
		if shared, _ := other.Leader().Image(); other != g && shared == memory {
			other.storeOOMAdjust(value, p)
		}
	}
	return nil
}

func (g *ThreadGroup) storeOOMAdjust(value int32, p Privilege) {
	g.OOMAdjust.Store(value)
	if p == Privileged {
		g.oomAdjustMin.Store(value)
	}
}
