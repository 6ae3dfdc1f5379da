package report

import (
	"fmt"
	"io"

	"slowpath/traceevent"
)

// Perfetto writes a trace in the format that ui.perfetto.dev and Chrome's trace viewer load
// (Google, "Trace Event Format"): a slice for each call whose entry and return were seen,
// and an instant for any other hit. A goroutine has a track of its own.
type Perfetto struct {
	w       *traceevent.Writer
	waiting map[call]traceEvent
	named   map[traceevent.Track]bool
}

// goroutineTracks is added to the number of a goroutine to get that of its track.
const goroutineTracks = 1 << 32

// goroutine returns the number of the goroutine of an event, or the low half of the address
// of its g if a stripped program does not tell where the number is.
func goroutine(e *Event) uint64 {
	if e.Call.GoID != 0 {
		return e.Call.GoID
	}
	return e.Call.Goroutine & (goroutineTracks - 1)
}

// NewPerfetto returns a sink that writes a trace to w.
func NewPerfetto(w io.Writer) *Perfetto {
	return &Perfetto{w: traceevent.New(w), waiting: map[call]traceEvent{}, named: map[traceevent.Track]bool{}}
}

// traceEvent is an instant, or a slice with a length. Times are in nanoseconds.
type traceEvent struct {
	name         string
	track        traceevent.Track
	time, length uint64
	slice        bool
	args         map[string]any
}

func (p *Perfetto) write(e traceEvent) {
	if e.slice {
		p.w.Slice(e.name, "", e.track, e.time, e.time+e.length)
	} else {
		p.w.Instant(e.name, "", e.track, e.time)
	}
	if len(e.args) > 0 {
		p.w.JSON("args", e.args)
	}
	p.w.End()
}

// nameTrack writes the names of a track before its first event.
func (p *Perfetto) nameTrack(e *Event, t traceevent.Track) {
	if p.named[t] {
		return
	}
	p.named[t] = true
	name := fmt.Sprintf("%s %d", e.Comm, e.Thread)
	if t.Thread >= goroutineTracks {
		name = fmt.Sprintf("goroutine %d", goroutine(e))
	}
	p.w.Metadata("process_name", t, fmt.Sprintf("%s %d", e.Comm, e.Process))
	p.w.Metadata("thread_name", t, name)
}

// Event writes an instant, or remembers an entry, or writes the slice of a call.
func (p *Perfetto) Event(e *Event) error {
	t := traceevent.Track{Process: uint64(e.Process), Thread: uint64(e.Thread)}
	if e.Call.Goroutine != 0 {
		t.Thread = goroutineTracks + goroutine(e)
	}
	p.nameTrack(e, t)
	event := traceEvent{name: e.Name(), track: t, time: uint64(e.Time), args: namedValues(e)}
	switch {
	case e.Probe.Site.Return && e.HasElapsed:
		p.slice(e, event)
		return nil
	case e.Probe.Site.Entry && len(p.waiting) < maxCalls:
		p.enter(e, event)
		return nil
	case e.Probe.Site.Return:
		event.name += " returns"
	}
	p.write(event)
	return nil
}

// namedValues returns the arguments of an entry, or the results of a return. A result
// without a name gets one.
func namedValues(e *Event) map[string]any {
	if !e.Probe.Site.Return {
		return arguments(e.Values)
	}
	m := map[string]any{}
	for i, v := range e.Values {
		name := v.Name
		if name == "" {
			name = "result"
			if len(e.Values) > 1 {
				name = fmt.Sprintf("result %d", i+1)
			}
		}
		m[name] = v.Value.JSON()
	}
	return m
}

// enter keeps an entry until its return. An older entry at the same place never returned.
func (p *Perfetto) enter(e *Event, event traceEvent) {
	c := callOf(e)
	old, known := p.waiting[c]
	p.waiting[c] = event
	if known {
		p.write(old)
	}
}

// slice writes the slice of a call that returns.
func (p *Perfetto) slice(e *Event, event traceEvent) {
	c := callOf(e)
	args := map[string]any{}
	for _, removed := range []uint64{returnAddress, 0} {
		c.depth = e.Call.Depth + removed
		if entry, ok := p.waiting[c]; ok {
			delete(p.waiting, c)
			for name, value := range entry.args {
				args[name] = value
			}
			break
		}
	}
	for name, value := range event.args {
		args[name] = value
	}
	event.slice, event.args = true, args
	event.time, event.length = uint64(e.Time-e.Elapsed), uint64(e.Elapsed)
	p.write(event)
}

// Close writes the entries without a return and the end of the file.
func (p *Perfetto) Close(s *Summary) error {
	for _, e := range p.waiting {
		p.write(e)
	}
	return p.w.Close(s.Lost)
}
