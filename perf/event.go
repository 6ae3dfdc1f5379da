package perf

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/trace"
	"slowpath/wait"
)

// Event is one open event. It implements fs.FileOperations.
//
// Who is charged: the caller's open files bound the number of events; the pages of its
// ring are charged to the user (ring.go). Release frees all of it. A task that exits
// leaves its events, and an event that is released leaves its tasks.
type Event struct {
	fs.FileBase
	perf   *Perf
	attr   *Attributes
	id     uint64
	cpu    int // the CPU whose hits count, or -1
	wide   bool
	source source
	owner  *task.Task // that has opened the event, until it exits; guarded by Perf.mu
	// sole is the task for which the event counts, if there is one task only.
	sole     atomic.Pointer[task.Task]
	sampling bool
	// excludesTraced says that hits of the trace event are not counted, because of exclude_kernel.
	excludesTraced bool
	// interval is the time between two samples of a clock in nanoseconds, 0 for other events.
	interval atomic.Int64
	leader   atomic.Pointer[Event] // itself, if the event is in no group of another one
	queue    wait.Queue

	state  atomic.Uint32 // of activity
	count  atomic.Uint64
	limit  atomic.Int64 // samples until the event is disabled; 0 for no limit (PERF_EVENT_IOC_REFRESH)
	lost   atomic.Uint64
	ring   atomic.Pointer[Ring]
	filter atomic.Pointer[trace.Filter]
	rate   rate

	// mu guards the fields below. Perf.mu may be held when it is taken.
	mu        sync.RWMutex
	tasks     map[*task.Task]int64 // the CPU time of each task when counting began
	unsampled map[*task.Task]int64 // the CPU time of each task that no sample of a clock stands for yet
	time      int64                // nanoseconds for which the event was enabled before
	since     int64                // clock.Monotonic when a wide event was enabled
	siblings  []*Event
	enable    bool // at the next execve(2)
	released  bool

	spaces spaces
}

// spaces are the address spaces of the tasks of an event. Only these get the breakpoints
// of its probe. The lock is a leaf.
type spaces struct {
	mu      sync.Mutex
	ofTasks map[*task.Task]*mm.AddressSpace
}

// set notes the address space of a task, or nil.
func (s *spaces) set(t *task.Task, as *mm.AddressSpace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if as == nil {
		delete(s.ofTasks, t)
		return
	}
	if s.ofTasks == nil {
		s.ofTasks = make(map[*task.Task]*mm.AddressSpace)
	}
	s.ofTasks[t] = as
}

// has reports whether a task of the event has the address space.
func (s *spaces) has(as *mm.AddressSpace) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.ofTasks {
		if o == as {
			return true
		}
	}
	return false
}

// wantsSpace implements WantsSpace of consumers and sinks.
func (e *Event) wantsSpace(as *mm.AddressSpace) bool { return e.wide || e.spaces.has(as) }

// activity is the state of an event.
type activity uint32

const (
	disabled activity = iota
	enabled
	// ended: the tasks for which it counts have exited.
	ended
)

func (e *Event) activity() activity { return activity(e.state.Load()) }

// countsFor reports whether the event counts hits of the task. Any goroutine may call
// it.
func (e *Event) countsFor(t *task.Task) bool {
	if e.wide {
		return true
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	_, ok := e.tasks[t]
	return ok
}

// countsNow reports whether the event is enabled, and t is on its CPU.
// t is nil for an idle CPU.
func (e *Event) countsNow(t *task.Task) bool {
	return e.activity() == enabled && (e.cpu < 0 || e.cpu == e.perf.cpuOf(t))
}

// cpuOf returns the CPU on which a task was last in user mode. For an idle CPU, nil, it is
// that of the caller.
func (p *Perf) cpuOf(t *task.Task) int {
	if t == nil {
		return p.cpu()
	}
	return t.Frame.LastCPU()
}

// cpuTime returns the CPU time of a task in nanoseconds.
func cpuTime(t *task.Task) int64 {
	u := t.Usage()
	return u.User + u.System
}

// enabledTime returns for how long the event has counted: the CPU time of its tasks, or
// the elapsed time of an event for every task.
func (e *Event) enabledTime() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return uint64(e.time + e.runningTime())
}

// runningTime returns the time since the event was enabled. e.mu is held.
func (e *Event) runningTime() (total int64) {
	if e.activity() != enabled {
		return 0
	}
	if e.wide {
		return clock.Monotonic() - e.since
	}
	for t, begin := range e.tasks {
		total += cpuTime(t) - begin
	}
	return total
}

// setEnabled starts or stops counting. An event that has ended stays so.
func (e *Event) setEnabled(next activity) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.activity() == ended || e.activity() == next {
		return
	}
	e.time += e.runningTime()
	e.since = clock.Monotonic()
	for t := range e.tasks {
		e.tasks[t] = cpuTime(t)
	}
	e.state.Store(uint32(next))
}

// attach makes the event count for a task. Perf.mu is held.
func (e *Event) attach(t *task.Task) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tasks[t] = cpuTime(t)
	e.setSole()
	of(t).events.add(e)
}

