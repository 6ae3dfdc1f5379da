package task

import "sync/atomic"

// Scheduling is what sched_setscheduler(2), setpriority(2) and
// sched_setaffinity(2) have set. Goroutines are scheduled by the Go runtime,
// which knows no priorities: the values are kept and given back, and package
// sched reads those that it can follow. Anybody may read and write them.
type Scheduling struct {
	Policy   atomic.Int32 // SCHED_
	Priority atomic.Int32 // real-time priority, 0 to 99
	Nice     atomic.Int32 // -20 to 19
	// Reset is SCHED_RESET_ON_FORK.
	Reset atomic.Bool
	// Affinity has a bit for each CPU that the thread may run on; 0 is all.
	Affinity atomic.Uint64
	// IOPriority is that of ioprio_set(2).
	IOPriority atomic.Int32
}

// inherit copies the parent's values to a new thread (sched(7)).
func (s *Scheduling) inherit(parent *Scheduling) {
	s.Affinity.Store(parent.Affinity.Load())
	s.IOPriority.Store(parent.IOPriority.Load())
	if parent.Reset.Load() {
		return
	}
	s.Policy.Store(parent.Policy.Load())
	s.Priority.Store(parent.Priority.Load())
	s.Nice.Store(parent.Nice.Load())
}
