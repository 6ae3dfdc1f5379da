package report

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"sync"

	"slowpath/entry"
	"slowpath/timeline"
)

// Totals counts records for a live view. Its methods are safe for concurrent use. It keeps
// one element for each task that lives, or has ended since the last Snapshot.
type Totals struct {
	mu    sync.Mutex
	names Names
	now   Snapshot
	tasks map[uint32]*TaskTotals
	calls map[string]uint64 // by name, which is the same in both ABIs
}

// Counts are numbers of records since the machine started.
type Counts struct{ Calls, Faults, Signals uint64 }

// TaskTotals are the records of a task.
type TaskTotals struct {
	Task, Process uint32
	Comm          string
	LastCall      string
	Ended         bool
	Counts
}

// CallTotal is how often a system call was made.
type CallTotal struct {
	Name  string
	Count uint64
}

// Snapshot is the state of Totals at a moment.
type Snapshot struct {
	Counts
	Visits, Lost uint64
	// Served is how often each duty was served on the slow path, by the bit of its flag.
	Served [32]uint64
	// Tasks are sorted by number, and Calls by name.
	Tasks []TaskTotals
	Calls []CallTotal
}

// NewTotals returns totals without records.
func NewTotals(names Names) *Totals {
	return &Totals{names: names, tasks: map[uint32]*TaskTotals{}, calls: map[string]uint64{}}
}

// Record counts a record.
func (t *Totals) Record(_ timeline.Clock, r *timeline.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r.Kind {
	case timeline.KindCall:
		own := t.task(r.Task)
		own.Counts.Calls++
		own.LastCall = t.names.call(&r.Call)
		t.now.Counts.Calls++
		t.calls[own.LastCall]++
	case timeline.KindFault:
		t.task(r.Task).Faults++
		t.now.Faults++
	case timeline.KindSignal:
		if r.Signal.Delivered {
			t.task(r.Task).Signals++
			t.now.Signals++
		}
	case timeline.KindVisit:
		t.now.Visits++
		for bit := range t.now.Served {
			t.now.Served[bit] += uint64(r.Visit.Served >> bit & 1)
		}
	case timeline.KindName:
		own := t.task(r.Task)
		own.Comm, own.Process = r.Name.Comm, r.Name.Process
	case timeline.KindExit:
		t.task(r.Task).Ended = true
	}
	return nil
}

// task returns the element of a task. t is locked.
func (t *Totals) task(id uint32) *TaskTotals {
	own := t.tasks[id]
	if own == nil {
		own = &TaskTotals{Task: id}
		t.tasks[id] = own
	}
	return own
}

// Lost counts records that were lost.
func (t *Totals) Lost(n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Lost += n
}

// Close does nothing.
func (t *Totals) Close() error { return nil }

// Snapshot returns the present totals, and forgets the tasks that have ended.
func (t *Totals) Snapshot() Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.now
	for _, id := range slices.Sorted(maps.Keys(t.tasks)) {
		s.Tasks = append(s.Tasks, *t.tasks[id])
	}
	for name, count := range t.calls {
		s.Calls = append(s.Calls, CallTotal{name, count})
	}
	slices.SortFunc(s.Calls, func(a, b CallTotal) int { return cmp.Compare(a.Name, b.Name) })
	maps.DeleteFunc(t.tasks, func(_ uint32, own *TaskTotals) bool { return own.Ended })
	return s
}

// ServedDuties returns the duties in the order of the table, with the number of services
// between two snapshots.
func ServedDuties(before, after *Snapshot) (names []string, counts []uint64) {
	for _, d := range entry.Duties() {
		bit := bits.TrailingZeros32(uint32(d.Flag))
		names, counts = append(names, d.Flag.String()), append(counts, after.Served[bit]-before.Served[bit])
	}
	return names, counts
}

// Tee is a sink that gives the records to several sinks.
type Tee []Sink

// Record gives a record to each sink.
func (t Tee) Record(c timeline.Clock, r *timeline.Record) error {
	for _, s := range t {
		if err := s.Record(c, r); err != nil {
			return err
		}
	}
	return nil
}

// Lost tells each sink.
func (t Tee) Lost(n uint64) {
	for _, s := range t {
		s.Lost(n)
	}
}

// Close closes each sink. It returns the first error.
func (t Tee) Close() (first error) {
	for _, s := range t {
		if err := s.Close(); first == nil {
			first = err
		}
	}
	return first
}
