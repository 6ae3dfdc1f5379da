package task

import (
	"math"
	"sync"
	"time"

	"slowpath/clock"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/wait"
)

// When no frame is left above the kernel's reserve, the collector first returns
// what the heap does not use. Then the process with the greatest badness is killed
// and its private pages are freed at once, by the task that needs a frame: nobody
// waits for the victim itself, which may want a lock that this task holds.

// oomState is the state of the OOM killer.
type oomState struct {
	mu    sync.Mutex // one victim at a time
	since int64      // when processes were first seen dying, or the last kill; 0 if none dies
}

// oomTimeout is how long a task without locks waits for the exit of a victim, in
// nanoseconds. The exit frees what Reap cannot.
const oomTimeout = 2e9

// A task that holds locks waits in steps of stallStep for the exit of a victim, which
// may want these locks: after oomPatience nanoseconds another process is killed. It is a
// time and not a number of steps, because many tasks may wait at once.
const (
	stallStep   = time.Millisecond
	oomPatience = int64(5 * time.Second)
	// oomLongest bounds the wait where processes begin to exit again and again.
	oomLongest = 4 * oomPatience
)

// OOMKill finds memory for a task: it collects the heap, or kills a process and
// frees its private pages. It reports false if no process is left to kill; else the
// caller tries again. It may sleep, but never long for another task: the caller may
// hold locks that no page fault takes.
func (k *Kernel) OOMKill() bool {
	k.oom.mu.Lock()
	defer k.oom.mu.Unlock()
	victim, found := k.freeMemory()
	if victim != nil {
		time.Sleep(stallStep)
	}
	return found
}

// OOMKillAndWait is OOMKill for a task that holds no locks: it also waits for the
// exit of the victim, unless that is the caller.
func (k *Kernel) OOMKillAndWait(caller *ThreadGroup) bool {
	locked := guard.Lock(&k.oom.mu)
	defer locked.Release()
	victim, found := k.freeMemory()
	locked.Release()
	if victim != nil && victim != caller {
		victim.waitForExit(oomTimeout)
		k.Memory().Drain()
	}
	return found
}

// freeMemory collects the heap or kills a process, and returns the victim that is
// dying then. k.oom.mu is held.
func (k *Kernel) freeMemory() (dying *ThreadGroup, found bool) {
	if k.collectHeap() {
		return nil, true
	}
	victim, dying := k.oomVictim()
	switch {
	case dying != nil && k.oom.wait(dying):
		return dying, true
	case dying == nil && k.oom.since != 0:
		k.oom.since = 0
		k.Memory().CollectNow()
		return nil, true // the exits have freed what the processes held of the heap
	}
	if victim.group == nil {
		if dying == nil {
			k.config.OutOfMemory("Out of memory, and no process is left that may be killed, so the machine ends. Give it more memory with --mem.")
		}
		return dying, false
	}
	// Processes that have just exited may have left more garbage than the victim holds, and
	// the collection above may have been skipped.
	if k.Memory().CollectNow(); k.Memory().Stats().Available > oomRoom && k.Memory().Shortage() == mm.Enough {
		return nil, true
	}
	k.Logf("Out of memory: killed process %d (%s), which used %d KiB. Give the machine more memory with --mem.",
		victim.group.PID(), victim.group.Leader().Comm(), victim.pages*(mm.PageSize/1024))
	k.oom.since = clock.Monotonic()
	k.oomKill(victim.group)
	k.oomKillRelatives(&victim)
	return victim.group, true
}

// wait reports whether the caller must wait for processes that are dying, of which dying has
// begun last, instead of killing another. s.mu is held.
func (s *oomState) wait(dying *ThreadGroup) bool {
	now := clock.Monotonic()
	if s.since == 0 {
		s.since = now
	}
	return now-max(s.since, dying.exitTime()) < oomPatience && now-s.since < oomLongest
}

// oomCandidate is a process that the OOM killer may kill.
type oomCandidate struct {
	charge
	group   *ThreadGroup
	crowded bool // it is one of a crowd
}

// Processes that have forked while they held many files share them, and each is charged
// with its part. So where the processes of one user together hold more kernel memory than
// crowd times the badness of the worst process, the exit of one frees little. Then the
// victim is the worst process of that user, and its relatives are killed too: the processes
// of its user that are charged with nearly as much, at least closeBadness of it.
const (
	crowd        = 2
	closeBadness = 1.0 / 2
)

