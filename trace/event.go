package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/trace/filter"
)

// Task is what the package needs to know of the thread that an event happens in.
// Package task implements it. Any goroutine may call the methods.
type Task interface {
	// TID returns the thread id, and PID the process id.
	TID() int
	PID() int
	// Comm returns the thread's name.
	Comm() string
}

// Field describes a field of an event's record.
type Field = filter.Field

// Definition describes an event for Registry.Add. It must not change after that.
type Definition struct {
	// System and Name identify the event. Both are C identifiers.
	System, Name string
	// Fields are the fields after the common ones. The first begins at CommonSize.
	Fields []Field
	// PrintFormat returns the text after "print fmt: " in the file format. Any goroutine calls
	// it, when the file is read, because most formats are never read. It does not sleep.
	PrintFormat func() string
	// Print appends the record as a line of the file trace, without the context (thread,
	// CPU, time) and with the newline. Any goroutine calls it. It must accept a record of
	// any contents and length of at least CommonSize.
	Print func(dst, record []byte) []byte
	// Enable is called before the event gets its first user, and Disable after it has
	// lost its last one. They may sleep. They may not call the registry, which is locked.
	// Enable returns an error if the event cannot be enabled. Both may be nil.
	Enable  func() error
	Disable func()
	// Refiltered is called after the set of users or what they want has changed, with the
	// registry locked, for an owner that obeys Wants and WantsSpace. It may sleep. It may be
	// nil.
	Refiltered func()
	// OfProgram is set for an event that occurs in the program, not in the kernel, for perf's
	// exclude_kernel: the registers that come with it are those of Linux's event.
	OfProgram bool
	// Fixed is set for an event that only has a format. It cannot be enabled, and has no
	// files enable, filter and trigger with an effect (the system ftrace of Linux).
	Fixed bool
}

// Event is a kind of record.
type Event struct {
	Definition
	registry *Registry
	id       int

	users  atomic.Pointer[users]    // nil if there are none
	direct atomic.Pointer[Instance] // see refreshDirect

	// The registry's lock guards these.
	sinks   []*Sink
	files   []*EventFile // one for each instance
	removed bool
}

// users are those that get the records of an event. The value is constant.
type users struct {
	files []*EventFile
	sinks []*Sink
}

// Sink gets the records of the events that it has subscribed to. It must not change
// after Subscribe.
type Sink struct {
	// Record gets a record and the registers of the program. record begins with the
	// common fields, as the file format says. Both are valid during the call. Record runs
	// on the goroutine of the thread in which the event happens, with interrupts on. It
	// may sleep, and must not call the registry. f is nil for an event that has no
	// registers: then Record must not sleep nor wake a goroutine that sleeps on a
	// wait.Sleeper, because the caller may hold locks. t may be a thread with the id 0, which
	// is no *task.Task: an idle CPU, or the kernel's own goroutines.
	Record func(t Task, f *amd64.Frame, record []byte)
	// Wants reports whether the sink wants events of the thread. nil wants all. Any
	// goroutine calls it; it must not sleep. The sink gets no event that it does not want.
	Wants func(t Task) bool
	// WantsSpace reports whether the sink wants events in the address space, so that a
	// uprobe need not be inserted in others. nil wants all.
	WantsSpace func(as *mm.AddressSpace) bool
}

// ID returns the number that identifies the event in records, in the file id, and in
// the config field of perf_event_open(2).
func (e *Event) ID() int { return e.id }

// CommonSize is the size of the fields that each record begins with, in bytes.
const CommonSize = 8

// commonFields are the fields that each record begins with (Linux: struct trace_entry).
var commonFields = []Field{
	{Type: "unsigned short", Name: "common_type", Offset: 0, Size: 2},
	{Type: "unsigned char", Name: "common_flags", Offset: 2, Size: 1},
	{Type: "unsigned char", Name: "common_preempt_count", Offset: 3, Size: 1},
	{Type: "int", Name: "common_pid", Offset: 4, Size: 4, Signed: true},
}

