package task

import (
	"math"

	"slowpath/clock"
	"slowpath/mm"
	"slowpath/wait"
)

// oomTimeout is how long OOMKill waits for the exit of a victim, in nanoseconds.
const oomTimeout = 2e9

// OOMKill kills the process with the greatest badness, and waits up to oomTimeout
// for its exit. It does not wait for the caller's own process, which exits when the
// caller returns. It reports false if there is no process to kill. It may sleep.
func (k *Kernel) OOMKill(caller *ThreadGroup) bool {
	k.oom.Lock()
	defer k.oom.Unlock()
	victim, pages := k.oomVictim()
	if victim == nil {
		return false
	}
	k.Logf("Out of memory: killed process %d (%s), which used %d KiB. Give the machine more memory with --mem.",
		victim.PID(), victim.Leader().Comm(), pages*(mm.PageSize/1024))
	victim.Kill()
	if victim != caller {
		victim.waitForExit(oomTimeout)
		k.Memory().Drain() // the kernel's heap gets its reserve first
	}
	return true
}

// oomSubsystem is oom_score_adj, which belongs to the process.
var oomSubsystem = Subsystem{
	Name: "oom_score_adj",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		if !a.thread() {
			child.group.OOMAdjust.Store(parent.group.OOMAdjust.Load())
			child.group.oomAdjustMin.Store(parent.group.oomAdjustMin.Load())
		}
		return nil
	},
}

// neverKilled is the oom_score_adj that exempts a process (OOM_SCORE_ADJ_MIN).
const neverKilled = -1000

// badness returns the memory of a process in pages, adjusted by oom_score_adj, and
// the number of pages that its exit would free (mm/oom_kill.c, oom_badness).
func (g *ThreadGroup) badness() (badness, used int64) {
	as := g.addressSpace()
	if as == nil {
		return math.MinInt64, 0
	}
	defer as.DecRef()
	usage, adjust := as.Usage(), int64(g.OOMAdjust.Load())
	used = usage.Resident() + usage.PageTables
	if adjust == neverKilled {
		return math.MinInt64, used
	}
	return used + adjust*int64(as.Memory().Stats().Total)/1000, used
}

// OOMScore returns the badness on the scale of /proc/pid/oom_score: 0 for an exempt
// process, 667 for one without memory, and at most 2000.
func (g *ThreadGroup) OOMScore() int {
	badness, _ := g.badness()
	if badness == math.MinInt64 {
		return 0
	}
	total := int64(g.kernel.Memory().Stats().Total)
	return int(max(0, (1000+badness*1000/total)*2/3))
}

// oomVictim returns the process with the greatest badness. init is chosen only if
// there is no other.
func (k *Kernel) oomVictim() (victim *ThreadGroup, pages int64) {
	best := int64(0)
	for _, g := range k.Groups() {
		if badness, used := g.badness(); g != k.init && badness > best && used > 0 {
			best, victim, pages = badness, g, used
		}
	}
	if victim == nil && k.init != nil {
		return k.init, 0
	}
	return victim, pages
}

// waitForExit sleeps until the process has exited, or until the timeout in
// nanoseconds.
func (g *ThreadGroup) waitForExit(timeout int64) {
	var sleeper wait.Sleeper
	w := sleeper.Waiter(waitReadable)
	g.done.Add(w)
	defer g.done.Remove(w)
	for deadline := clock.Monotonic() + timeout; ; {
		if _, ended := g.Exited(); ended || sleeper.Sleep(deadline) {
			return
		}
	}
}

// addressSpace returns the memory of the process with a reference, or nil if all
// threads have released it.
func (g *ThreadGroup) addressSpace() *mm.AddressSpace {
	for _, t := range g.Threads() {
		if as := t.AddressSpace(); as != nil {
			return as
		}
	}
	return nil
}

// Groups returns every process, including zombies, in no order. Any goroutine may
// call it.
func (k *Kernel) Groups() []*ThreadGroup {
	k.mu.RLock()
	defer k.mu.RUnlock()
	groups := make([]*ThreadGroup, 0, len(k.pids.byNumber))
	for _, id := range k.pids.byNumber {
		if id.group != nil {
			groups = append(groups, id.group)
		}
	}
	return groups
}
