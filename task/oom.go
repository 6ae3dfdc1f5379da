package task

import (
	"math"
	"sync"
	"time"

	"slowpath/clock"
	"slowpath/mm"
	"slowpath/wait"
)

// When no frame is left above the kernel's reserve, the collector first returns
// what the heap does not use. Then the process with the greatest badness is killed
// and its private pages are freed at once, by the task that needs a frame: nobody
// waits for the victim itself, which may want a lock that this task holds.

// oomState is the state of the OOM killer.
type oomState struct {
	mu        sync.Mutex // one victim at a time
	collected int64      // when the heap was last collected, clock.Monotonic
	stalled   int        // calls since one that has found memory or a victim
}

// oomTimeout is how long a task without locks waits for the exit of a victim, in
// nanoseconds. The exit frees what Reap cannot.
const oomTimeout = 2e9

// collectPeriod is the least time between two collections for want of memory, in
// nanoseconds. A collection that has just run would find nothing.
const collectPeriod = 200e6

// OOMKill finds memory for a task: it collects the heap, or kills a process and
// frees its private pages. It reports false if no process is left to kill. It may
// sleep, but does not wait for another task: the caller may hold locks that no
// page fault takes. If it returns true, the caller tries again.
func (k *Kernel) OOMKill() bool {
	k.oom.mu.Lock()
	defer k.oom.mu.Unlock()
	victim, found := k.freeMemory()
	if found && victim == nil {
		return k.awaitDying()
	}
	return found
}

// A caller that holds locks waits in steps of stallStep, at most mostStalls times,
// for the exit of processes that were killed before. They may want its locks, and
// then its access fails.
const (
	stallStep  = time.Millisecond
	mostStalls = 200
)

// awaitDying waits a step and reports whether to try again. k.oom.mu is held.
func (k *Kernel) awaitDying() bool {
	if k.oom.stalled++; k.oom.stalled > mostStalls {
		return false
	}
	time.Sleep(stallStep)
	return true
}

// OOMKillAndWait is OOMKill for a task that holds no locks: it also waits for the
// exit of the victim, unless that is the caller.
func (k *Kernel) OOMKillAndWait(caller *ThreadGroup) bool {
	k.oom.mu.Lock()
	victim, found := k.freeMemory()
	k.oom.mu.Unlock()
	if victim != nil && victim != caller {
		victim.waitForExit(oomTimeout)
		k.Memory().Drain()
	}
	return found
}

// freeMemory collects the heap or kills a process. k.oom.mu is held.
func (k *Kernel) freeMemory() (victim *ThreadGroup, found bool) {
	if k.collectHeap() {
		k.oom.stalled = 0
		return nil, true
	}
	victim, pages, dying := k.oomVictim()
	if victim == nil {
		if !dying {
			k.config.OutOfMemory("Out of memory, and no process is left that may be killed, so the machine ends. Give it more memory with --mem.")
		}
		return nil, dying
	}
	k.Logf("Out of memory: killed process %d (%s), which used %d KiB. Give the machine more memory with --mem.",
		victim.PID(), victim.Leader().Comm(), pages*(mm.PageSize/1024))
	k.oom.stalled = 0
	k.oomKill(victim)
	return victim, true
}

// collectHeap runs the collector and reports whether user pages can be allocated
// again. k.oom.mu is held.
func (k *Kernel) collectHeap() bool {
	if now := clock.Monotonic(); now-k.oom.collected >= collectPeriod {
		k.config.CollectHeap()
		k.oom.collected = clock.Monotonic()
	}
	k.Memory().Drain()
	return k.Memory().Stats().Available > oomRoom
}

// oomRoom is how many frames above the reserve end a shortage. With fewer, the
// next allocations would collect the heap again.
const oomRoom = 64

// oomKill kills the victim, and the processes that share its memory, and frees
// their private pages. If init shares them, they stay.
func (k *Kernel) oomKill(victim *ThreadGroup) {
	var memory *mm.AddressSpace
	victim.withMemory(func(as *mm.AddressSpace) { memory = as })
	victim.oomKilled.Store(true)
	victim.Kill()
	if memory == nil || !k.killSharers(victim, memory) {
		return
	}
	victim.withMemory(func(as *mm.AddressSpace) {
		if as == memory {
			as.Reap()
		}
	})
}

// killSharers kills the other processes that use the victim's memory, and reports
// whether no process is left that needs its contents.
func (k *Kernel) killSharers(victim *ThreadGroup, memory *mm.AddressSpace) bool {
	for _, g := range k.Groups() {
		if g == victim || !g.uses(memory) {
			continue
		}
		if g == k.init {
			return false
		}
		g.oomKilled.Store(true)
		g.Kill()
	}
	return true
}