// putCommon stores the common fields. The flags are 0: programs are traced with
// interrupts on and preemption enabled.
func putCommon(record []byte, id, tid int) {
	binary.LittleEndian.PutUint16(record, uint16(id))
	record[2], record[3] = 0, 0
	binary.LittleEndian.PutUint32(record[4:], uint32(tid))
}

// Record records the event: it stores the common fields into the first CommonSize bytes
// of record, and gives the record to all users that want it. The record has the layout
// of the definition's fields and at most MaxRecord bytes. f has the program's registers,
// or is nil. Record runs on the goroutine of the thread, with interrupts on. It may
// sleep if a sink does.
func (e *Event) Record(t Task, f *amd64.Frame, record []byte) {
	u := e.users.Load()
	if u == nil {
		return
	}
	putCommon(record, e.id, t.TID())
	e.deliver(u, t, f, record)
}

// deliver gives a record to the users that want it.
func (e *Event) deliver(u *users, t Task, f *amd64.Frame, record []byte) {
	for _, file := range u.files {
		file.record(t, record)
	}
	for _, s := range u.sinks {
		if s.Wants == nil || s.Wants(t) {
			s.Record(t, f, record)
		}
	}
}

// RecordFor is Record for an event that also concerns another thread, if other is not nil: a
// list of threads that has either admits the event, and the names of both are kept (Linux:
// event_filter_pid_sched_switch_probe_pre). With a nil f the caller may hold locks, and the
// sinks must not sleep nor wake a goroutine that sleeps on a wait.Sleeper.
func (e *Event) RecordFor(t, other Task, f *amd64.Frame, record []byte) {
	if other == nil {
		e.Record(t, f, record)
		return
	}
	u := e.users.Load()
	if u == nil {
		return
	}
	putCommon(record, e.id, t.TID())
	for _, file := range u.files {
		who := t
		if i := file.instance; i.ignores(t) && !i.ignores(other) {
			who = other
		}
		file.record(who, record)
		for _, one := range [...]Task{t, other} {
			e.registry.threads.note(e.registry.config.CPU(), one, file.instance.options.Load())
		}
	}
	for _, s := range u.sinks {
		if s.Wants == nil || s.Wants(t) {
			s.Record(t, f, record)
		}
	}
}

// Enabled reports whether the event has users. Any goroutine may call it; it does not
// sleep.
func (e *Event) Enabled() bool { return e.users.Load() != nil }

// Wants reports whether some user wants events of the thread. Any goroutine may call it;
// it does not sleep.
func (e *Event) Wants(t Task) bool {
	u := e.users.Load()
	if u == nil {
		return false
	}
	return len(u.files) > 0 || slices.ContainsFunc(u.sinks, func(s *Sink) bool { return s.Wants == nil || s.Wants(t) })
}

// WantsSpace reports whether some user wants events in the address space. Any goroutine
// may call it; it does not sleep.
func (e *Event) WantsSpace(as *mm.AddressSpace) bool {
	u := e.users.Load()
	if u == nil {
		return false
	}
	return len(u.files) > 0 || slices.ContainsFunc(u.sinks, func(s *Sink) bool { return s.WantsSpace == nil || s.WantsSpace(as) })
}

// Subscribe attaches a sink: the event is enabled while it has one, and cannot be
// removed. The caller bounds the number of sinks. It may sleep. Errors: those of the
// owner's Enable; ENODEV if the event was removed; EINVAL for an event that only has a
// format.
func (e *Event) Subscribe(s *Sink) error {
	r := e.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.removed:
		return unix.ENODEV
	case e.Fixed:
		return unix.EINVAL
	}
	e.sinks = append(slices.Clip(e.sinks), s)
	err := e.publish()
	if err != nil {
		e.sinks = e.sinks[:len(e.sinks)-1]
	}
	return err
}

