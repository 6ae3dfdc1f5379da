package task

import "sync/atomic"

// schedulingSubsystem is priorities and CPU affinity (sched(7)), which
// execve(2) keeps.
var schedulingSubsystem = Subsystem{
	Name: "scheduling",
	Fork: func(parent, child *Task, _ *CloneArgs) error {
		child.Scheduling.inherit(&parent.Scheduling)
		child.Frame.SetAffinity(parent.Frame.Affinity())
		return nil
	},
}

// Scheduling holds the values of sched_setscheduler(2), setpriority(2) and
// ioprio_set(2). The Go runtime schedules goroutines without priorities, so the
// values are only stored; futexes wake waiters in the order of Priority. Any
// goroutine may read and write them.
type Scheduling struct {
	Policy   atomic.Int32 // SCHED_
	Priority atomic.Int32 // real-time priority, 0 to 99
	Nice     atomic.Int32 // -20 to 19
	// Reset is SCHED_RESET_ON_FORK.
	Reset atomic.Bool
	// IOPriority is that of ioprio_set(2).
	IOPriority atomic.Int32
}

// inherit copies the parent's values to a new thread (sched(7)).
func (s *Scheduling) inherit(parent *Scheduling) {
	s.IOPriority.Store(parent.IOPriority.Load())
	if parent.Reset.Load() {
		return
	}
	s.Policy.Store(parent.Policy.Load())
	s.Priority.Store(parent.Priority.Load())
	s.Nice.Store(parent.Nice.Load())
}

// SetAffinity restricts the thread to a set of CPUs, one bit each
// (sched_setaffinity(2)). When it returns, no other CPU runs the thread in user
// mode. It reports false, and changes nothing, if no CPU of the set exists. Any
// goroutine may call it; it does not sleep.
func (t *Task) SetAffinity(set uint64) bool {
	all := t.kernel.allCPUs()
	switch set &= all; set {
	case 0:
		return false
	case all:
		set = 0
	}
	t.Frame.SetAffinity(set)
	return true
}

// Affinity returns the CPUs that the thread may run on, one bit each. Any
// goroutine may call it.
func (t *Task) Affinity() uint64 {
	if set := t.Frame.Affinity(); set != 0 {
		return set
	}
	return t.kernel.allCPUs()
}

// allCPUs returns the set of all CPUs.
func (k *Kernel) allCPUs() uint64 { return 1<<k.config.CPUs - 1 }
