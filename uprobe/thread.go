package uprobe

import (
	"slices"
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

	returns []returnInstance // calls whose return addresses were replaced, oldest first

	// hitting is the id of the site whose consumers are running, or 0. A goroutine that removes a
	// probe waits until it changes. It is stored before the consumers are loaded.
	hitting atomic.Uint64
	ended   atomic.Uint64 // counts the ends of hits while a goroutine waits for one
}

// threadState is what the duty UPROBE must do for the task.
type threadState uint8

const (
	idle        threadState = iota
	hit                     // a breakpoint was hit
	stepping                // the CPU executes the instruction in a slot
	interrupted             // an exception has interrupted that; the frame is back at the instruction
	returning               // the trampoline of replaced return addresses was hit
)

// threads are the tasks that have hit a probe.
type threads struct {
	mu      sync.Mutex
	changed *sync.Cond
	set     map[*thread]struct{}
	waiting atomic.Int32 // goroutines in awaitHits
}

// threadOf returns the state of the calling task. Before the task's first hit it makes and
// registers it.
func (p *Probes) threadOf(t *task.Task) *thread {
	th, _ := t.Uprobe.(*thread)
	if th == nil {
		th = new(thread)
		p.threads.add(th)
		t.Uprobe = th
	}
	return th
}

// add registers a thread.
func (l *threads) add(th *thread) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set == nil {
		l.set = make(map[*thread]struct{})
	}
	l.set[th] = struct{}{}
}

// remove undoes add when the task exits.
func (l *threads) remove(th *thread) {
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

// endHit ends a hit.
func (l *threads) endHit(th *thread) {
	th.hitting.Store(0)
	if l.waiting.Load() != 0 {
		l.hitEnded(th)
	}
}

// hitEnded is called when the consumers of a hit have run, if a goroutine waits for that.
func (l *threads) hitEnded(th *thread) {
	th.ended.Add(1)
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
		for th.hitting.Load() != 0 && th.ended.Load() == ended {
			l.changed.Wait()
		}
	}
}

// hits returns the threads that run consumers of a site of the probes, with the number of
// their hits that have ended. The lock is held.
func (l *threads) hits(probes []*Probe) map[*thread]uint64 {
	var running map[*thread]uint64
	for th := range l.set {
		ended := th.ended.Load()
		if id := th.hitting.Load(); id != 0 && hasSite(probes, id) {
			if running == nil {
				running = make(map[*thread]uint64)
			}
			running[th] = ended
		}
	}
	return running
}

// hasSite reports whether one of the probes has the site with the id.
func hasSite(probes []*Probe, id uint64) bool {
	return slices.ContainsFunc(probes, func(b *Probe) bool {
		return slices.ContainsFunc(b.sites, func(s *site) bool { return s.id == id })
	})
}

// subsystem is the row of the tasks' table of subsystems.
func (p *Probes) subsystem() task.Subsystem {
	return task.Subsystem{
		Name: "uprobes",
		Fork: func(parent, child *task.Task, a *task.CloneArgs) error {
			if err := forkReturns(parent, child, a); err != nil {
				return err
			}
			if th, _ := child.Uprobe.(*thread); th != nil {
				p.threads.add(th)
			}
			return nil
		},
		Undo: p.forget,
		Exec: func(t *task.Task, _ *task.Execution) {
			th, _ := t.Uprobe.(*thread)
			if th == nil {
				return
			}
			th.returns = nil
			if th.state == stepping { // the program's own code in place of a slot calls execve
				th.dropStep(t)
			}
		},
		BeforeHandler: p.endTrampoline,
		Exit: func(t *task.Task) {
			if th, _ := t.Uprobe.(*thread); th != nil {
				th.endStep()
				th.state = idle
				th.hitting.Store(0)
				p.threads.hitEnded(th)
			}
			p.forget(t)
		},
	}
}

// forget drops the state of a task that has ended.
func (p *Probes) forget(t *task.Task) {
	if th, _ := t.Uprobe.(*thread); th != nil {
		p.threads.remove(th)
		t.Uprobe = nil
	}
}

// Register adds the subsystem of the tasks of k. It must be called before the first
// task is made.
func (p *Probes) Register(k *task.Kernel) { k.Register(p.subsystem()) }