// Unsubscribe detaches a sink. Record of the sink may still run on other goroutines when
// it returns, if it was called before. It may sleep.
func (e *Event) Unsubscribe(s *Sink) {
	r := e.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := slices.DeleteFunc(slices.Clone(e.sinks), func(one *Sink) bool { return one == s })
	if len(kept) < len(e.sinks) {
		e.sinks = kept
		e.publish() // it cannot fail: no user was added
	}
}

// publish makes the users of the event those that the registry has. It enables the event
// before its first user, and disables it after its last one. The registry is locked.
// Errors: those of Enable; the users are the old ones then.
func (e *Event) publish() error {
	defer e.refreshDirect()
	var next users
	for _, f := range e.files {
		if f.wanted() {
			next.files = append(next.files, f)
		}
	}
	next.sinks = e.sinks
	before := e.users.Load() != nil
	after := len(next.files)+len(next.sinks) > 0
	if after && !before && e.Enable != nil {
		if err := e.enable(&next); err != nil {
			return err
		}
	}
	if after {
		e.users.Store(&next)
	} else {
		e.users.Store(nil)
	}
	for _, f := range e.files {
		f.countWanted()
	}
	switch {
	case before && !after:
		if e.Disable != nil {
			e.Disable()
		}
	case before && e.Refiltered != nil:
		e.Refiltered()
	}
	return nil
}

// Refilter tells the owner that the answers of Wants and WantsSpace of a sink have
// changed. It may sleep.
func (e *Event) Refilter() {
	e.registry.mu.Lock()
	defer e.registry.mu.Unlock()
	if e.Refiltered != nil && e.Enabled() {
		e.Refiltered()
	}
}

// enable calls Enable. The users are already visible to it, because an owner that obeys
// WantsSpace asks for them. A panic or an error leaves no users.
func (e *Event) enable(next *users) (err error) {
	e.users.Store(next)
	done := false
	defer func() {
		if !done || err != nil {
			e.users.Store(nil)
		}
	}()
	err = e.Enable()
	done = true
	return err
}

// Format returns the contents of the event's file format.
func (e *Event) Format() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "name: %s\nID: %d\nformat:\n", e.Name, e.id)
	for i := range commonFields {
		writeField(&b, &commonFields[i])
	}
	b.WriteByte('\n')
	for i := range e.Fields {
		writeField(&b, &e.Fields[i])
	}
	fmt.Fprintf(&b, "\nprint fmt: %s\n", e.PrintFormat())
	return b.Bytes()
}

// writeField writes a line of the file format (Linux: f_show).
func writeField(b *bytes.Buffer, f *Field) {
	before, _, array := strings.Cut(f.Type, "[")
	signed := 0
	if f.Signed {
		signed = 1
	}
	name := f.Type + " " + f.Name
	switch {
	case !array || strings.HasPrefix(f.Type, "__data_loc"):
	case f.Length > 0:
		name = fmt.Sprintf("%s %s[%d]", before, f.Name, f.Length)
	default:
		name = fmt.Sprintf("%s %s[]", before, f.Name)
	}
	fmt.Fprintf(b, "\tfield:%s;\toffset:%d;\tsize:%d;\tsigned:%d;\n", name, f.Offset, f.Size, signed)
}

// Filter is a filter expression for the records of one event. It is constant.
type Filter = filter.Filter

// ParseFilter parses a filter expression for the event's records
// (PERF_EVENT_IOC_SET_FILTER of perf_event_open(2), and the file filter). Errors:
// *filter.Error, with Linux's text and position; its Errno is EINVAL.
func ParseFilter(e *Event, text string) (*Filter, error) {
	return filter.Parse(slices.Concat(commonFields, e.Fields), text)
}

// print appends a record as a line without context. A panic of the owner's Print is
// contained, because the record may have been written by a program.
func (e *Event) print(dst, record []byte) (line []byte) {
	defer guard.Contain("the printing of a trace event")
	line = append(dst, e.Name...)
	line = append(line, ": \n"...)
	return e.Print(dst, record)
}
