// Package report shows the hits of probes: as text, as JSON, for Perfetto, as counts and as
// a histogram of the time in functions.
package report

import (
	"fmt"
	"path"

	"slowpath/probe/plan"
	"slowpath/probe/unwind"
	"slowpath/probe/values"
	"slowpath/probespec"
)

// Event is a hit with decoded values.
type Event struct {
	Probe                *plan.Probe
	Time                 uint64 // nanoseconds since boot
	CPU, Process, Thread uint32
	Comm                 string
	Call                 values.Call
	Values               []values.Named
	Stack                []unwind.Frame
	// TailCall is true if the function was left by a jump to another function, which
	// returns in its place. There are no values.
	TailCall bool
	// Elapsed is the time since the entry of the function in nanoseconds, for a return
	// whose entry was seen.
	Elapsed    uint64
	HasElapsed bool
}

// Sink takes events.
type Sink interface {
	// Event takes an event. It must not keep it.
	Event(e *Event) error
	// Close writes what is written at the end.
	Close(s *Summary) error
}

// Summary is what is known at the end.
type Summary struct {
	// Lost is the number of hits that the kernel could not send.
	Lost uint64
	// Unpaired is the number of returns whose entry was not seen.
	Unpaired uint64
}

// Reporter decodes the records of the kernel and gives them to the sinks.
type Reporter struct {
	plan     *plan.Plan
	sinks    []Sink
	pairs    *pairs
	unwinder *unwind.Unwinder
	summary  Summary
	failures []probespec.Failure
	err      error // the first of a sink
	hits     uint64
}

// New returns a reporter for the probes of a plan.
func New(p *plan.Plan, sinks ...Sink) *Reporter {
	return &Reporter{plan: p, sinks: sinks, pairs: newPairs(), unwinder: unwind.New(p.Objects)}
}

// Write takes a batch of records. It fails if the batch is damaged, or if a sink cannot be
// written.
func (r *Reporter) Write(batch []byte) error {
	if err := probespec.Decode(batch, r); err != nil {
		return err
	}
	for _, s := range r.sinks {
		if f, ok := s.(flusher); ok && r.err == nil {
			r.fail(f.Flush())
		}
	}
	return r.err
}

// flusher is a sink that shows hits while the program runs.
type flusher interface {
	// Flush writes what is buffered.
	Flush() error
}

// fail keeps the first error of a sink.
func (r *Reporter) fail(err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("the hits cannot be written: %w", err)
	}
}

// Hit implements probespec.Handler.
func (r *Reporter) Hit(h *probespec.Hit) {
	if int(h.ID) >= len(r.plan.Probes) || r.err != nil {
		return
	}
	p := &r.plan.Probes[h.ID]
	decoded := p.Layout.Decode(h.Values)
	e := &Event{
		Probe: p, Time: h.Time, CPU: h.CPU, Process: h.Process, Thread: h.Thread, Comm: h.Comm,
		Call: decoded.Call, Values: decoded.Values, TailCall: h.TailCall,
	}
	if e.TailCall {
		e.Values = nil // the result is that of the other function
	}
	if h.Registers != nil {
		at := unwind.AtInstruction
		if p.Site.Return && !e.TailCall {
			at = unwind.AfterReturn
		}
		e.Stack = r.unwinder.Unwind(h.Process, h.Registers, h.Stack, at)
	}
	r.hits++
	r.pair(e)
	for _, s := range r.sinks {
		r.fail(s.Event(e))
	}
}

// pair joins the entry and the return of a call.
func (r *Reporter) pair(e *Event) {
	switch {
	case e.Probe.Site.Return:
		entry, ok := r.pairs.leave(e)
		if ok && e.Time >= entry {
			e.Elapsed, e.HasElapsed = e.Time-entry, true
		}
		if !ok && r.plan.HasEntry(&e.Probe.Site) {
			r.summary.Unpaired++
		}
	case e.Probe.Site.Entry:
		r.pairs.enter(e)
	}
}

// Lost implements probespec.Handler.
func (r *Reporter) Lost(n uint64) { r.summary.Lost += n }

// Maps implements probespec.Handler.
func (r *Reporter) Maps(process uint32, maps []byte) { r.unwinder.Map(process, maps) }

// Failure implements probespec.Handler.
func (r *Reporter) Failure(f probespec.Failure) { r.failures = append(r.failures, f) }

// Failures returns the probes that could not be set.
func (r *Reporter) Failures() []probespec.Failure { return r.failures }

// Hits returns the number of hits.
func (r *Reporter) Hits() uint64 { return r.hits }

// Close ends the output.
func (r *Reporter) Close() (Summary, error) {
	for _, s := range r.sinks {
		r.fail(s.Close(&r.summary))
	}
	return r.summary, r.err
}

// Name returns the name of the probed place for the output.
func (e *Event) Name() string { return Name(e.Probe) }

// Name returns the name of a probed place: with the library, if it is not in the program.
func Name(p *plan.Probe) string {
	if p.Spec.Library == "" {
		return p.Site.Name
	}
	return path.Base(p.Spec.Library) + ":" + p.Site.Name
}
