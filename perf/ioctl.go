package perf

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/task"
)

// request is the handler of one ioctl of an event.
type request func(e *Event, caller fs.Caller, argument uint64) error

// requests are the ioctls (perf_event_open(2), "perf_event ioctl calls").
var requests = map[uint32]request{
	unix.PERF_EVENT_IOC_ENABLE:       forGroup(func(e *Event) { e.setEnabled(enabled) }),
	unix.PERF_EVENT_IOC_DISABLE:      forGroup(func(e *Event) { e.setEnabled(disabled) }),
	unix.PERF_EVENT_IOC_RESET:        forGroup((*Event).reset),
	unix.PERF_EVENT_IOC_REFRESH:      refresh,
	unix.PERF_EVENT_IOC_PERIOD:       setPeriod,
	unix.PERF_EVENT_IOC_SET_OUTPUT:   setOutput,
	unix.PERF_EVENT_IOC_ID:           func(e *Event, c fs.Caller, at uint64) error { return abi.CopyOut(c, at, e.id) },
	unix.PERF_EVENT_IOC_PAUSE_OUTPUT: pauseOutput,
	unix.PERF_EVENT_IOC_SET_FILTER:   setFilter,

	unix.PERF_EVENT_IOC_QUERY_BPF:         queryBPF,
	unix.PERF_EVENT_IOC_MODIFY_ATTRIBUTES: modifyAttributes,
}

// narrowRequests are the requests whose numbers have the size of a pointer, as 32-bit code
// passes them (Linux: perf_compat_ioctl).
var narrowRequests = func() map[uint32]uint32 {
	const sizeShift, narrowPointer, sizeMask = 16, 4, 1<<14 - 1
	m := map[uint32]uint32{}
	for _, wide := range []uint32{
		unix.PERF_EVENT_IOC_SET_FILTER, unix.PERF_EVENT_IOC_ID, unix.PERF_EVENT_IOC_QUERY_BPF, unix.PERF_EVENT_IOC_MODIFY_ATTRIBUTES,
	} {
		m[wide&^(sizeMask<<sizeShift)|narrowPointer<<sizeShift] = wide
	}
	return m
}()

// Ioctl implements fs.FileOperations. Errors: ENOTTY for an unknown request; a program of BPF
// cannot be set here.
func (e *Event) Ioctl(_ *fs.File, caller fs.Caller, number uint32, argument uint64) (uint64, error) {
	if t, ok := caller.(*task.Task); ok && t.Layout.Narrow() {
		if wide, ok := narrowRequests[number]; ok {
			number = wide
		}
	}
	r := requests[number]
	if r == nil {
		return 0, unix.ENOTTY
	}
	return 0, r(e, caller, argument)
}

// forGroup is a request for one event or, with PERF_IOC_FLAG_GROUP, for its group.
func forGroup(do func(e *Event)) request {
	return func(e *Event, _ fs.Caller, argument uint64) error {
		events := []*Event{e}
		if argument&unix.PERF_IOC_FLAG_GROUP != 0 {
			events = e.leader.Load().group()
		}
		for _, o := range events {
			do(o)
		}
		return nil
	}
}

// reset sets the count to 0. The times stay (perf_event_open(2)).
func (e *Event) reset() { e.count.Store(0) }

// refresh enables the event until it has made more samples. Error: EINVAL for an event
// that only counts, or that is inherited.
func refresh(e *Event, _ fs.Caller, samples uint64) error {
	if e.attr.Has(unix.PerfBitInherit) || !e.sampling {
		return unix.EINVAL
	}
	e.limit.Add(int64(int32(samples)))
	e.setEnabled(enabled)
	return nil
}

// setPeriod changes the period or frequency. Error: EINVAL.
func setPeriod(e *Event, caller fs.Caller, address uint64) error {
	value, err := abi.CopyIn[uint64](caller, address)
	if err != nil {
		return err
	}
	if !e.sampling || value == 0 || value>>63 != 0 || e.attr.Has(unix.PerfBitFreq) {
		return unix.EINVAL
	}
	if e.interval.Load() != 0 {
		e.interval.Store(int64(max(value, leastPeriod)))
		return nil
	}
	e.rate.period.Store(value)
	e.rate.left.Store(int64(value))
	return nil
}

// setOutput makes the event write to the ring of another one, or to its own again.
func setOutput(e *Event, caller fs.Caller, argument uint64) error {
	if argument == ^uint64(0) {
		return e.replaceRing(nil)
	}
	t, ok := caller.(*task.Task)
	if !ok {
		return unix.EBADF
	}
	file, err := t.FDs.Get(int(int32(argument)))
	if err != nil {
		return err
	}
	defer file.DecRef()
	output := eventOf(file)
	if output == nil {
		return unix.EBADF
	}
	return e.shareRing(output)
}

// pauseOutput stops or continues writing to the ring. Error: EINVAL without one.
func pauseOutput(e *Event, _ fs.Caller, argument uint64) error {
	r := e.ring.Load()
	if r == nil {
		return unix.EINVAL
	}
	r.paused.Store(argument != 0)
	return nil
}

// queryBPF tells which programs of BPF the trace event runs: none. Errors: EPERM, EINVAL for
// another event, EFAULT, E2BIG (Linux: perf_event_query_prog_array).
func queryBPF(e *Event, caller fs.Caller, address uint64) error {
	const maxPrograms = 64 // BPF_TRACE_MAX_PROGS
	t, ok := caller.(*task.Task)
	switch {
	case !ok || !privileged(t):
		return unix.EPERM
	case e.attr.Type != unix.PERF_TYPE_TRACEPOINT:
		return unix.EINVAL
	}
	query, err := abi.CopyIn[struct{ Room, Programs uint32 }](t, address)
	if err != nil {
		return err
	}
	if query.Room > maxPrograms {
		return unix.E2BIG
	}
	query.Programs = 0
	if err := abi.CopyOut(t, address, query); err != nil {
		return err
	}
	return abi.CopyOutSlice(t, address+8, make([]uint32, query.Room))
}

// modifyAttributes changes the attributes of a breakpoint; events of other types keep theirs.
// Errors: those of copyAttributes, EINVAL for another type, EOPNOTSUPP (Linux:
// perf_event_modify_attr).
func modifyAttributes(e *Event, caller fs.Caller, address uint64) error {
	t, ok := caller.(*task.Task)
	if !ok {
		return unix.EFAULT
	}
	a, err := copyAttributes(t, address)
	if err != nil {
		return err
	}
	if a.Type != e.attr.Type {
		return unix.EINVAL
	}
	return unix.EOPNOTSUPP
}

// EnableOf is prctl(2) with PR_TASK_PERF_EVENTS_ENABLE: it enables the events that the
// task has opened (Linux: perf_event_list of the task; prctl(2) says something else). Only the
// task's own goroutine calls it.
func EnableOf(t *task.Task) { setEnabledOf(t, enabled) }

// DisableOf is prctl(2) with PR_TASK_PERF_EVENTS_DISABLE. Only the task's own goroutine
// calls it.
func DisableOf(t *task.Task) { setEnabledOf(t, disabled) }

func setEnabledOf(t *task.Task, next activity) {
	for _, e := range of(t).owned.list() {
		e.setEnabled(next)
	}
}
