package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slowpath/entry"
)

func sampleBatch() entry.Batch {
	v := entry.Visit{VisitHeader: entry.VisitHeader{Begin: 1000, End: 9000, Task: 7, Owed: entry.RecordExits, Kind: entry.BySyscall}}
	v.Step(entry.RecordExits, 1100, 1200)
	v.Step(0, 1300, 8000)
	w := entry.Visit{VisitHeader: entry.VisitHeader{Begin: 9500, End: 9900, Task: 8, Number: 14, Kind: entry.ByException, ByIRET: true}}
	return entry.Batch{Scale: 1 << 32, Visits: []entry.Visit{v, w}, Lost: 2}
}

// writeExits writes the sample batch to a file with the given name and returns
// the file's text.
func writeExits(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	e, err := newExitsFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := sampleBatch()
	if _, err := e.Write(b.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExitsTraceNestsCallInVisit(t *testing.T) {
	var trace struct {
		TraceEvents []traceEvent
		OtherData   struct{ Lost int }
	}
	if err := json.Unmarshal([]byte(writeExits(t, "x.json")), &trace); err != nil {
		t.Fatal(err)
	}
	if trace.OtherData.Lost != 2 {
		t.Errorf("the trace says that %d visits were lost, want 2", trace.OtherData.Lost)
	}
	var names []string
	for _, e := range trace.TraceEvents {
		names = append(names, e.Phase+" "+e.Name)
	}
	want := "M process_name, M thread_name, X read, X RECORD_EXITS, X call, M thread_name, X #PF"
	if got := strings.Join(names, ", "); got != want {
		t.Fatalf("events %s, want %s", got, want)
	}
	visit, call := trace.TraceEvents[2], trace.TraceEvents[4]
	if call.Time < visit.Time || call.Time+call.Duration > visit.Time+visit.Duration || call.Thread != visit.Thread {
		t.Errorf("the call %+v is not inside its visit %+v", call, visit)
	}
}

func TestExitsTableListsVisitsAndLosses(t *testing.T) {
	text := writeExits(t, "x.txt")
	if !strings.Contains(text, "task 7") || !strings.Contains(text, "2 visits were lost") {
		t.Errorf("the table is\n%s", text)
	}
}

func TestExitsFileReportsBrokenBatch(t *testing.T) {
	e, err := newExitsFile(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write([]byte{9}); err == nil {
		t.Error("Write accepts a broken batch")
	}
	if e.Close() == nil {
		t.Error("Close does not report the broken batch")
	}
}
