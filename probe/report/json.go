package report

import (
	"bufio"
	"encoding/json"
	"io"

	"slowpath/probe/unwind"
	"slowpath/probe/values"
)

// JSON writes one object in each line.
type JSON struct {
	buffer  *bufio.Writer
	encoder *json.Encoder
}

// NewJSON returns a sink that writes JSON to w.
func NewJSON(w io.Writer) *JSON {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return &JSON{b, e}
}

// line is the object of a hit.
type line struct {
	Event     string         `json:"event"` // entry, return or line
	Time      uint64         `json:"time_ns"`
	CPU       uint32         `json:"cpu"`
	Process   uint32         `json:"pid"`
	Thread    uint32         `json:"tid"`
	Goroutine uint64         `json:"goroutine,omitempty"`
	Comm      string         `json:"comm"`
	Probe     string         `json:"probe"`
	Function  string         `json:"function"`
	File      string         `json:"file"`
	Arguments map[string]any `json:"arguments,omitempty"`
	Results   []any          `json:"results,omitempty"`
	TailCall  bool           `json:"tail_call,omitempty"`
	Elapsed   *uint64        `json:"elapsed_ns,omitempty"`
	Stack     []frame        `json:"stack,omitempty"`
}

// frame is a frame of the stack.
type frame struct {
	Address  string `json:"address"`
	Function string `json:"function,omitempty"`
	Offset   uint64 `json:"offset"`
	Inlined  bool   `json:"inlined,omitempty"`
	Module   string `json:"module,omitempty"`
	InModule string `json:"module_address,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// kindOf returns what an event is.
func kindOf(e *Event) string {
	switch s := &e.Probe.Site; {
	case s.Return:
		return "return"
	case s.Entry || s.CopyEntry:
		return "entry"
	}
	return "line"
}

// Event writes an object.
func (j *JSON) Event(e *Event) error {
	l := line{
		Event: kindOf(e), Time: e.Time, CPU: e.CPU, Process: e.Process, Thread: e.Thread, Goroutine: e.Call.GoID, Comm: e.Comm,
		Probe: e.Probe.Spec.Text, Function: e.Probe.Site.Name, File: e.Probe.Site.Object.Path,
	}
	l.TailCall = e.TailCall
	if e.HasElapsed {
		l.Elapsed = &e.Elapsed
	}
	if e.Probe.Site.Return {
		l.Results = results(e.Values)
	} else {
		l.Arguments = arguments(e.Values)
	}
	for _, f := range e.Stack {
		l.Stack = append(l.Stack, frameOf(f))
	}
	return j.encoder.Encode(&l)
}

// Flush writes what is buffered.
func (j *JSON) Flush() error { return j.buffer.Flush() }

// frameOf returns the object of a frame.
func frameOf(f unwind.Frame) frame {
	object := frame{Address: hexadecimal(f.Address), Function: f.Function, Offset: f.Offset, Inlined: f.Inlined, Module: f.Module, File: f.File, Line: f.Line}
	if f.Module != "" {
		object.InModule = hexadecimal(f.FileAddress)
	}
	return object
}

// Close writes the rest.
func (j *JSON) Close(*Summary) error { return j.buffer.Flush() }

func arguments(named []values.Named) map[string]any {
	if len(named) == 0 {
		return nil
	}
	m := make(map[string]any, len(named))
	for _, v := range named {
		m[v.Name] = v.Value.JSON()
	}
	return m
}

func results(named []values.Named) (list []any) {
	for _, v := range named {
		list = append(list, v.Value.JSON())
	}
	return list
}

func hexadecimal(n uint64) string {
	return values.Value{Kind: values.Address, Bits: n}.String()
}
