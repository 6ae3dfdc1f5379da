package task

import (
	"math"

	"slowpath/clock"
	"slowpath/mm"
	"slowpath/wait"
)

// oomTimeout is how long OOMKill leaves a victim to die before it looks for
// another, in nanoseconds.
const oomTimeout = 2e9

// OOMKill kills the process that uses most memory, with its children's wishes
// (/proc/pid/oom_score_adj) taken into account, and waits a little for it to
// die, unless it is the caller's own process, which dies when the caller goes
// on. It reports false if there is nothing to kill. It may sleep.
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
		k.Memory().Drain() // what the kernel's heap lacks of its reserve comes first
	}
	return true
}

// oomSubsystem is oom_score_adj, which belongs to the process.
var oomSubsystem = Subsystem{
	Name: "oom_score_adj",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		if !a.thread() {
			child.group.OOMAdjust.Store(parent.group.OOMAdjust.Load())
		}
		return nil
	},
}

// neverKilled is the oom_score_adj of a process that is never killed.
const neverKilled = -1000

// badness returns how much a process deserves to be killed, in pages, and how
// many pages its end would free (mm/oom_kill.c, oom_badness).
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

// OOMScore returns the badness as /proc/pid/oom_score has it: 0 for a process
// that will not be chosen, 667 for one that uses nothing, and so on up to 2000.
func (g *ThreadGroup) OOMScore() int {
	badness, _ := g.badness()
	if badness == math.MinInt64 {
		return 0
	}
	total := int64(g.kernel.Memory().Stats().Total)
	return int(max(0, (1000+badness*1000/total)*2/3))
}

// oomVictim returns the process with the highest badness. init comes last.
func (k *Kernel) oomVictim() (victim *ThreadGroup, pages int64) {
	best := int64(0)
	for _, g := range k.Groups() {
		if badness, used := g.badness(); g != k.init && badness > best && used > 0 {
			best, victim, pages = badness, g, used
		}
	}
	if victim == nil && k.init != nil {
		return k.init, 0 // nobody else is left
	}
	return victim, pages
}

// waitForExit waits until the process has ended, but not longer than patience.
func (g *ThreadGroup) waitForExit(patience int64) {
	var sleeper wait.Sleeper
	w := sleeper.Waiter(waitReadable)
	g.done.Add(w)
	defer g.done.Remove(w)
	for deadline := clock.Monotonic() + patience; ; {
		if _, ended := g.Exited(); ended || sleeper.Sleep(deadline) {
			return
		}
	}
}

// addressSpace returns the memory of the first thread that still has it, with
// a reference, or nil.
func (g *ThreadGroup) addressSpace() *mm.AddressSpace {
	for _, t := range g.Threads() {
		if as := t.AddressSpace(); as != nil {
			return as
		}
	}
	return nil
}

// Groups returns every process, zombies included, in no order.
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
