package report

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"slowpath/entry"
	"slowpath/timeline"
)

// Table writes one line for each record, sorted by time.
type Table struct {
	w     io.Writer
	names Names
	lost  uint64
	text  bytes.Buffer
	lines []line
}

// line is a line of the table: a part of its text.
type line struct {
	time       uint64
	begin, end int
}

// NewTable returns a table that is written to w when it is closed.
func NewTable(w io.Writer, names Names) *Table { return &Table{w: w, names: names} }

// Lost counts records that were lost.
func (t *Table) Lost(n uint64) { t.lost += n }

// Record adds a line.
func (t *Table) Record(c timeline.Clock, r *timeline.Record) error {
	begin := t.text.Len()
	if r.Kind == timeline.KindVisit {
		names := entry.Names{Syscall: t.names.Call, Syscall32: t.names.Call32, Nanoseconds: c.Nanoseconds}
		names.WriteVisits(&t.text, []entry.Visit{r.Visit})
	} else {
		now := c.Nanoseconds(r.Time)
		fmt.Fprintf(&t.text, "%6d.%09d cpu %d task %-5d %s\n", now/1e9, now%1e9, r.CPU, r.Task, t.describe(r))
	}
	t.lines = append(t.lines, line{r.Time, begin, t.text.Len()})
	return nil
}

// describe returns what a record says.
func (t *Table) describe(r *timeline.Record) string {
	switch r.Kind {
	case timeline.KindCall:
		return fmt.Sprintf("call      %s(%s) = %s  %d ticks",
			t.names.call(&r.Call), appendArguments(nil, &r.Call, t.names.parameters(&r.Call)), result(&r.Call), r.Call.Duration)
	case timeline.KindRun:
		return "run"
	case timeline.KindSleep:
		if r.Sleep.Runnable {
			return "preempted"
		}
		return "sleep"
	case timeline.KindWake:
		return fmt.Sprintf("wake      task %d", r.Wake.Woken)
	case timeline.KindSignal:
		if r.Signal.Delivered {
			return fmt.Sprintf("signal    %s is delivered, code %d", signalName(r.Signal.Number), r.Signal.Code)
		}
		return fmt.Sprintf("signal    %s is sent to task %d, code %d", signalName(r.Signal.Number), r.Signal.Target, r.Signal.Code)
	case timeline.KindFault:
		return fmt.Sprintf("fault     %#x (%s+%#x) at %#x, error %#x", r.Fault.Address, visible(r.Fault.File), r.Fault.Offset, r.Fault.IP, r.Fault.ErrorCode)
	case timeline.KindName:
		return fmt.Sprintf("name      %s, of process %d", visible(r.Name.Comm), r.Name.Process)
	case timeline.KindProbe:
		return "probe     " + t.names.Probe(r.Probe.ID)
	}
	return "exit"
}

// visible replaces what could control a terminal or begin a line: the program has chosen the
// text.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '.'
		}
		return r
	}, s)
}

// Close writes the lines.
func (t *Table) Close() error {
	slices.SortStableFunc(t.lines, func(a, b line) int { return cmp.Compare(a.time, b.time) })
	w := bufio.NewWriter(t.w)
	for _, l := range t.lines {
		w.Write(t.text.Bytes()[l.begin:l.end])
	}
	if t.lost > 0 {
		fmt.Fprintf(w, "%d records were lost: they were made faster than they could be sent to the host\n", t.lost)
	}
	return w.Flush()
}
