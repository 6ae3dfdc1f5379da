package strace

import (
	"fmt"
	"io"

	"slowpath/strace/decode"
	"slowpath/traceevent"
)

// Perfetto writes calls as slices in the trace event format, which ui.perfetto.dev loads: a
// track for each thread, with signals and ends of threads as instants.
type Perfetto struct {
	silent
	table   *decode.Table
	printer *decode.Printer
	w       *traceevent.Writer
	lost    uint64
}

// NewPerfetto returns a sink that writes a trace.
func NewPerfetto(t *decode.Table, w io.Writer) *Perfetto {
	return &Perfetto{table: t, printer: t.Printer(), w: traceevent.New(w)}
}

// trackOf returns the track of a thread.
func trackOf(t *Thread) traceevent.Track {
	return traceevent.Track{Process: uint64(t.Process), Thread: uint64(t.ID)}
}

// Attached implements Sink.
func (p *Perfetto) Attached(t, _ *Thread, _ uint64) {
	p.w.Metadata("thread_name", trackOf(t), fmt.Sprintf("task %d", t.ID))
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
	p.w.Slice(c.Row.Name, "", trackOf(t), c.Begin, end)
	p.w.Arguments()
	p.w.JSON("arguments", c.texts())
	p.w.Number("cpu", uint64(c.CPU))
	p.w.Text("result", result)
	p.w.End()
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
	p.w.Instant(name, "", trackOf(t), now)
	p.w.Arguments()
	p.w.Text("text", text)
	p.w.End()
}

// Lost implements Sink.
func (p *Perfetto) Lost(n uint64) { p.lost += n }

// Close implements Sink.
func (p *Perfetto) Close() error { return p.w.Close(p.lost) }
