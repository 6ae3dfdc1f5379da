package perf

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/task"
)

// softwareKind is what a software event counts (perf_event_open(2), PERF_TYPE_SOFTWARE).
type softwareKind struct {
	// connect makes the tracepoints call hit for each event, and returns the function that
	// ends that. nil for an event that never occurs here.
	connect func(p *Perf, hit func(s sample)) (disconnect func())
	// clock says that the value is the time for which the event is enabled.
	clock bool
	// inKernel says that the event occurs in the kernel, not in the program.
	inKernel bool
}

// counted reports whether an event with the attributes counts the kind (Linux:
// perf_exclude_event).
func (k *softwareKind) counted(a *Attributes) bool {
	if k.inKernel {
		return !a.Has(unix.PerfBitExcludeKernel)
	}
	return !a.Has(unix.PerfBitExcludeUser)
}

// softwareKinds has the kinds by their number in Attributes.Config. There are no major
// faults: no page waits for a disk. Alignment is not checked, and no instruction of a
// program is emulated that Linux counts. The kinds from the dummy event on have no value.
var softwareKinds = [softwareCount]softwareKind{
	unix.PERF_COUNT_SW_CPU_CLOCK:        {clock: true},
	unix.PERF_COUNT_SW_TASK_CLOCK:       {clock: true},
	unix.PERF_COUNT_SW_PAGE_FAULTS:      {connect: onPageFaults},
	unix.PERF_COUNT_SW_CONTEXT_SWITCHES: {connect: onSwitches, inKernel: true},
	unix.PERF_COUNT_SW_CPU_MIGRATIONS:   {connect: onMigrations, inKernel: true},
	unix.PERF_COUNT_SW_PAGE_FAULTS_MIN:  {connect: onPageFaults},
	unix.PERF_COUNT_SW_PAGE_FAULTS_MAJ:  {},
	unix.PERF_COUNT_SW_ALIGNMENT_FAULTS: {},
	unix.PERF_COUNT_SW_EMULATION_FAULTS: {},
	unix.PERF_COUNT_SW_DUMMY:            {},
	unix.PERF_COUNT_SW_BPF_OUTPUT:       {},
	cgroupSwitches:                      {},
}

// cgroupSwitches is PERF_COUNT_SW_CGROUP_SWITCHES, and softwareCount PERF_COUNT_SW_MAX.
const (
	cgroupSwitches = 11
	softwareCount  = 12
)

// software is what all software events of a kernel share: each kind is connected to its
// tracepoints while it has events.
type software struct {
	kinds [softwareCount]connection
	// switchRecords is connected while there are events with the bit context_switch.
	switchRecords connection

	// mu guards intervals.
	mu        sync.Mutex
	intervals map[*Event]int64 // of the events that sample a clock, in nanoseconds
	stop      func()
}

// connection is the state of a kind.
type connection struct {
	mu         sync.Mutex
	events     int
	disconnect func()
}

// softwareSource is a software event.
type softwareSource struct {
	event *Event
	kind  int
}

// openSoftware opens a software event. Error: ENOENT for an unknown kind.
func openSoftware(p *Perf, _ *task.Task, e *Event) (source, error) {
	if e.attr.Config >= softwareCount {
		return nil, unix.ENOENT
	}
	s := softwareSource{e, int(e.attr.Config)}
	switch kind := &softwareKinds[s.kind]; {
	case kind.connect != nil:
		p.software.connect(p, s.kind)
	case kind.clock && e.sampling:
		p.sampleClock(e)
	}
	return s, nil
}

// connect connects a kind for one more event.
func (s *software) connect(p *Perf, kind int) {
	s.kinds[kind].use(func() func() {
		return softwareKinds[kind].connect(p, func(s sample) { p.count(kind, s) })
	})
}

// use counts an event. The first one connects.
func (c *connection) use(connect func() (disconnect func())) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.events++; c.events == 1 {
		c.disconnect = connect()
	}
}

// release undoes use.
func (c *connection) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.events--; c.events == 0 {
		c.disconnect()
	}
}

func (s softwareSource) stop() {
	switch kind := &softwareKinds[s.kind]; {
	case kind.connect != nil:
		s.event.perf.software.kinds[s.kind].release()
	case kind.clock && s.event.sampling:
		s.event.perf.sampleClockNoMore(s.event)
	}
}

func (softwareSource) refilter() error { return nil }

func (s softwareSource) reading(e *Event) uint64 {
	if !softwareKinds[s.kind].clock {
		return 0
	}
	return e.enabledTime()
}

// count counts something that has happened in a task, in all software events of the kind
// that count for it.
func (p *Perf) count(kind int, s sample) {
	for e := range p.countingFor(s.task) {
		if e.attr.Type == unix.PERF_TYPE_SOFTWARE && e.attr.Config == uint64(kind) && softwareKinds[kind].counted(e.attr) {
			e.count.Add(1)
			if e.sampling {
				e.sampleHit(s)
			}
		}
	}
}