// followSpace notes the address space of a task that may call execve or exit meanwhile.
func (e *Event) followSpace(t *task.Task) {
	for {
		space, _ := t.Image()
		e.setSpace(t, space)
		if now, _ := t.Image(); now == space {
			return
		}
	}
}

// setSpace notes the address space of a task, if the event counts for it.
func (e *Event) setSpace(t *task.Task, space *mm.AddressSpace) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.tasks[t]; ok {
		e.spaces.set(t, space)
	}
}

// detach undoes attach, and reports whether the event has no task any more. Perf.mu is
// held.
func (e *Event) detach(t *task.Task) (last bool) {
	of(t).events.remove(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spaces.set(t, nil)
	if begin, ok := e.tasks[t]; ok && e.activity() == enabled {
		e.time += cpuTime(t) - begin
	}
	delete(e.tasks, t)
	delete(e.unsampled, t)
	e.setSole()
	return len(e.tasks) == 0
}

// setSole sets sole. e.mu is held.
func (e *Event) setSole() {
	var sole *task.Task
	if len(e.tasks) == 1 {
		for sole = range e.tasks {
		}
	}
	e.sole.Store(sole)
}

// end marks an event without tasks. Its readers see POLLHUP.
func (e *Event) end() {
	e.setEnabled(disabled)
	e.state.Store(uint32(ended))
	e.wake(wait.Hup)
}

// wake wakes who polls the event.
func (e *Event) wake(what wait.Events) { e.queue.Wake(what) }

// Queue implements fs.FileOperations.
func (e *Event) Queue() *wait.Queue { return &e.queue }

// Readiness implements fs.FileOperations: readable after a wake-up of the ring, until
// the program has read all records.
func (e *Event) Readiness() (ready wait.Events) {
	if e.activity() == ended {
		ready |= wait.Hup
	}
	if r := e.ring.Load(); r != nil && r.takeWakeup() {
		ready |= wait.Readable
	}
	return ready
}

// eventBytes is about what an event holds of the kernel's heap, without its ring.
const eventBytes = 1024

// HeldMemory implements fs.MemoryHolder.
func (e *Event) HeldMemory() int64 {
	held := int64(eventBytes)
	if r := e.ring.Load(); r != nil {
		held += r.bytes()
	}
	return held
}

// Release implements fs.FileOperations. The other events of its group become leaders.
func (e *Event) Release() {
	e.source.stop()
	if e.attr.Has(unix.PerfBitContextSwitch) {
		e.perf.software.switchRecords.release()
	}
	e.perf.forget(e)
	e.setRing(nil)
}

// forget removes an event from all lists.
func (p *Perf) forget(e *Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.wide {
		p.wide.remove(e)
	}
	if e.owner != nil {
		of(e.owner).owned.remove(e)
	}
	for t := range e.markReleased() {
		of(t).events.remove(e)
	}
	if leader := e.leader.Load(); leader != e {
		leader.dropSibling(e)
	}
}

// markReleased takes the tasks from a closed event, and makes its siblings leaders.
func (e *Event) markReleased() (tasks map[*task.Task]int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.siblings {
		s.leader.Store(s)
	}
	tasks = e.tasks
	e.released, e.tasks, e.unsampled, e.siblings = true, nil, nil, nil
	return tasks
}

func (e *Event) dropSibling(sibling *Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, s := range e.siblings {
		if s == sibling {
			e.siblings = append(e.siblings[:i:i], e.siblings[i+1:]...)
			return
		}
	}
}

// group returns the event and, if it is a leader, its siblings.
func (e *Event) group() []*Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*Event{e}, e.siblings...)
}

// eventOf returns the event of an open file, or nil.
func eventOf(f *fs.File) *Event {
	e, _ := f.Operations().(*Event)
	return e
}

// value returns the count.
func (e *Event) value() uint64 { return e.count.Load() + e.source.reading(e) }

// Read implements fs.FileOperations (perf_event_open(2), "Reading results"). Errors:
// ENOSPC for a short buffer; 0 bytes after an event in a pinned group has failed do not
// occur.
func (e *Event) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	record := e.appendRead(nil)
	if dst.Remaining() < len(record) {
		return 0, unix.ENOSPC
	}
	return fs.PutRecord(dst, record)
}

// appendRead appends the values in the read format.
func (e *Event) appendRead(p []byte) []byte {
	format := e.attr.Read_format
	events := []*Event{e}
	if format&unix.PERF_FORMAT_GROUP != 0 {
		events = e.leader.Load().group()
		p = put64(p, uint64(len(events)))
	} else {
		p = put64(p, e.value())
	}
	time := e.enabledTime()
	if format&unix.PERF_FORMAT_TOTAL_TIME_ENABLED != 0 {
		p = put64(p, time)
	}
	if format&unix.PERF_FORMAT_TOTAL_TIME_RUNNING != 0 {
		p = put64(p, time) // no event is ever without a counter
	}
	for _, o := range events {
		if format&unix.PERF_FORMAT_GROUP != 0 {
			p = put64(p, o.value())
		}
		if format&unix.PERF_FORMAT_ID != 0 {
			p = put64(p, o.id)
		}
		if format&unix.PERF_FORMAT_LOST != 0 {
			p = put64(p, o.lost.Load())
		}
	}
	return p
}
