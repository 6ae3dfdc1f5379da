package task

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/sched"
)

// schedulingSubsystem is priorities and CPU affinity (sched(7)), which
// execve(2) keeps.
var schedulingSubsystem = Subsystem{
	Name: "scheduling",
	Fork: func(parent, child *Task, _ *CloneArgs) error {
		s := &parent.Scheduling
		child.Scheduling.IOPriority.Store(s.IOPriority.Load())
		if !parent.kernel.Scheduler().Inherit(child.Entity(), parent.Entity(), s.Reset.Load()) {
			return unix.EAGAIN
		}
		child.Accounting.CPU.SetNice(child.Attributes().Nice)
		return nil
	},
	Exit: func(t *Task) {
		if e := t.Entity(); !e.Started() {
			t.kernel.Scheduler().Retire(e)
		}
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

// Renice sets the nice value, which the caller has checked. Any goroutine may call it; it does
// not sleep.
func (t *Task) Renice(nice int32) {
	t.kernel.Scheduler().Renice(t.Entity(), nice)
	t.Accounting.CPU.SetNice(nice)
}

// Yield lets other tasks run (sched_yield(2)). Only the task's own goroutine calls it,
// without locks.
func (t *Task) Yield() { t.kernel.Scheduler().Yield(t.Entity()) }

// CondResched lets a more urgent task run, if there is one, in the middle of a long system call
// (Linux: cond_resched). Only the task's own goroutine calls it, and it must hold no lock.
func (t *Task) CondResched() { t.kernel.Scheduler().CondResched(t.Entity()) }

// Stops implements mm.Stop: a long operation ends early if the task has a fatal signal. Where the
// operation holds no lock, more urgent tasks run.
func (t *Task) Stops(at mm.Point) bool {
	if at == mm.Unlocked {
		t.CondResched()
	}
	return t.Killed()
}

// misplacedPoll is how often Confine looks whether a thread has left its CPU, in nanoseconds.
const misplacedPoll = 50 * clock.Microsecond

// Confine confines a thread to a set of CPUs, one bit each (sched_setaffinity(2)). When it
// returns, no other CPU runs the thread. Errors: EINVAL if no CPU of the set exists, EBUSY for a
// thread of SCHED_DEADLINE. Only t's own goroutine calls it, without locks. It may sleep.
func (t *Task) Confine(target *Task, set uint64) error {
	all := t.kernel.allCPUs()
	switch set &= all; {
	case set == all:
		set = 0
	case set == 0 && target.Attributes().Policy != sched.Deadline:
		return unix.EINVAL
	case set == 0:
		return unix.EBUSY
	}
	s, e := t.kernel.Scheduler(), target.Entity()
	misplaced, err := s.SetAffinity(e, set)
	switch {
	case err != nil:
		return unix.EBUSY
	case !misplaced:
		return nil
	case t == target:
		s.Reschedule(e)
		return nil
	}
	for e.Misplaced() && !t.Killed() {
		t.Sleeper.Sleep(clock.Monotonic() + misplacedPoll)
	}
	return nil
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
