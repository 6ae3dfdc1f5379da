package report

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// Text writes one line for each hit.
type Text struct{ w *bufio.Writer }

// NewText returns a sink that writes text to w.
func NewText(w io.Writer) *Text { return &Text{bufio.NewWriter(w)} }

// Event writes a line, and one for each frame of the stack.
func (t *Text) Event(e *Event) error {
	b := appendTime(nil, e.Time)
	b = append(b, ' ')
	b = appendThread(b, e)
	b = append(b, ' ')
	b = append(b, e.Name()...)
	switch kindOf(e) {
	case "return":
		b = appendResults(b, e)
	case "entry":
		b = append(appendArguments(append(b, '('), e), ')')
	default:
		b = appendArguments(append(b, ' '), e)
	}
	b = bytes.TrimRight(b, " ")
	b = append(b, '\n')
	for _, f := range e.Stack {
		b = fmt.Appendf(b, "        %s\n", f)
	}
	_, err := t.w.Write(b)
	return err
}

// Flush writes what is buffered.
func (t *Text) Flush() error { return t.w.Flush() }

// Close writes the rest.
func (t *Text) Close(*Summary) error { return t.w.Flush() }

// appendTime appends a time in seconds.
func appendTime(b []byte, ns uint64) []byte {
	return fmt.Appendf(b, "%5d.%06d", ns/1e9, ns%1e9/1e3)
}

// appendThread appends the name and the number of the process, the number of the thread if
// it is another, and the number of the goroutine.
func appendThread(b []byte, e *Event) []byte {
	b = fmt.Appendf(b, "%s[%d", e.Comm, e.Process)
	if e.Thread != e.Process {
		b = fmt.Appendf(b, "/%d", e.Thread)
	}
	if e.Call.GoID != 0 {
		b = fmt.Appendf(b, " g%d", e.Call.GoID)
	}
	return append(b, ']')
}

func appendArguments(b []byte, e *Event) []byte {
	for i, v := range e.Values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, v.Name...), '=')
		b = append(b, v.Value.String()...)
	}
	return b
}

func appendResults(b []byte, e *Event) []byte {
	if e.TailCall {
		b = append(b, " ends with a tail call"...)
	} else {
		b = append(b, " returns"...)
	}
	for i, v := range e.Values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, ' ')
		if v.Name != "" {
			b = append(append(b, v.Name...), '=')
		}
		b = append(b, v.Value.String()...)
	}
	if e.HasElapsed {
		b = append(append(b, " after "...), duration(e.Elapsed)...)
	}
	return b
}

// duration returns a time with three digits and its unit.
func duration(ns uint64) string {
	units := []struct {
		size uint64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}}
	for _, u := range units {
		if ns >= u.size {
			return strconv.FormatFloat(float64(ns)/float64(u.size), 'g', 3, 64) + " " + u.name
		}
	}
	return strconv.FormatUint(ns, 10) + " ns"
}
