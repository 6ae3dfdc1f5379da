package amd64

// A frame's affinity is the set of CPUs that may run it, a bit each; 0 is all.
// For a runtime thread package goos keeps to it, in the kernel too. For a task
// it is about user mode, and the two meet in TakeCPU: a CPU takes a task's
// state only under a runtime thread that is bound as the task is. So goos
// alone chooses CPUs, and a task that is not confined pays one compare, where
// it changes its CPU.

// Affinity returns the set. Any context.
//
//go:nosplit
func (f *Frame) Affinity() uint64 { return f.affinity.Load() }

// Confined reports whether there are CPUs that may not run f. Any context.
//
//go:nosplit
func (f *Frame) Confined() bool { return f.affinity.Load() != 0 }

// MayRunOn reports whether a CPU may run f. Any context.
//
//go:nosplit
func (f *Frame) MayRunOn(cpu int) bool {
	set := f.affinity.Load()
	return set == 0 || set>>uint(cpu)&1 != 0
}

// Confine sets the affinity of a runtime thread. It is for package goos, which
// then moves the thread.
//
//go:nosplit
func (f *Frame) Confine(set uint64) { f.affinity.Store(set) }

// SetAffinity sets a task's affinity, in which at least one bit must be of a
// CPU that there is. When it returns, f's program runs in user mode on no CPU
// outside the set, and will on none. Any goroutine may call it, with
// interrupts on.
func (f *Frame) SetAffinity(set uint64) {
	f.affinity.Store(set)
	for !f.leavesForbidden() {
		Pause()
	}
}

// leavesForbidden reports whether f is live on no CPU that may not run it, and
// asks for it to be parked if it is. Whoever takes a CPU for f stores f.cpu
// before it looks at the set, and here the set was stored before: one of them
// sees the other.
func (f *Frame) leavesForbidden() bool {
	cpu := f.LiveCPU()
	return cpu < 0 || f.MayRunOn(cpu) || tryRelease(f)
}

// misplaced reports whether c runs a runtime thread that is not bound as f is.
//
//go:nosplit
func misplaced(c *perCPU, f *Frame) bool {
	return frameAt(c.current).affinity.Load() != f.affinity.Load()
}

// LastCPU returns the number of the CPU that holds f's state, or held it last.
// Any context.
//
//go:nosplit
func (f *Frame) LastCPU() int { return int(f.lastCPU.Load()) }
