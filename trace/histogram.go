package trace

import (
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/trace/hist"
)

// histogram is what a trigger hist has besides the others.
type histogram struct {
	*hist.Histogram            // other triggers with the same name have the same
	spec            *hist.Spec // of this trigger
	paused          atomic.Bool
}

// add counts a record of a thread.
func (h *histogram) add(i *Instance, t Task, record []byte) {
	if h.paused.Load() {
		return
	}
	c := i.currentClock()
	s := hist.Sample{Record: record, CPU: i.registry.config.CPU(), TID: t.TID(), Comm: t.Comm(), Time: c.now(i.registry), Nanoseconds: c.nanoseconds}
	h.Add(&s)
}

// String returns the text of the trigger without its filter.
func (h *histogram) String() string { return h.spec.String() }

// state returns what the file trigger shows at the end.
func (h *histogram) state() string {
	if h.paused.Load() {
		return " [paused]"
	}
	return " [active]"
}

// isHist reports whether the trigger is a histogram.
func (t *trigger) isHist() bool { return t.histogram != nil }

// setHistogram adds, changes or removes a trigger hist with these parameters (Linux:
// event_hist_trigger_parse). The registry is locked. Errors: *hist.Error, those of ParseFilter,
// ENOMEM.
func (f *EventFile) setHistogram(c *triggerCommand, text string, remove bool) error {
	err := f.changeHistogram(c, text, remove)
	if e, ok := err.(*hist.Error); ok {
		f.logHistogram(text, e)
	}
	return err
}

// logHistogram logs an error that Linux logs.
func (f *EventFile) logHistogram(text string, e *hist.Error) {
	if e.Before != nil {
		f.logHistogram(text, e.Before)
	}
	if e.Text != "" {
		f.instance.Log("hist:"+f.event.System+":"+f.event.Name, "hist:"+text, e.Text, e.Position)
	}
}

func (f *EventFile) changeHistogram(c *triggerCommand, text string, remove bool) error {
	if text == "" {
		return unix.EINVAL
	}
	spec, err := hist.Parse(slices.Concat(commonFields, f.event.Fields), text)
	if err != nil {
		return err
	}
	t := &trigger{command: c, file: f, histogram: &histogram{spec: spec}}
	t.count.Store(unlimited)
	if spec.Condition != "" {
		if t.filter, err = ParseFilter(f.event, spec.Condition); err != nil {
			return err
		}
	}
	named := f.event.registry.namedHistogram(spec.Name)
	at := slices.IndexFunc(f.state.Load().triggers, func(one *trigger) bool { return t.countsLike(one, named) })
	if remove {
		if at >= 0 {
			f.dropTrigger(at)
		}
		return nil
	}
	if at >= 0 && (spec.Pause || spec.Continue || spec.Clear) {
		f.state.Load().triggers[at].histogram.update(spec)
		return nil
	}
	switch {
	case named != nil && !named.Spec().Same(spec):
		return spec.At(unix.EINVAL, hist.NamedMismatch, spec.Name)
	case at >= 0:
		return &hist.Error{Errno: unix.EEXIST, Text: hist.Exists}
	case spec.Continue || spec.Clear:
		return &hist.Error{Errno: unix.ENOENT, Text: hist.NothingToClear}
	case len(f.state.Load().triggers) >= maxTriggers:
		return unix.ENOSPC
	}
	return f.addHistogram(t, named)
}

// addHistogram makes the map of a new trigger, unless it shares that of a named one, and adds
// the trigger. The registry is locked.
func (f *EventFile) addHistogram(t *trigger, named *hist.Histogram) error {
	h, spec, memory := t.histogram, t.histogram.spec, f.event.registry.config.Memory
	if spec.Clock != "" && f.instance.SetClock(spec.Clock) != nil {
		return spec.At(unix.EINVAL, hist.BadClock, spec.Clock)
	}
	if h.Histogram = named; named == nil {
		if err := memory.Reserve(spec.Bytes()); err != nil {
			return err
		}
		defer memory.Unreserve(spec.Bytes())
		h.Histogram = hist.New(spec)
	}
	h.paused.Store(spec.Pause)
	return f.addTrigger(t)
}

// update does what pause, cont and clear ask for.
func (h *histogram) update(spec *hist.Spec) {
	switch {
	case spec.Pause:
		h.paused.Store(true)
	case spec.Continue:
		h.paused.Store(false)
	case spec.Clear:
		h.Clear()
	}
}

// countsLike reports whether another trigger of the event is the same histogram (Linux:
// hist_trigger_match). named is the histogram with the name of t, or nil.
func (t *trigger) countsLike(other *trigger, named *hist.Histogram) bool {
	if !other.isHist() || !t.histogram.spec.Same(other.histogram.spec) {
		return false
	}
	if named != nil {
		if other.histogram.Histogram != named {
			return false
		}
	} else if other.histogram.spec.Name != "" {
		return false
	}
	if t.filter == nil || other.filter == nil {
		return t.filter == other.filter
	}
	return t.filter.String() == other.filter.String()
}

// namedHistogram returns the histogram with a name, or nil. r.mu is held.
func (r *Registry) namedHistogram(name string) *hist.Histogram {
	if name == "" {
		return nil
	}
	for _, e := range r.events {
		for _, f := range e.files {
			for _, t := range f.state.Load().triggers {
				if t.isHist() && t.histogram.spec.Name == name {
					return t.histogram.Histogram
				}
			}
		}
	}
	return nil
}

// pauseHistograms pauses or continues the histograms of the event.
func (f *EventFile) pauseHistograms(paused bool) {
	for _, t := range f.state.Load().triggers {
		if t.isHist() {
			t.histogram.paused.Store(paused)
		}
	}
}

// Histograms returns the contents of the file hist: the histograms of the event. Errors: ENODEV
// if the event was removed, ENOMEM.
func (f *EventFile) Histograms() (string, error) {
	r := f.event.registry
	triggers, err := f.histograms()
	if err != nil {
		return "", err
	}
	var text []byte
	for n, t := range triggers {
		const lineBytes = 4 // times the bytes of an entry, which has a short name for each value
		bytes := lineBytes * t.histogram.Spec().Bytes()
		if err := r.config.Memory.Reserve(bytes); err != nil {
			return "", err
		}
		if n > 0 {
			text = append(text, "\n\n"...)
		}
		text = append(append(append(text, "# event histogram\n#\n# trigger info: "...), t.String()...), "\n#\n\n"...)
		text = t.histogram.AppendText(text, r.callName)
		r.config.Memory.Unreserve(bytes)
	}
	return string(text), nil
}

// histograms returns the triggers hist of the event.
func (f *EventFile) histograms() (all []*trigger, err error) {
	f.event.registry.mu.Lock()
	defer f.event.registry.mu.Unlock()
	if f.removed {
		return nil, unix.ENODEV
	}
	for _, t := range f.state.Load().triggers {
		if t.isHist() {
			all = append(all, t)
		}
	}
	return all, nil
}

// callName returns the name of a system call for the modifier syscall, or "".
func (r *Registry) callName(number uint64) string {
	if r.config.CallName == nil {
		return ""
	}
	return r.config.CallName(number)
}
