// Package perf implements perf_event_open(2): events that are counted, and sampled
// into ring buffers that programs map.
//
// An Event is an open file. Its source (source.go) says what is counted: the hits of a
// uprobe, the records of a trace event, or a software event. It counts for some tasks, or for
// every task on one CPU. A Ring is the mapped buffer to which an event writes records:
// samples (sample.go), and what happens to the tasks that it counts for, such as a new
// mapping or name (sideband.go).
//
// Each task has the list of the events that count for it, in a slot of package task.
// Children inherit the events whose attributes say so. An inherited event is the same
// Event: its value is the sum over all its tasks, which is what Linux reads too.
package perf

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/sysctl"
	"slowpath/task"
	"slowpath/trace"
	"slowpath/uprobe"
)

// Perf is the state of perf_event_open(2) of one kernel. It is safe for concurrent use.
type Perf struct {
	kernel   *task.Kernel
	memory   *mm.Memory
	probes   *uprobe.Probes
	events   *trace.Registry // nil without trace events
	accounts *fs.Accounts
	settings *sysctl.Settings
	cpu      func() int // the number of the CPU that runs the caller
	lastID   atomic.Uint64
	software software

	// mu guards the lists of events, of all tasks and of all CPUs. It is a leaf but for
	// the locks of a task's accounting.
	mu   sync.Mutex
	wide eventSet // those that count for every task
}

// state is the part of a task that this package owns.
type state struct {
	events eventSet // those that count for the task
	owned  eventSet // those that the task has opened
	// left is set when the task has exited. Perf.mu is held.
	left bool
	// checked is the task's CPU time at its last interrupt while a clock was sampled. Only
	// the task's own goroutine uses it.
	checked int64
	// record is the buffer in which the task's own goroutine builds records.
	record []byte
}

func of(t *task.Task) *state { return task.SlotOf[state](t) }

// eventSet is a set of events: those of a task, or those that count for every task.
// Perf.mu is held when it changes. Any goroutine may read it.
type eventSet struct {
	mu     sync.Mutex
	events map[*Event]struct{}
	size   atomic.Int32
	sorted atomic.Pointer[[]*Event] // the slice is constant; nil if it must be made again
}

func (s *eventSet) empty() bool { return s.size.Load() == 0 }

// list returns the events, sorted by id. The caller does not change the slice.
func (s *eventSet) list() []*Event {
	if s.empty() {
		return nil
	}
	if sorted := s.sorted.Load(); sorted != nil {
		return *sorted
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sorted := slices.SortedFunc(maps.Keys(s.events), func(a, b *Event) int { return cmp.Compare(a.id, b.id) })
	s.sorted.Store(&sorted)
	return sorted
}

func (s *eventSet) add(e *Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events == nil {
		s.events = make(map[*Event]struct{})
	}
	s.events[e] = struct{}{}
	s.changed()
}

func (s *eventSet) remove(e *Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.events, e)
	s.changed()
}

// changed notes a change of the set. s.mu is held.
func (s *eventSet) changed() {
	s.sorted.Store(nil)
	s.size.Store(int32(len(s.events)))
}

type serviceKey struct{}

// Register adds perf_event_open(2) to a kernel. It must be called right after
// task.New.
func Register(k *task.Kernel, mounts *fs.Mounts, probes *uprobe.Probes, events *trace.Registry) *Perf {
	p := &Perf{
		kernel: k, memory: k.Memory(), probes: probes, events: events,
		accounts: mounts.Accounts(), settings: k.Settings(), cpu: func() int { return 0 },
	}
	if events != nil {
		p.cpu = events.CPU
	}
	mounts.Service(serviceKey{}, func() any { return p })
	task.NewSlot[state](k)
	k.Register(task.Subsystem{
		Name:     "perf",
		Publish:  p.inherit,
		Undo:     p.leave,
		Started:  p.started,
		Exec:     p.executes,
		Executed: p.executed,
		// The trace events of the exit itself are not counted any more, as on Linux.
		BeforeExit: func(t *task.Task, _ task.Status) { p.exited(t) },
	})
	return p
}

// perfOf returns the Perf of the caller's kernel, or nil if it has none.
func perfOf(t *task.Task) *Perf {
	p, _ := t.FS.Mounts().Service(serviceKey{}, func() any { return (*Perf)(nil) }).(*Perf)
	return p
}
