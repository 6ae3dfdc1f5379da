package task

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
)

// limitsSubsystem is the resource limits, which belong to the process.
var limitsSubsystem = Subsystem{
	Name: "resource limits",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		if !a.thread() {
			child.group.Limits.SetAll(parent.group.Limits.All())
		}
		return nil
	},
}

// LimitCount is the number of resource limits (RLIM_NLIMITS).
const LimitCount = 16

// Infinity is no limit (RLIM_INFINITY).
const Infinity = ^uint64(0)

// Limit is a soft and a hard limit (getrlimit(2)).
type Limit struct{ Soft, Hard uint64 }

// Limits are the resource limits of a process. They are safe for concurrent
// use.
type Limits struct {
	mu    sync.Mutex
	table [LimitCount]Limit
	soft  [LimitCount]atomic.Uint64 // the soft limits of table, for readers without the lock
}

// The constants of ThreadsMax (Linux, kernel/fork.c: set_max_threads). A thread
// needs 4 frames of kernel stack, and stacks may take an eighth of the memory.
const (
	framesPerThread = 32
	fewestThreads   = 20
	mostThreads     = 1 << 20
)

// ThreadsMax returns the greatest number of tasks (/proc/sys/kernel/threads-max):
// at boot the number of frames / framesPerThread, between fewestThreads and
// mostThreads.
func (k *Kernel) ThreadsMax() int { return int(k.config.Settings.ThreadsMax.Get()) }

// threadsFor computes the value of ThreadsMax at boot.
func threadsFor(memory *mm.Memory) int {
	if memory == nil {
		return mostThreads
	}
	return min(max(memory.Stats().Total/framesPerThread, fewestThreads), mostThreads)
}

// DefaultLimits returns the limits of init for a given ThreadsMax, as on Linux
// (include/asm-generic/resource.h, kernel/fork.c).
func DefaultLimits(threadsMax int) [LimitCount]Limit {
	half := uint64(threadsMax / 2)
	var table [LimitCount]Limit
	for i := range table {
		table[i] = Limit{Infinity, Infinity}
	}
	table[unix.RLIMIT_STACK] = Limit{8 << 20, Infinity}
	table[unix.RLIMIT_CORE] = Limit{0, Infinity}
	table[unix.RLIMIT_NPROC] = Limit{half, half}
	table[unix.RLIMIT_NOFILE] = Limit{1024, fs.MaxDescriptors}
	table[unix.RLIMIT_MEMLOCK] = Limit{8 << 20, 8 << 20}
	table[unix.RLIMIT_SIGPENDING] = Limit{half, half}
	table[unix.RLIMIT_MSGQUEUE] = Limit{819200, 819200}
	table[unix.RLIMIT_NICE] = Limit{0, 0}
	table[unix.RLIMIT_RTPRIO] = Limit{0, 0}
	return table
}

// DescriptorLimit returns the limit of descriptors: RLIMIT_NOFILE, but at most
// nr_open (/proc/sys/fs/nr_open). Only the task's own goroutine calls it.
func (t *Task) DescriptorLimit() uint64 {
	return min(t.group.Limits.Soft(unix.RLIMIT_NOFILE), uint64(t.kernel.config.Settings.NrOpen.Get()))
}

// Get returns the limit with an RLIMIT_ number below LimitCount.
func (l *Limits) Get(resource int) Limit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table[resource]
}

// Soft returns a soft limit.
func (l *Limits) Soft(resource int) uint64 { return l.soft[resource].Load() }

// All returns every limit.
func (l *Limits) All() [LimitCount]Limit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table
}

// SetAll replaces every limit.
func (l *Limits) SetAll(table [LimitCount]Limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.table = table
	for i := range table {
		l.soft[i].Store(table[i].Soft)
	}
}

// Privilege says whether a hard limit may be raised: CAP_SYS_RESOURCE.
type Privilege bool

// The values of Privilege.
const (
	Unprivileged Privilege = false
	Privileged   Privilege = true
)

// postpone adds to a soft limit that was reached, unless it is no longer old. As on Linux, it may
// exceed the hard limit then.
func (l *Limits) postpone(resource int, old Limit, by uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table[resource] == old {
		l.table[resource].Soft += by
		l.soft[resource].Store(old.Soft + by)
	}
}

// Change sets a limit and returns the old one: EINVAL if the soft limit is
// above the hard one, EPERM if the hard one would rise without privilege.
func (l *Limits) Change(resource int, next Limit, p Privilege) (Limit, error) {
	if next.Soft > next.Hard {
		return Limit{}, unix.EINVAL
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.table[resource]
	if next.Hard > old.Hard && p != Privileged {
		return Limit{}, unix.EPERM
	}
	l.table[resource] = next
	l.soft[resource].Store(next.Soft)
	return old, nil
}
