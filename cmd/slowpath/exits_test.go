package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slowpath/entry"
	"slowpath/timeline"
	"slowpath/timeline/report"
)

// TestExitsFileHasTheFormOfItsName writes a call to a table and to a trace.
func TestExitsFileHasTheFormOfItsName(t *testing.T) {
	batch := timeline.AppendBatchHeader(nil, timeline.Clock{Scale: 1 << 32}, 2)
	batch = timeline.AppendCall(batch, timeline.Header{Task: 7, Time: 1000}, &timeline.Call{Duration: 500, Ended: true, Result: 3, Arguments: []uint64{3, 1 << 40, 3}})
	batch = timeline.AppendCall(batch, timeline.Header{Task: 7, Time: 2000}, &timeline.Call{ABI: entry.I386, Number: 3, Ended: true, Arguments: []uint64{4}})
	for name, want := range map[string]string{
		"x.txt":  "     0.000001000 cpu 0 task 7     call      read(fd=3, buf=0x10000000000, count=3) = 3  500 ticks\n     0.000002000 cpu 0 task 7     call      read(fd=4) = 0  0 ticks\n2 records were lost",
		"x.json": `{"name":"read","ph":"X","pid":1,"tid":7,"cat":"syscall","ts":1.000,"dur":0.500,"args":{"fd":"3","buf":"0x10000000000","count":"3","result":"3"}}`,
	} {
		path := filepath.Join(t.TempDir(), name)
		file, err := newExitsFile(path, timelineNames(nil))
		if err != nil {
			t.Fatal(err)
		}
		e := report.NewReader(file)
		if _, err := e.Write(batch); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s is\n%s%v", name, text, err)
		}
	}
}

func TestExitsFileReportsBrokenBatch(t *testing.T) {
	file, err := newExitsFile(filepath.Join(t.TempDir(), "x"), report.Names{})
	if err != nil {
		t.Fatal(err)
	}
	e := report.NewReader(file)
	if _, err := e.Write([]byte{9}); err == nil {
		t.Error("Write accepts a broken batch")
	}
	if e.Close() == nil {
		t.Error("Close does not report the broken batch")
	}
}
