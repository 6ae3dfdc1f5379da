package strace

import (
	"encoding/json"
	"io"

	"slowpath/strace/decode"
)

// JSON writes one object in each line.
type JSON struct {
	silent
	table   *decode.Table
	printer *decode.Printer
	encoder *json.Encoder
	err     error
}

// line is an object of JSON.
type line struct {
	Event    string   `json:"event"`
	Time     uint64   `json:"time_ns"`
	Process  uint32   `json:"pid"`
	Thread   uint32   `json:"tid"`
	CPU      *uint32  `json:"cpu,omitempty"`
	Name     string   `json:"name,omitempty"`
	Raw      []uint64 `json:"raw,omitempty"`
	Args     []string `json:"args,omitempty"`
	Result   *int64   `json:"result,omitempty"`
	Text     string   `json:"text,omitempty"`
	Errno    string   `json:"errno,omitempty"`
	Duration *uint64  `json:"duration_ns,omitempty"`
	Injected bool     `json:"injected,omitempty"`
	Parent   uint32   `json:"parent,omitempty"`
}

// NewJSON returns a sink that writes JSON.
func NewJSON(t *decode.Table, w io.Writer) *JSON {
	return &JSON{table: t, printer: t.Printer(), encoder: json.NewEncoder(w)}
}

func (j *JSON) put(l line) {
	if err := j.encoder.Encode(l); j.err == nil {
		j.err = err
	}
}

// Attached implements Sink.
func (j *JSON) Attached(t, parent *Thread, now uint64) {
	l := line{Event: "attached", Time: now, Process: t.Process, Thread: t.ID}
	if parent != nil {
		l.Parent = parent.ID
	}
	j.put(l)
}

// Enter implements Sink.
func (j *JSON) Enter(_ *Thread, c *Call) { c.keepTexts() }

// Leave implements Sink.
func (j *JSON) Leave(t *Thread, c *Call) {
	l := j.call("call", t, c)
	c.Row.Result(j.printer, c.Call)
	duration := c.End - c.Begin
	l.Text, l.Result, l.Duration, l.Injected = j.printer.Take(), &c.Result, &duration, c.Injected != 0
	if c.Failed() {
		l.Errno = decode.ErrnoName(int(-c.Result))
	}
	j.put(l)
}

// Unfinished implements Sink.
func (j *JSON) Unfinished(t *Thread, c *Call, _ uint64) { j.put(j.call("unfinished", t, c)) }

func (j *JSON) call(event string, t *Thread, c *Call) line {
	return line{Event: event, Time: c.Begin, Process: t.Process, Thread: t.ID, CPU: &c.CPU, Name: c.Row.Name, Raw: c.Arguments[:], Args: c.texts()}
}

// Signal implements Sink.
func (j *JSON) Signal(t *Thread, info []byte, now uint64) {
	j.put(line{Event: "signal", Time: now, Process: t.Process, Thread: t.ID, Name: decode.SignalName(signalOf(info)), Text: j.table.Siginfo(info)})
}

// Superseded implements Sink.
func (j *JSON) Superseded(t *Thread, by uint32, now uint64) {
	j.put(line{Event: "superseded", Time: now, Process: t.Process, Thread: t.ID, Parent: by})
}

// Exited implements Sink.
func (j *JSON) Exited(t *Thread, status uint32, now uint64) {
	j.put(line{Event: "exited", Time: now, Process: t.Process, Thread: t.ID, Text: exitText(status)})
}

// Close implements Sink.
func (j *JSON) Close() error { return j.err }
