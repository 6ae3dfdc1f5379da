package task

import (
	"slowpath/clock"
	"slowpath/mm"
	"slowpath/wait"
)

// oomPatience is how long OOMKill leaves a victim to die before it looks for
// another, in nanoseconds.
const oomPatience = 2e9

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
		victim.waitEnd(oomPatience)
	}
	return true
}

// oomVictim returns the process with the highest badness. init comes
// last, and what has set its score to -1000 is spared.
func (k *Kernel) oomVictim() (victim *ThreadGroup, pages int64) {
	best := int64(0)
	for _, g := range k.Groups() {
		as := g.addressSpace()
		if as == nil {
			continue
		}
		usage, total := as.Usage(), int64(as.Memory().Stats().Total)
		used := usage.Resident() + usage.PageTables
		as.DecRef()
		adjust := int64(g.OOMAdjust.Load())
		score := used + adjust*total/1000
		if g != k.init && adjust != -1000 && score > best && used > 0 {
			best, victim, pages = score, g, used
		}
	}
	if victim == nil && k.init != nil {
		return k.init, 0 // nobody else is left
	}
	return victim, pages
}

// waitEnd waits until the process has ended, but not longer than patience.
func (g *ThreadGroup) waitEnd(patience int64) {
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