// withMemory calls f with the address space of the process, if it has one. It holds
// the lock under which a task changes its address space. Unlike addressSpace it never
// drops a last reference, which could take a lock that the caller holds.
func (g *ThreadGroup) withMemory(f func(*mm.AddressSpace)) bool {
	for _, t := range g.Threads() {
		if t.withMemory(f) {
			return true
		}
	}
	return false
}

func (t *Task) withMemory(f func(*mm.AddressSpace)) bool {
	t.resources.Lock()
	defer t.resources.Unlock()
	if t.MM == nil {
		return false
	}
	f(t.MM)
	return true
}

// uses reports whether a thread of the process uses the address space.
func (g *ThreadGroup) uses(memory *mm.AddressSpace) (found bool) {
	for _, t := range g.Threads() {
		t.withMemory(func(as *mm.AddressSpace) { found = found || as == memory })
	}
	return found
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

// ReclaimMemory keeps frames free for the kernel's heap, which cannot wait for them
// (Linux: kswapd). setLimit tells the collector how large the heap may get, in bytes
// from now. It runs in a goroutine of its own and never returns.
func (k *Kernel) ReclaimMemory(setLimit func(room int64)) {
	memory := k.Memory()
	for {
		for memory.Shortage() != mm.Enough {
			if !k.reclaimOnce() {
				time.Sleep(reclaimPause)
			}
		}
		setLimit(memory.HeapRoom() / 2)
		memory.Watch()
		<-memory.Changed()
	}
}

// reclaimPause is how long ReclaimMemory waits if no process is left to kill.
const reclaimPause = 100 * time.Millisecond

// reclaimOnce returns unused memory of the heap or kills one process for it.
func (k *Kernel) reclaimOnce() bool {
	k.oom.mu.Lock()
	k.config.CollectHeap()
	k.oom.collected = clock.Monotonic()
	k.oom.mu.Unlock()
	k.Memory().Drain()
	return k.Memory().Shortage() == mm.Enough || k.OOMKillAndWait(nil)
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

// neverKilled is the oom_score_adj that exempts a process (OOM_SCORE_ADJ_MIN).
const neverKilled = -1000

// badness returns the memory of a process in pages, adjusted by oom_score_adj, and
// the number of pages that its exit would free (mm/oom_kill.c, oom_badness). Unlike
// Linux it counts the kernel memory that the process holds, because that is freed
// too.
func (g *ThreadGroup) badness() (badness, used int64) {
	var usage mm.Usage
	if !g.withMemory(func(as *mm.AddressSpace) { usage = as.Usage() }) {
		return math.MinInt64, 0
	}
	adjust := int64(g.OOMAdjust.Load())
	used = usage.Resident() + usage.PageTables + g.HeldMemory()/mm.PageSize
	if adjust == neverKilled {
		return math.MinInt64, used
	}
	return used + adjust*int64(g.kernel.Memory().Stats().Total)/1000, used
}

// taskBytes is about what a task needs of the kernel's heap: its structure, its
// registers and its stack.
const taskBytes = 24 << 10

// HeldMemory returns about how many bytes of the kernel's heap the process holds:
// its tasks, areas, descriptors and open files, and its queued signals. Memory that
// several processes hold is divided among them. Any goroutine may call it, with
// locks of files held.
func (g *ThreadGroup) HeldMemory() int64 {
	threads := g.Threads()
	held := int64(len(threads)) * taskBytes
	shared := true
	for _, t := range threads {
		t.resources.Lock()
		if shared && t.MM != nil && t.FDs != nil {
			held += t.MM.HeldMemory() + t.FDs.HeldMemory()
			shared = false
		}
		t.resources.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range threads {
		held += t.pending.Bytes()
	}
	return held + g.shared.Bytes()
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

// oomVictim returns the process with the greatest badness that may be killed: not
// init, no exempt process, and none that was killed before. dying reports whether one
// of those has not exited yet.
func (k *Kernel) oomVictim() (victim *ThreadGroup, pages int64, dying bool) {
	best := int64(math.MinInt64)
	for _, g := range k.Groups() {
		if g.oomKilled.Load() {
			_, ended := g.Exited()
			dying = dying || !ended
			continue
		}
		if badness, used := g.badness(); g != k.init && badness > best {
			best, victim, pages = badness, g, used
		}
	}
	return victim, pages, dying
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
