package perf

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/task"
	"slowpath/trace"
	"slowpath/trace/filter"
)

// tracepointSource is an event of package trace.
type tracepointSource struct {
	event *trace.Event
	sink  *trace.Sink
}

// openTracepoint subscribes to the trace event whose id is Config. Errors: ENOENT for
// an unknown id, EPERM without privilege (Linux: perf_trace_event_perm).
func openTracepoint(p *Perf, t *task.Task, e *Event) (source, error) {
	if p.events == nil || e.attr.Config>>31 != 0 {
		return nil, unix.ENOENT
	}
	event := p.events.ByID(int(e.attr.Config))
	if event == nil {
		return nil, unix.ENOENT
	}
	if !privileged(t) && p.settings.PerfEventParanoid.Get() > -1 {
		return nil, unix.EPERM
	}
	s := tracepointSource{event: event}
	e.excludesTraced = e.attr.Has(unix.PerfBitExcludeKernel) && !event.OfProgram
	s.sink = &trace.Sink{
		Record: func(t trace.Task, f *amd64.Frame, record []byte) {
			own, _ := t.(*task.Task)
			e.traced(own, f, record)
		},
		Wants: func(t trace.Task) bool {
			own, _ := t.(*task.Task)
			return e.countsFor(own)
		},
		WantsSpace: e.wantsSpace,
	}
	if err := event.Subscribe(s.sink); err != nil {
		return nil, err
	}
	return s, nil
}

func (s tracepointSource) stop() { s.event.Unsubscribe(s.sink) }

func (s tracepointSource) refilter() error { s.event.Refilter(); return nil }

func (tracepointSource) reading(*Event) uint64 { return 0 }

// traced handles a record of the trace event. With exclude_kernel, an event that occurs in the
// kernel is not counted (Linux: perf_tp_event_match).
func (e *Event) traced(t *task.Task, f *amd64.Frame, record []byte) {
	if !e.countsNow(t) || e.excludesTraced {
		return
	}
	if filter := e.filter.Load(); filter != nil && !filter.Match(threadOf(t), e.perf.cpuOf(t), record) {
		return
	}
	e.count.Add(1)
	if e.sampling {
		// An event without registers may be about another thread than the caller's, such as
		// the one that sched_switch finds to have left the CPU before.
		e.sampleHit(sample{task: t, frame: f, raw: record, atomic: f == nil, foreign: f == nil && e.perf.kernel.Current() != t})
	}
}

// threadOf returns a task for a filter. nil stands for an idle CPU.
func threadOf(t *task.Task) filter.Thread {
	if t == nil {
		return idle{}
	}
	return t
}

// idle is the thread of an idle CPU.
type idle struct{}

// Comm implements filter.Thread.
func (idle) Comm() string { return "swapper" }

// maxFilter is the most bytes of a filter (Linux: PAGE_SIZE).
const maxFilter = 4096

// setFilter sets the filter of a trace event. Errors: EINVAL, and those of
// trace.ParseFilter.
func setFilter(e *Event, caller fs.Caller, address uint64) error {
	t, isTask := caller.(*task.Task)
	if !isTask {
		return unix.EINVAL
	}
	text, err := t.CopyInString(address, maxFilter)
	if err != nil {
		return err
	}
	source, ok := e.source.(tracepointSource)
	if !ok {
		return unix.EINVAL
	}
	filter, err := trace.ParseFilter(source.event, text)
	if bad, ok := err.(interface{ Unwrap() error }); ok {
		return bad.Unwrap() // the errno
	}
	if err != nil {
		return err
	}
	e.filter.Store(filter)
	return nil
}
