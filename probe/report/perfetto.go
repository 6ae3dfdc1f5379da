package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Perfetto writes a trace in the format that ui.perfetto.dev and Chrome's trace viewer load
// (Google, "Trace Event Format"): a slice for each call whose entry and return were seen,
// and an instant for any other hit. A goroutine has a track of its own.
type Perfetto struct {
	w       *bufio.Writer
	begun   bool
	waiting map[call]traceEvent
	named   map[track]bool
}

// track is a track of the trace.
type track struct{ process, thread uint64 }

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
	return &Perfetto{w: bufio.NewWriter(w), waiting: map[call]traceEvent{}, named: map[track]bool{}}
}

// traceEvent is an event of the format. Times are in microseconds.
type traceEvent struct {
	Name     string         `json:"name"`
	Phase    string         `json:"ph"`
	Time     float64        `json:"ts"`
	Duration *float64       `json:"dur,omitempty"`
	Process  uint64         `json:"pid"`
	Thread   uint64         `json:"tid"`
	Scope    string         `json:"s,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
}

func (p *Perfetto) write(e traceEvent) error {
	separator := ",\n"
	if !p.begun {
		separator = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
		p.begun = true
	}
	if _, err := p.w.WriteString(separator); err != nil {
		return err
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = p.w.Write(text)
	return err
}

// nameTrack writes the names of a track before its first event.
func (p *Perfetto) nameTrack(e *Event, t track) error {
	if p.named[t] {
		return nil
	}
	p.named[t] = true
	name := fmt.Sprintf("%s %d", e.Comm, e.Thread)
	if t.thread >= goroutineTracks {
		name = fmt.Sprintf("goroutine %d", goroutine(e))
	}
	for what, text := range map[string]string{"process_name": fmt.Sprintf("%s %d", e.Comm, e.Process), "thread_name": name} {
		if err := p.write(traceEvent{Name: what, Phase: "M", Process: t.process, Thread: t.thread, Args: map[string]any{"name": text}}); err != nil {
			return err
		}
	}
	return nil
}

// Event writes an instant, or remembers an entry, or writes the slice of a call.
func (p *Perfetto) Event(e *Event) error {
	t := track{uint64(e.Process), uint64(e.Thread)}
	if e.Call.Goroutine != 0 {
		t.thread = goroutineTracks + goroutine(e)
	}
	if err := p.nameTrack(e, t); err != nil {
		return err
	}
	event := traceEvent{
		Name: e.Name(), Phase: "i", Scope: "t", Time: float64(e.Time) / 1e3, Process: t.process, Thread: t.thread, Args: namedValues(e),
	}
	switch {
	case e.Probe.Site.Return && e.HasElapsed:
		return p.slice(e, event)
	case e.Probe.Site.Entry && len(p.waiting) < maxCalls:
		return p.enter(e, event)
	case e.Probe.Site.Return:
		event.Name += " returns"
	}
	return p.write(event)
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
func (p *Perfetto) enter(e *Event, event traceEvent) error {
	c := callOf(e)
	old, known := p.waiting[c]
	p.waiting[c] = event
	if known {
		return p.write(old)
	}
	return nil
}

// slice writes the slice of a call that returns.
func (p *Perfetto) slice(e *Event, event traceEvent) error {
	c := callOf(e)
	args := map[string]any{}
	for _, removed := range []uint64{returnAddress, 0} {
		c.depth = e.Call.Depth + removed
		if entry, ok := p.waiting[c]; ok {
			delete(p.waiting, c)
			for name, value := range entry.Args {
				args[name] = value
			}
			break
		}
	}
	for name, value := range event.Args {
		args[name] = value
	}
	length := float64(e.Elapsed) / 1e3
	event.Phase, event.Scope, event.Args, event.Duration = "X", "", args, &length
	event.Time = float64(e.Time-e.Elapsed) / 1e3
	return p.write(event)
}

// Close writes the entries without a return and the end of the file.
func (p *Perfetto) Close(s *Summary) error {
	for _, e := range p.waiting {
		if err := p.write(e); err != nil {
			return err
		}
	}
	if !p.begun {
		p.w.WriteString("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")
	}
	fmt.Fprintf(p.w, "],\n\"otherData\":{\"lost\":%d}}\n", s.Lost)
	return p.w.Flush()
}
