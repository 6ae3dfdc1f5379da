package strace

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"slowpath/strace/decode"
)

// Perfetto writes calls as slices in the trace event format, which ui.perfetto.dev loads: a
// track for each thread, with signals and ends of threads as instants.
type Perfetto struct {
	silent
	table   *decode.Table
	printer *decode.Printer
	w       *bufio.Writer
	first   bool
	err     error
}

// slice is one event of the format. Times are in microseconds.
type slice struct {
	Name     string         `json:"name"`
	Phase    string         `json:"ph"`
	Time     float64        `json:"ts"`
	Duration float64        `json:"dur,omitempty"`
	Process  uint32         `json:"pid"`
	Thread   uint32         `json:"tid"`
	Scope    string         `json:"s,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
}

// NewPerfetto returns a sink that writes a trace.
func NewPerfetto(t *decode.Table, w io.Writer) *Perfetto {
	return &Perfetto{table: t, printer: t.Printer(), w: bufio.NewWriter(w), first: true}
}

func (p *Perfetto) put(s slice) {
	separator := ",\n"
	if p.first {
		separator, p.first = "[\n", false
	}
	text, err := json.Marshal(s)
	if p.err == nil {
		p.err = err
	}
	p.w.WriteString(separator)
	p.w.Write(text)
}

// micro converts nanoseconds.
func micro(ns uint64) float64 { return float64(ns) / 1e3 }

// Attached implements Sink.
func (p *Perfetto) Attached(t, _ *Thread, now uint64) {
	p.put(slice{Name: "thread_name", Phase: "M", Time: micro(now), Process: t.Process, Thread: t.ID, Args: map[string]any{"name": fmt.Sprintf("task %d", t.ID)}})
}

// Enter implements Sink.
func (p *Perfetto) Enter(_ *Thread, c *Call) { c.keepTexts() }

// Leave implements Sink.
func (p *Perfetto) Leave(t *Thread, c *Call) {
	c.Row.Result(p.printer, c.Call)
	p.call(t, c, c.End, p.printer.Take())
}

// Unfinished implements Sink.
func (p *Perfetto) Unfinished(t *Thread, c *Call, now uint64) { p.call(t, c, now, "?") }

func (p *Perfetto) call(t *Thread, c *Call, end uint64, result string) {
	p.put(slice{Name: c.Row.Name, Phase: "X", Time: micro(c.Begin), Duration: micro(end - c.Begin), Process: t.Process, Thread: t.ID,
		Args: map[string]any{"arguments": c.texts(), "result": result, "cpu": c.CPU}})
}

// Signal implements Sink.
func (p *Perfetto) Signal(t *Thread, info []byte, now uint64) {
	p.instant(t, decode.SignalName(signalOf(info)), p.table.Siginfo(info), now)
}

// Exited implements Sink.
func (p *Perfetto) Exited(t *Thread, status uint32, now uint64) {
	p.instant(t, "exit", exitText(status), now)
}

func (p *Perfetto) instant(t *Thread, name, text string, now uint64) {
	p.put(slice{Name: name, Phase: "i", Time: micro(now), Process: t.Process, Thread: t.ID, Scope: "t", Args: map[string]any{"text": text}})
}

// Close implements Sink.
func (p *Perfetto) Close() error {
	if p.first {
		p.w.WriteString("[")
	}
	p.w.WriteString("\n]\n")
	if err := p.w.Flush(); p.err == nil {
		p.err = err
	}
	return p.err
}
