package amd64

// A frame's affinity is the set of CPUs that may run it, one bit each; 0 is
// all. A frame with an affinity is pinned. Package goos schedules a pinned
// runtime thread on those CPUs only, in the kernel too. A task's affinity is
// about user mode. TakeCPU connects the two: it takes a CPU for a task only under
// a runtime thread with the same affinity. So goos alone chooses CPUs, and a
// task that is not pinned pays one compare, where it changes its CPU.

// Affinity returns the set. Any context.
//
//go:nosplit
func (f *Frame) Affinity() uint64 { return f.affinity.Load() }

// Pinned reports whether there are CPUs that may not run f. Any context.
//
//go:nosplit
func (f *Frame) Pinned() bool { return f.affinity.Load() != 0 }

// MayRunOn reports whether a CPU may run f. Any context.
//
//go:nosplit
func (f *Frame) MayRunOn(cpu int) bool {
	set := f.affinity.Load()
	return set == 0 || set>>uint(cpu)&1 != 0
}

// Pin sets the affinity of a runtime thread. Package goos calls it, and then
// moves the thread.
//
//go:nosplit
func (f *Frame) Pin(set uint64) { f.affinity.Store(set) }

// SetAffinity sets a task's affinity. At least one bit must be of a CPU that
// exists, or the set 0. When it returns, f's program is not in user mode on a
// CPU outside the set, and will not be. Any goroutine may call it, with
// interrupts on.
func (f *Frame) SetAffinity(set uint64) {
	f.affinity.Store(set)
	for !f.mayStay() {
		Pause()
	}
}

// mayStay reports whether f may run on the CPU that holds its state. If not, it
// has the state saved. TakeCPU stores f.cpu before it reads the set, SetAffinity
// stores the set before it reads f.cpu, so at least one sees the other's store.
func (f *Frame) mayStay() bool {
	cpu := f.StateCPU()
	return cpu < 0 || f.MayRunOn(cpu) || tryRelease(f)
}

// affinityDiffers reports whether CPU c runs a runtime thread whose affinity is
// not f's.
//
//go:nosplit
func affinityDiffers(c *perCPU, f *Frame) bool {
	return frameAt(c.current).affinity.Load() != f.affinity.Load()
}

// LastCPU returns the number of the CPU that holds f's state, or held it last.
// Any context.
//
//go:nosplit
func (f *Frame) LastCPU() int { return int(f.lastCPU.Load()) }