// countingFor yields the events that count for the task now.
func (p *Perf) countingFor(t *task.Task) func(yield func(*Event) bool) {
	return func(yield func(*Event) bool) {
		for _, set := range [...]*eventSet{&of(t).events, &p.wide} {
			for _, e := range set.list() {
				if e.countsNow(t) && !yield(e) {
					return
				}
			}
		}
	}
}

func onPageFaults(p *Perf, hit func(sample)) (disconnect func()) {
	return p.kernel.Tracepoints.PageFault.Register(func(f task.PageFault) {
		hit(sample{task: f.Task, frame: f.Frame, address: f.Address})
	})
}

// onSwitches calls hit when a task sleeps, or lets others run.
func onSwitches(p *Perf, hit func(sample)) (disconnect func()) {
	return p.kernel.OnLeave(func(t *task.Task, _ task.Departure) {
		hit(sample{task: t, frame: t.Frame, atomic: true})
	})
}

func onMigrations(p *Perf, hit func(sample)) (disconnect func()) {
	return p.kernel.Tracepoints.Migrated.Register(func(m task.Migrated) {
		hit(sample{task: m.Task, frame: m.Task.Frame, atomic: true})
	})
}

// Limits of the time between two samples of a clock, in nanoseconds. Linux has no period
// below leastPeriod. A shorter interval than leastInterval would take too much of the CPU:
// a sample then stands for several periods.
const (
	leastPeriod   = 10_000
	leastInterval = 100_000
)

// clockPeriod returns the nanoseconds between two samples of a clock event.
func (a *Attributes) clockPeriod() int64 {
	period := a.Sample
	if a.Has(unix.PerfBitFreq) {
		period = uint64(clock.Second) / a.Sample
	}
	return int64(max(period, leastPeriod))
}

// sampleClock begins to sample the programs for a clock event: the timer interrupts them as
// often as the most frequent event requires, and at each interrupt the task itself writes
// the samples that are due.
func (p *Perf) sampleClock(e *Event) {
	e.interval.Store(e.attr.clockPeriod())
	s := &p.software
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.intervals) == 0 {
		s.intervals = make(map[*Event]int64)
		s.stop = p.kernel.Tracepoints.Interrupted.Register(p.interrupted)
	}
	s.intervals[e] = max(e.interval.Load(), leastInterval)
	p.kernel.SetSampling(s.shortest())
}

// sampleClockNoMore undoes sampleClock.
func (p *Perf) sampleClockNoMore(e *Event) {
	s := &p.software
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.intervals, e)
	p.kernel.SetSampling(s.shortest())
	if len(s.intervals) == 0 {
		s.stop()
	}
}

// shortest returns the shortest interval, or 0 if there is none. s.mu is held.
func (s *software) shortest() (shortest int64) {
	for _, interval := range s.intervals {
		if shortest == 0 || interval < shortest {
			shortest = interval
		}
	}
	return shortest
}

// interrupted writes the samples of clocks that are due for a task. For a tick in the
// kernel, the sample has the program's registers too.
func (p *Perf) interrupted(i task.Interrupted) {
	if i.Served {
		return
	}
	excluded := uint64(unix.PerfBitExcludeUser)
	if i.Vector == task.InKernel {
		excluded = unix.PerfBitExcludeKernel
	}
	t := i.Task
	state, now := of(t), cpuTime(t)
	since := now - state.checked
	state.checked = now
	for e := range p.countingFor(t) {
		interval := e.interval.Load()
		if interval == 0 || e.attr.Has(excluded) {
			continue
		}
		if periods := e.periodsOf(t, now, since, interval); periods > 0 {
			e.sampleFor(sample{task: t, frame: t.Frame}, uint64(periods*interval))
		}
	}
}

// periodsOf returns how many periods of an event have passed since its last sample of the
// task. now is the CPU time of the task, and since what it has used since the last interrupt:
// that time belongs to the events of the CPU where it is now.
//
// An event for every task counts elapsed time, and then the part of other tasks and of an
// idle CPU is not known: it is at most one period.
func (e *Event) periodsOf(t *task.Task, now, since, interval int64) int64 {
	if e.wide {
		if e.rate.due(interval) {
			return 1
		}
		return 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	begin, ok := e.tasks[t]
	if !ok {
		return 0
	}
	if e.unsampled == nil {
		e.unsampled = make(map[*task.Task]int64)
	}
	time := e.unsampled[t] + min(since, now-begin)
	e.unsampled[t] = time % interval
	return time / interval
}

// sample is what a sample is made of.
type sample struct {
	task    *task.Task   // nil for an idle CPU, or the kernel's own goroutine
	frame   *amd64.Frame // the program's registers, or nil
	raw     []byte       // the record of a trace event
	address uint64       // of a page fault
	// atomic says that the caller may hold locks: the user's stack is not read.
	atomic bool
	// foreign says that the caller runs on another goroutine than that of the task.
	foreign bool
}

// builder returns the task in whose buffer the sample is built, or nil if it needs a buffer
// of its own: that of another thread may be in use on another CPU.
func (s *sample) builder() *task.Task {
	if s.foreign {
		return nil
	}
	return s.task
}
