package amd64

// A frame's affinity is the set of CPUs that may run it, one bit each; 0 is
// all but those of nohz_full=. A frame with an affinity is pinned. Package goos schedules a pinned
// runtime thread on those CPUs only. A task's frame is pinned to the CPU that package
// sched has chosen for the task. TakeCPU connects the two: it takes a CPU for a task only
// under a runtime thread with the same affinity. So a task pays one compare, where it
// changes its CPU.

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
	if set == 0 {
		return !IsNoHZ(cpu)
	}
	return set>>uint(cpu)&1 != 0
}

// Pin sets the affinity of a runtime thread. Package goos calls it, and then
// moves the thread.
//
//go:nosplit
func (f *Frame) Pin(set uint64) { f.affinity.Store(set) }

// Place pins a task's frame to a CPU. If another CPU holds f's state, f does not enter user
// mode there before TakeCPU has compared the affinities, whichever runtime thread runs the
// task. The task must not be running. It does not sleep.
func (f *Frame) Place(cpu int) {
	f.affinity.Store(1 << uint(cpu))
	if f.StateCPU() != cpu {
		ForgetUser(f)
	}
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
