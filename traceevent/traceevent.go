// Package traceevent writes the trace event format that ui.perfetto.dev and Chrome's trace
// viewer load (Google, "Trace Event Format").
package traceevent

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
)

// Track is a track of the trace: a thread of a process. Both are numbers that the caller
// chooses.
type Track struct{ Process, Thread uint64 }

// Writer writes a trace. An event is written by Begin, Slice or Instant, then its fields,
// then End. Events are written as they come, and nothing is allocated for each, because a
// trace may have millions. Errors are reported by Close. It is not safe for concurrent use.
type Writer struct {
	w     *bufio.Writer
	event []byte // the event that is being written
	any   bool   // an event was written
	args  bool   // the event has the field args
	bare  bool   // no field follows a bracket yet
	err   error
}

// New returns a writer.
func New(w io.Writer) *Writer { return &Writer{w: bufio.NewWriterSize(w, 64<<10)} }

// Begin begins an event of a phase: one of the letters of the format.
func (w *Writer) Begin(name, phase string, t Track) {
	b := w.event[:0]
	if w.any {
		b = append(b, ",\n"...)
	} else {
		b = append(b, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"...)
	}
	w.any, w.args, w.bare = true, false, false
	b = append(b, `{"name":`...)
	b = quote(b, name)
	b = append(b, `,"ph":"`...)
	b = append(b, phase...)
	b = append(b, `","pid":`...)
	b = strconv.AppendUint(b, t.Process, 10)
	b = append(b, `,"tid":`...)
	w.event = strconv.AppendUint(b, t.Thread, 10)
}

// Slice begins an event with a duration. Times are in nanoseconds. An empty category is
// left out.
func (w *Writer) Slice(name, category string, t Track, begin, end uint64) {
	w.Begin(name, "X", t)
	w.category(category)
	w.Time("ts", begin)
	w.Time("dur", max(end, begin)-begin)
}

// Instant begins an event without a duration.
func (w *Writer) Instant(name, category string, t Track, now uint64) {
	w.Begin(name, "i", t)
	w.category(category)
	w.Text("s", "t")
	w.Time("ts", now)
}

func (w *Writer) category(name string) {
	if name != "" {
		w.Text("cat", name)
	}
}

// Metadata writes an event that names a track. what is process_name or thread_name.
func (w *Writer) Metadata(what string, t Track, name string) {
	w.Begin(what, "M", t)
	w.Arguments()
	w.Text("name", name)
	w.End()
}

// key appends the key of a field.
func (w *Writer) key(key string) {
	b := w.event
	if !w.bare {
		b = append(b, ',')
	}
	w.bare = false
	b = quote(b, key)
	w.event = append(b, ':')
}

// Text appends a field with a text.
func (w *Writer) Text(key, value string) {
	w.key(key)
	w.event = quote(w.event, value)
}

// Number appends a field with a number.
func (w *Writer) Number(key string, value uint64) {
	w.key(key)
	w.event = strconv.AppendUint(w.event, value, 10)
}

// Signed appends a field with a number that may be negative.
func (w *Writer) Signed(key string, value int64) {
	w.key(key)
	w.event = strconv.AppendInt(w.event, value, 10)
}

// Time appends a field with a time in nanoseconds. The format has microseconds, which are
// written exactly.
func (w *Writer) Time(key string, ns uint64) {
	w.key(key)
	b := strconv.AppendUint(w.event, ns/1000, 10)
	w.event = append(b, '.', byte('0'+ns/100%10), byte('0'+ns/10%10), byte('0'+ns%10))
}

// JSON appends a field with any value that package json encodes.
func (w *Writer) JSON(key string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		w.fail(err)
		return
	}
	w.key(key)
	w.event = append(w.event, text...)
}

// Arguments begins the arguments of the event: the following fields are in it.
func (w *Writer) Arguments() {
	w.event = append(w.event, `,"args":{`...)
	w.args, w.bare = true, true
}

// End writes the event.
func (w *Writer) End() {
	if w.args {
		w.event = append(w.event, '}')
	}
	w.event = append(w.event, '}')
	_, err := w.w.Write(w.event)
	w.fail(err)
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Close ends the trace with the number of records that were lost. Error: the first one of
// all methods.
func (w *Writer) Close(lost uint64) error {
	if !w.any {
		w.w.WriteString("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")
	}
	w.w.WriteString("\n],\"otherData\":{\"lost\":")
	w.w.WriteString(strconv.FormatUint(lost, 10))
	w.w.WriteString("}}\n")
	w.fail(w.w.Flush())
	return w.err
}

// quote appends a text as a JSON string. Bytes that are not printable ASCII become \u00XX.
func quote(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
