package uprobe

import (
	"sync"
	"sync/atomic"

	"slowpath/task"
)

// thread is the state of a task. Only the task's own goroutine uses it, except hitting.
type thread struct {
	state threadState
	site  *site  // of the breakpoint
	at    uint64 // the address of the probed instruction
	step  step   // valid while state is stepping

	faults uint64 // task.Faults before the exception that has interrupted the step

	// hitting is the site whose consumers are running, or nil. A goroutine that removes a
	// probe waits until it changes. It is stored before the consumers are loaded.
	hitting    atomic.Pointer[site]
	ended      atomic.Uint64 // counts the ends of hits while a goroutine waits for one
	registered bool          // in threads
}

// threadState is what the duty UPROBE must do for the task.
type threadState uint8

const (
	idle        threadState = iota
	hit                     // a breakpoint was hit
	stepping                // the CPU executes the instruction in a slot
	interrupted             // an exception has interrupted that; the frame is back at the instruction
	calling                 // the user loop executes a SYSCALL instruction
)

// threads are the tasks that have hit a probe.
type threads struct {
	mu      sync.Mutex
	changed *sync.Cond
	set     map[*thread]struct{}
	waiting atomic.Int32 // goroutines in awaitHits
}

// add registers a thread before its first hit.
func (l *threads) add(th *thread) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set == nil {
		l.set = make(map[*thread]struct{})
	}
	l.set[th] = struct{}{}
	th.registered = true
}

// remove undoes add when the task exits.
func (l *threads) remove(th *thread) {
	if !th.registered {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.set, th)
	l.wake()
}

// wake wakes the goroutines in awaitHits. The lock is held.
func (l *threads) wake() {
	if l.changed != nil {
		l.changed.Broadcast()
	}
}

// hitEnded is called when the consumers of a hit have run.
func (l *threads) hitEnded(th *thread) {
	th.hitting.Store(nil)
	if l.waiting.Load() != 0 {
		th.ended.Add(1)
		l.wakeLocked()
	}
}

func (l *threads) wakeLocked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
}

// awaitHits returns when no task runs the consumers of the sites of the probes as they
// were before the call. The probes have no roles any more.
func (l *threads) awaitHits(probes []*Probe) {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = sync.NewCond(&l.mu)
	}
	for th, ended := range l.hits(probes) {
		for th.hitting.Load() != nil && th.ended.Load() == ended {
			l.changed.Wait()
		}
	}
}

// hits returns the threads that run consumers of a site of the probes, with the number of
// their hits that have ended. The lock is held.
func (l *threads) hits(probes []*Probe) map[*thread]uint64 {
	sites := make(map[*site]bool)
	for _, b := range probes {
		for _, s := range b.sites {
			sites[s] = true
		}
	}
	running := make(map[*thread]uint64)
	for th := range l.set {
		ended := th.ended.Load()
		if s := th.hitting.Load(); s != nil && sites[s] {
			running[th] = ended
		}
	}
	return running
}

// subsystem is the row of the tasks' table of subsystems.
func (p *Probes) subsystem() task.Subsystem {
	return task.Subsystem{
		Name: "uprobes",
		Exit: func(t *task.Task) {
			th := p.slot.Of(t)
			th.endStep()
			th.state = idle
			p.threads.hitEnded(th)
			p.threads.remove(th)
		},
	}
}

// Register adds the subsystem of the tasks of k. It must be called before the first
// task is made.
func (p *Probes) Register(k *task.Kernel) {
	p.slot = task.NewSlot[thread](k)
	k.Register(p.subsystem())
}
