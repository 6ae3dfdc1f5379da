package trace

import (
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/trace/filter"
)

// EventFile is an event in an instance: what the directory of the event in the instance's
// events shows (Linux: struct trace_event_file).
type EventFile struct {
	instance *Instance
	event    *Event

	state  atomic.Pointer[fileState]
	filter atomic.Pointer[fileFilter]

	// The registry's lock guards these.
	enabled    bool // by the file enable, or by a trigger
	soft       int  // triggers of other events that may enable or disable this one
	references int  // the same; the event cannot be removed
	recorded   bool // was enabled: the instance may have records
	counted    bool // the names of threads are kept for the file: see recordThreads
	removed    bool
}

// fileState is what a record of the event does. The value is constant.
type fileState struct {
	// silent says that the event is only enabled for its triggers, or waits for a trigger
	// to enable it.
	silent   *atomic.Bool
	triggers []*trigger
	// conditional says that triggers are called with the record, because one has a filter,
	// needs the record, or is called after it was stored.
	conditional bool
}

// fileFilter is a filter or the text of a bad one. The value is constant.
type fileFilter struct {
	filter *Filter // nil for a bad filter, which has no effect
	text   string  // of the file filter
}

func newEventFile(i *Instance, e *Event) *EventFile {
	f := &EventFile{instance: i, event: e}
	f.state.Store(&fileState{silent: new(atomic.Bool)})
	return f
}

// isPlain reports whether each record is stored: there are no triggers and no filter, and no
// trigger of another event can enable or disable this one. The registry is locked.
func (f *EventFile) isPlain() bool {
	s := f.state.Load()
	return len(s.triggers) == 0 && f.filter.Load() == nil && f.soft == 0 && !s.silent.Load()
}

// File returns the file of an event in the instance, or nil if the event was removed.
func (i *Instance) File(e *Event) *EventFile {
	e.registry.mu.Lock()
	defer e.registry.mu.Unlock()
	return i.file(e)
}

// file is File with the registry locked.
func (i *Instance) file(e *Event) *EventFile {
	for _, f := range e.files {
		if f.instance == i && !f.removed {
			return f
		}
	}
	return nil
}

// Event returns the event.
func (f *EventFile) Event() *Event { return f.event }

// wanted reports whether the file needs the event's records. The registry is locked.
func (f *EventFile) wanted() bool {
	return f.enabled || f.soft > 0 || len(f.state.Load().triggers) > 0
}

// countWanted makes the names of threads be kept while the file needs the event's records. The
// registry is locked.
func (f *EventFile) countWanted() {
	if wanted := f.wanted(); wanted != f.counted {
		f.counted = wanted
		f.event.registry.recordThreads(wanted)
	}
}

// record stores a record of the event, unless a filter or trigger decides otherwise
// (Linux: trace_event_buffer_reserve, trace_event_buffer_commit).
func (f *EventFile) record(t Task, record []byte) {
	s := f.state.Load()
	if len(s.triggers) == 0 && f.filter.Load() == nil && f.instance.pids.Load() == nil {
		if !s.silent.Load() { // most events: nothing depends on the record
			f.instance.storeEvent(t, record)
		}
		return
	}
	if len(s.triggers) > 0 && !s.conditional {
		for _, one := range s.triggers {
			one.run(t)
		}
	}
	if !s.conditional && s.silent.Load() || f.instance.ignores(t) {
		return
	}
	var after []*trigger
	if s.conditional {
		after = f.runConditional(s, t, record)
	}
	if !s.silent.Load() && f.matches(t, record) {
		f.instance.storeEvent(t, record)
	}
	for _, one := range after {
		one.run(t)
	}
}

// runConditional runs the triggers whose filters match. It returns those that run after
// the record was stored.
func (f *EventFile) runConditional(s *fileState, t Task, record []byte) (after []*trigger) {
	for _, one := range s.triggers {
		switch {
		case one.filter != nil && !one.filter.Match(t, f.instance.registry.config.CPU(), record):
		case one.isHist():
			one.histogram.add(f.instance, t, record)
		case one.command.after, one.command.afterRecord:
			after = append(after, one)
		default:
			one.run(t)
		}
	}
	return after
}

func (f *EventFile) matches(t Task, record []byte) bool {
	current := f.filter.Load()
	return current == nil || current.filter == nil || current.filter.Match(t, f.instance.registry.config.CPU(), record)
}

// Enabled returns the contents of the file enable: 0 or 1, with a * if a trigger may
// change that. Error: ENODEV if the event was removed.
func (f *EventFile) Enabled() (string, error) {
	r := f.event.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.removed {
		return "", unix.ENODEV
	}
	text := "0"
	if (f.enabled || f.soft > 0) && !f.state.Load().silent.Load() {
		text = "1"
	}
	if f.soft > 0 || len(f.state.Load().triggers) > 0 {
		text += "*"
	}
	return text, nil
}

// Enable enables or disables the event. Errors: ENODEV if it was removed, EINVAL if it
// only has a format, ENOMEM, and those of the event's owner.
func (f *EventFile) Enable(on bool) error {
	if err := f.instance.expand(); err != nil {
		return err
	}
	r := f.event.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.removed {
		return unix.ENODEV
	}
	return f.setEnabled(on)
}

// setEnabled is Enable with the registry locked.
func (f *EventFile) setEnabled(on bool) error {
	if f.event.Fixed {
		if on {
			return unix.EINVAL
		}
		return nil
	}
	defer f.event.refreshDirect()
	before, silent := f.enabled, f.state.Load().silent
	wasSilent := silent.Load()
	f.enabled = on
	silent.Store(!on)
	if err := f.event.publish(); err != nil {
		f.enabled = before
		silent.Store(wasSilent)
		return err
	}
	f.recorded = f.recorded || on
	return nil
}

