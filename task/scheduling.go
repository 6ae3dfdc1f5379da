package task

import (
	"sync/atomic"

	"slowpath/clock"
	"slowpath/entry"
	"slowpath/sched"
)

// schedulingSubsystem is priorities and CPU affinity (sched(7)), which
// execve(2) keeps.
var schedulingSubsystem = Subsystem{
	Name: "scheduling",
	Fork: func(parent, child *Task, _ *CloneArgs) error {
		s := &parent.Scheduling
		child.Scheduling.IOPriority.Store(s.IOPriority.Load())
		parent.kernel.Scheduler().Inherit(child.Entity(), parent.Entity(), s.Reset.Load())
		child.Accounting.CPU.SetNice(child.Attributes().Nice)
		return nil
	},
}

// Scheduling is what the scheduler knows of a task, and the values of sched_setscheduler(2)
// and ioprio_set(2) that it does not need. Any goroutine may read and write the values.
type Scheduling struct {
	entity sched.Entity
	// Reset is SCHED_RESET_ON_FORK.
	Reset atomic.Bool
	// IOPriority is that of ioprio_set(2). There is no disk, so it has no effect.
	IOPriority atomic.Int32
}

// Entity returns what the scheduler runs.
func (t *Task) Entity() *sched.Entity { return &t.Scheduling.entity }

// Place implements sched.Runner.
func (t *Task) Place(cpu int) { t.Frame.Place(cpu) }

// Preempt implements sched.Runner.
func (t *Task) Preempt() {
	entry.Raise(&t.Frame.ThreadFlags, entry.NeedResched)
	t.kernel.kick(t)
}

// Attributes returns policy, priority and nice value. Any goroutine may call it; it does not
// sleep.
func (t *Task) Attributes() sched.Attributes { return t.Entity().Current() }

// SetAttributes sets policy, priority and nice value, which the caller has checked. Any
// goroutine may call it; it does not sleep.
func (t *Task) SetAttributes(a sched.Attributes) {
	t.kernel.Scheduler().SetAttributes(t.Entity(), a)
	t.Accounting.CPU.SetNice(a.Nice)
}

// Yield lets other tasks run (sched_yield(2)). Only the task's own goroutine calls it,
// without locks.
func (t *Task) Yield() { t.kernel.Scheduler().Yield(t.Entity()) }

// misplacedPoll is how often Confine looks whether a thread has left its CPU, in nanoseconds.
const misplacedPoll = 50 * clock.Microsecond

// Confine confines a thread to a set of CPUs, one bit each (sched_setaffinity(2)). When it
// returns, no other CPU runs the thread. It reports false, and changes nothing, if no CPU of
// the set exists. Only t's own goroutine calls it, without locks. It may sleep.
func (t *Task) Confine(target *Task, set uint64) bool {
	all := t.kernel.allCPUs()
	switch set &= all; set {
	case 0:
		return false
	case all:
		set = 0
	}
	s, e := t.kernel.Scheduler(), target.Entity()
	if !s.SetAffinity(e, set) {
		return true
	}
	if t == target {
		s.Reschedule(e)
		return true
	}
	for e.Misplaced() && !t.Killed() {
		t.Sleeper.Sleep(clock.Monotonic() + misplacedPoll)
	}
	return true
}

// Affinity returns the CPUs that the thread may run on, one bit each. Any
// goroutine may call it.
func (t *Task) Affinity() uint64 {
	if set := t.kernel.Scheduler().Affinity(t.Entity()); set != 0 {
		return set
	}
	return t.kernel.allCPUs()
}

// allCPUs returns the set of all CPUs.
func (k *Kernel) allCPUs() uint64 { return 1<<k.config.CPUs - 1 }