// oomKillRelatives kills the relatives of a victim of a crowd that holds more kernel memory
// than pages. Killing them one at a time would take a collection of the heap each.
func (k *Kernel) oomKillRelatives(victim *oomCandidate) {
	if !victim.crowded || victim.held*2 < victim.pages {
		return
	}
	user, killed := victim.group.Leader().Credentials().UID, 0
	for _, g := range k.Groups() {
		if g == k.init || g.exitTime() != 0 || g.Leader().Credentials().UID != user {
			continue
		}
		if float64(g.charge().badness) >= closeBadness*float64(victim.badness) {
			k.oomKill(g)
			killed++
		}
	}
	if killed > 0 {
		k.Logf("Out of memory: killed %d more processes of its user, which hold nearly as much kernel memory each.", killed)
	}
}

// collectHeap runs the collector and reports whether user pages can be allocated
// again. k.oom.mu is held.
func (k *Kernel) collectHeap() bool {
	k.Memory().Collect()
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
func (g *ThreadGroup) addressSpace() (found *mm.AddressSpace) {
	g.withMemory(func(as *mm.AddressSpace) {
		if as.TryIncRef() {
			found = as
		}
	})
	return found
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
		time.Sleep(reclaimStep)
		<-memory.Changed()
	}
}

// reclaimStep is the least time between two looks of ReclaimMemory: setLimit stops the
// world.
const reclaimStep = 10 * time.Millisecond

// reclaimPause is how long ReclaimMemory waits if no process is left to kill.
const reclaimPause = 100 * time.Millisecond

// reclaimOnce returns unused memory of the heap or kills one process for it.
func (k *Kernel) reclaimOnce() bool {
	k.Memory().CollectNow()
	return k.Memory().Shortage() == mm.Enough || k.OOMKillAndWait(nil)
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

// charge is what a process is charged with, in pages.
type charge struct {
	badness int64 // pages adjusted by oom_score_adj, math.MinInt64 for an exempt process
	pages   int64 // that its exit would free
	held    int64 // kernel memory, part of pages
}

// charge returns what the process is charged with (mm/oom_kill.c, oom_badness). Unlike
// Linux it counts the kernel memory that the process holds, because that is freed too.
func (g *ThreadGroup) charge() charge {
	var usage mm.Usage
	if !g.withMemory(func(as *mm.AddressSpace) { usage = as.Usage() }) {
		return charge{badness: math.MinInt64}
	}
	c := charge{held: g.HeldMemory() / mm.PageSize}
	c.pages = usage.Resident() + usage.PageTables + c.held
	c.badness = math.MinInt64
	if adjust := int64(g.OOMAdjust.Load()); adjust != neverKilled {
		c.badness = c.pages + adjust*int64(g.kernel.Memory().Stats().Total)/1000
	}
	return c
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
		for _, part := range g.kernel.subsystems.held {
			held += part(t)
		}
		guard.With(&t.resources, func() {
			if shared && t.MM != nil && t.FDs != nil {
				held += t.MM.HeldMemory() + t.FDs.HeldMemory()
				shared = false
			}
		})
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
	badness := g.charge().badness
	if badness == math.MinInt64 {
		return 0
	}
	total := int64(g.kernel.Memory().Stats().Total)
	return int(max(0, (1000+badness*1000/total)*2/3))
}

// oomVictim returns the process with the greatest badness that may be killed: not
// init, no exempt process, and none that was killed before. dying is one that was killed
// or exits, for whatever reason, and has not released all that it holds. A process without
// memory and descriptors of its own may still be closing files, so badness does not know
// how much its exit frees (Linux: task_will_free_mem).
func (k *Kernel) oomVictim() (victim oomCandidate, dying *ThreadGroup) {
	victim.badness = math.MinInt64
	var latest int64 // when the exit of dying has begun
	users := map[uint32]*oomUser{}
	for _, g := range k.Groups() {
		if began := g.exitTime(); began != 0 {
			if _, ended := g.Exited(); !ended && (dying == nil || began > latest) {
				dying, latest = g, began
			}
			continue
		}
		c := g.charge()
		if g == k.init || c.badness == math.MinInt64 {
			continue
		}
		one := oomCandidate{group: g, charge: c}
		uid := g.Leader().Credentials().UID
		users[uid] = users[uid].with(one)
		if c.badness > victim.badness {
			victim = one
		}
	}
	most := crowd * victim.badness
	for _, u := range users {
		if u.held > most {
			most, victim = u.held, u.worst
			victim.crowded = true
		}
	}
	return victim, dying
}

// oomUser is what the processes of a user are charged with.
type oomUser struct {
	held  int64 // kernel memory of all, in pages
	worst oomCandidate
}

// with adds a process. u may be nil.
func (u *oomUser) with(one oomCandidate) *oomUser {
	if u == nil {
		u = &oomUser{worst: one}
	}
	u.held += one.held
	if one.badness > u.worst.badness {
		u.worst = one
	}
	return u
}

// exitTime returns when the exit of the process has begun, 0 if it has not.
func (g *ThreadGroup) exitTime() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.exitBegan
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