// SetEnabled enables or disables the events of the instance with the given system and
// name; "" stands for any. Errors: EINVAL if there is none, unless all are meant;
// otherwise the first error of an event, after all were tried.
func (i *Instance) SetEnabled(system, name string, on bool) error {
	if system == "" && name == "" && !i.registry.hasEvents() {
		return nil // Linux always has events
	}
	return i.setEnabled(func(e *Event) bool { return (system == "" || e.System == system) && (name == "" || e.Name == name) }, on)
}

// SetEnabledMatching is SetEnabled for the events whose name or system is match.
func (i *Instance) SetEnabledMatching(match string, on bool) error {
	return i.setEnabled(func(e *Event) bool { return e.System == match || e.Name == match }, on)
}

func (i *Instance) setEnabled(wanted func(e *Event) bool, on bool) error {
	if on {
		if err := i.expand(); err != nil {
			return err
		}
	}
	r := i.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	var first error = unix.EINVAL
	found := false
	for _, e := range r.events {
		f := i.file(e)
		if e.Fixed || f == nil || !wanted(e) {
			continue
		}
		err := f.setEnabled(on)
		if !found || first == nil {
			first = err
		}
		found = true
	}
	return first
}

// EnabledState returns the contents of the file enable of a system, or of all events if
// system is "": 0, 1, X if only some are enabled, or ? if there are none.
func (i *Instance) EnabledState(system string) string {
	r := i.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	set := 0
	for _, e := range r.events {
		f := i.file(e)
		if e.Fixed || f == nil || system != "" && e.System != system {
			continue
		}
		if f.wanted() {
			set |= 2
		} else {
			set |= 1
		}
	}
	return []string{"?", "0", "1", "X"}[set]
}

// EnabledEvents returns the events that are enabled, the newest first.
func (i *Instance) EnabledEvents() []*Event {
	r := i.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	var enabled []*Event
	for _, e := range slices.Backward(r.events) {
		if f := i.file(e); f != nil && f.wanted() {
			enabled = append(enabled, e)
		}
	}
	return enabled
}

// noFilter is what the file filter shows without a filter.
const noFilter = "none"

// Filter returns the contents of the file filter, without the last newline. Error: ENODEV
// if the event was removed.
func (f *EventFile) Filter() (string, error) {
	r := f.event.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.removed {
		return "", unix.ENODEV
	}
	if current := f.filter.Load(); current != nil {
		return current.text, nil
	}
	return noFilter, nil
}

// SetFilter sets the filter of the event. "0" removes it. A bad filter removes the old one
// too, and the file filter shows the error, as on Linux. Errors: those of ParseFilter,
// ENODEV.
func (f *EventFile) SetFilter(text string) error {
	r := f.event.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.removed {
		return unix.ENODEV
	}
	defer f.event.refreshDirect()
	if trimSpaces(text) == "0" {
		f.filter.Store(nil)
		return nil
	}
	return f.setFilter(trimRight(text), "")
}

// setFilter parses and sets a filter. If it is bad, the error has the given text, or that
// of the parser. The registry is locked.
func (f *EventFile) setFilter(text, instead string) error {
	parsed, err := ParseFilter(f.event, text)
	if err == nil {
		f.filter.Store(&fileFilter{filter: parsed, text: text})
		return nil
	}
	e, ok := err.(*filter.Error)
	if !ok {
		return err
	}
	shown := *e
	if instead != "" {
		shown.Text, shown.Position = instead, 0
	}
	f.filter.Store(&fileFilter{text: f.instance.badFilter(text, &shown)})
	return err
}

// badFilter logs an error of a filter and returns the text of the file filter.
func (i *Instance) badFilter(text string, e *filter.Error) string {
	const location = "event filter parse error"
	if e.Text == "" {
		i.Log(location, text, filter.ErrUnknown, 0)
		return text + "\nError: (0)\n"
	}
	i.Log(location, text, e.Text, e.Position)
	return text + "\n" + spaces(min(e.Position, len(text))) + "^\nparse_error: " + e.Text + "\n"
}

// defaultSystemFilter is what the file filter of a system shows.
const defaultSystemFilter = `### global filter ###
# Use this to set filters for multiple events.
# Only events with the given fields will be affected.
# If no events are modified, an error message will be displayed here`

// SystemFilter returns the contents of a system's file filter, without the last newline.
func (i *Instance) SystemFilter(system string) string {
	r := i.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if text, bad := i.systemFilters[system]; bad {
		return text
	}
	return defaultSystemFilter
}

// SetSystemFilter sets the filter of all events of a system. An event that does not have
// the fields gets a bad filter, as on Linux. "0" removes the filters. Error: ENODEV if the
// system has no event.
func (i *Instance) SetSystemFilter(system, text string) error {
	r := i.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	found := false
	remove := trimSpaces(text) == "0"
	text = trimRight(text)
	for _, e := range slices.Backward(r.events) {
		f := i.file(e)
		if e.System != system || f == nil {
			continue
		}
		found = true
		if remove {
			f.filter.Store(nil)
		} else {
			f.setFilter(text, filter.ErrSubsystem) // errors are shown in the event's file
		}
		f.event.refreshDirect()
	}
	delete(i.systemFilters, system)
	if !found {
		return unix.ENODEV
	}
	return nil
}
