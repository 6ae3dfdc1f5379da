package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"slowpath/entry"
	"slowpath/syscall"
)

// exitsFile collects the visits that the kernel sends and writes them at the
// end of the run: as a table if the file's name ends in .txt, else in the trace
// event format that Perfetto and Chrome's trace viewer load.
type exitsFile struct {
	file    *os.File
	batches []entry.Batch
	bad     error // the first batch that could not be decoded
}

// newExitsFile creates the file. It is called before the program runs, so that
// a path that cannot be written is an error at once.
func newExitsFile(path string) (*exitsFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("cannot write the file of --exits: %w", err)
	}
	return &exitsFile{file: file}, nil
}

// Write takes one batch of visits from the kernel.
func (e *exitsFile) Write(p []byte) (int, error) {
	batch, err := entry.DecodeBatch(p)
	if err != nil {
		e.bad = err
		return 0, err
	}
	e.batches = append(e.batches, batch)
	return len(p), nil
}

// Close writes the file.
func (e *exitsFile) Close() error {
	defer e.file.Close()
	if e.bad != nil {
		return e.bad
	}
	w := bufio.NewWriter(e.file)
	if strings.HasSuffix(e.file.Name(), ".txt") {
		writeTable(w, e.batches)
	} else if err := writeTrace(w, e.batches); err != nil {
		return err
	}
	return w.Flush()
}

// lost counts the visits that the kernel dropped because its buffer was full.
func lost(batches []entry.Batch) (n uint64) {
	for i := range batches {
		n += batches[i].Lost
	}
	return n
}

// writeTable writes one line for each visit, sorted by start: the kernel sends
// them sorted by end, CPU by CPU. All batches of a run have the same clock.
func writeTable(w io.Writer, batches []entry.Batch) {
	var visits []entry.Visit
	for i := range batches {
		visits = append(visits, batches[i].Visits...)
	}
	slices.SortStableFunc(visits, func(a, b entry.Visit) int { return cmp.Compare(a.Begin, b.Begin) })
	if len(batches) > 0 {
		names := entry.Names{Syscall: syscall.Name, Nanoseconds: batches[0].Nanoseconds}
		names.WriteVisits(w, visits)
	}
	if n := lost(batches); n > 0 {
		fmt.Fprintf(w, "%d visits were lost: they were recorded faster than they could be sent to the host\n", n)
	}
}

// traceEvent is one event of the trace event format. Times are microseconds
// since boot.
type traceEvent struct {
	Name     string         `json:"name"`
	Phase    string         `json:"ph"`
	Time     float64        `json:"ts"`
	Duration float64        `json:"dur"`
	Process  int            `json:"pid"`
	Thread   int32          `json:"tid"`
	Category string         `json:"cat,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
}

// The phases of the format that are used: a complete event and metadata.
const (
	phaseComplete = "X"
	phaseMetadata = "M"
)

// machineProcess is the trace's only process; each task is a thread of it.
const machineProcess = 1

// writeTrace writes the visits as nested slices, with one track for each task.
// Inside a visit's slice are the call and the duties that were served.
func writeTrace(w io.Writer, batches []entry.Batch) error {
	events := []traceEvent{metadata("process_name", 0, "Slowpath")}
	named := map[int32]bool{}
	for i := range batches {
		for j := range batches[i].Visits {
			v := &batches[i].Visits[j]
			if !named[v.Task] {
				named[v.Task] = true
				events = append(events, metadata("thread_name", v.Task, fmt.Sprintf("task %d", v.Task)))
			}
			events = append(events, visitSlices(&batches[i], v)...)
		}
	}
	return json.NewEncoder(w).Encode(map[string]any{
		"displayTimeUnit": "ns",
		"traceEvents":     events,
		"otherData":       map[string]any{"lost": lost(batches)},
	})
}

func metadata(name string, thread int32, value string) traceEvent {
	return traceEvent{Name: name, Phase: phaseMetadata, Process: machineProcess, Thread: thread, Args: map[string]any{"name": value}}
}

// visitSlices returns the slice of the visit and the slices of its steps.
func visitSlices(b *entry.Batch, v *entry.Visit) []traceEvent {
	names := entry.Names{Syscall: syscall.Name}
	slice := func(name, category string, begin, end uint64) traceEvent {
		from, to := b.Nanoseconds(begin), b.Nanoseconds(end)
		return traceEvent{
			Name: name, Category: category, Phase: phaseComplete, Process: machineProcess, Thread: v.Task,
			Time: float64(from) / 1e3, Duration: float64(to-from) / 1e3,
		}
	}
	exit := "SYSRET"
	if v.ByIRET {
		exit = "IRETQ"
	}
	whole := slice(names.Name(v), v.Kind.String(), v.Begin, v.End)
	whole.Args = map[string]any{"work": v.Owed.String(), "served": v.Served.String(), "exit": exit, "cpu": v.CPU}
	events := []traceEvent{whole}
	for _, s := range v.Steps[:v.StepCount] {
		events = append(events, slice(entry.StepName(s), "step", v.Begin+s.Begin, v.Begin+s.End))
	}
	return events
}
