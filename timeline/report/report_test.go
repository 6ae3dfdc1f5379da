package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"slowpath/entry"
	"slowpath/timeline"
)

// run writes batches to a sink.
func run(t *testing.T, s Sink, batches ...[]byte) {
	t.Helper()
	r := NewReader(s)
	for _, b := range batches {
		if _, err := r.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// readNames names every call read, and every one of i386 mmap2.
var readNames = Names{
	Call: func(int) string { return "read" }, Call32: func(int) string { return "mmap2" },
	Parameters: func(int) []string { return []string{"fd"} }, Parameters32: func(int) []string { return []string{"addr"} },
}

// clock has a tick of a nanosecond.
var clock = timeline.Clock{Scale: 1 << 32}

// batch returns a batch of the records that add appends.
func batch(lost uint64, add ...func(b []byte) []byte) []byte {
	b := timeline.AppendBatchHeader(nil, clock, lost)
	for _, f := range add {
		b = f(b)
	}
	return b
}

// switches are two batches of two CPUs, of which the later one arrives first: task 7 wakes
// task 8 on the other CPU.
func switches() [][]byte {
	on := func(cpu uint8, task uint32, time uint64) timeline.Header {
		return timeline.Header{CPU: cpu, Task: task, Time: time}
	}
	second := batch(0,
		func(b []byte) []byte { return timeline.AppendRun(b, on(1, 8, 3000)) },
		func(b []byte) []byte { return timeline.AppendSleep(b, on(1, 8, 5000), timeline.Sleep{}) },
	)
	first := batch(2,
		func(b []byte) []byte {
			return timeline.AppendName(b, on(0, 7, 900), &timeline.Name{Process: 7, Comm: "sh"})
		},
		func(b []byte) []byte { return timeline.AppendRun(b, on(0, 7, 1000)) },
		func(b []byte) []byte { return timeline.AppendWake(b, on(0, 7, 2000), timeline.Wake{Woken: 8}) },
		func(b []byte) []byte { return timeline.AppendSleep(b, on(0, 7, 4000), timeline.Sleep{Runnable: true}) },
	)
	return [][]byte{second, first}
}

// events parses a trace.
func events(t *testing.T, text []byte) (all []map[string]any, lost float64) {
	t.Helper()
	var trace struct {
		Events []map[string]any   `json:"traceEvents"`
		Other  map[string]float64 `json:"otherData"`
	}
	if err := json.Unmarshal(text, &trace); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return trace.Events, trace.Other["lost"]
}

func TestPerfettoShowsRunsOfCPUsAndFlowsOfWakeUps(t *testing.T) {
	var out bytes.Buffer
	run(t, NewPerfetto(&out, Names{}), switches()...)
	all, lost := events(t, out.Bytes())
	if lost != 2 {
		t.Errorf("the trace says that %v records were lost, want 2", lost)
	}
	var got []string
	for _, e := range all {
		if e["ph"] != "M" && e["cat"] != "task" {
			got = append(got, fmt.Sprint(e["ph"], " ", e["name"], " ", e["pid"], "/", e["tid"], " ", e["ts"], " ", e["dur"], " ", e["id"]))
		}
	}
	want := []string{
		"X sh (7) 2/0 1 3 <nil>", "X task (8) 2/1 3 2 <nil>",
		"s wake-up 1/7 2 <nil> 0", "f wake-up 2/1 3 <nil> 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the events are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPerfettoNestsStepsInVisits has a call on the slow path.
func TestPerfettoNestsStepsInVisits(t *testing.T) {
	v := entry.Visit{VisitHeader: entry.VisitHeader{Begin: 1000, End: 9000, Task: 7, Owed: entry.SyscallTracepoint, Kind: entry.BySyscall}}
	v.Step(0, 1300, 8000)
	var out bytes.Buffer
	run(t, NewPerfetto(&out, readNames), batch(0, func(b []byte) []byte {
		return timeline.AppendVisit(b, timeline.Header{Task: 7}, &v)
	}))
	all, _ := events(t, out.Bytes())
	visit, step := all[len(all)-2], all[len(all)-1]
	if visit["name"] != "slow path: read" || visit["ts"] != 1.0 || visit["dur"] != 8.0 || step["ts"] != 1.3 || step["dur"] != 6.7 || step["tid"] != 7.0 {
		t.Errorf("the visit is %v, its step %v", visit, step)
	}
}

func TestTextsOfTheGuestAreValidJSON(t *testing.T) {
	var out bytes.Buffer
	run(t, NewPerfetto(&out, Names{}), batch(0, func(b []byte) []byte {
		return timeline.AppendName(b, timeline.Header{Task: 7}, &timeline.Name{Comm: "a\"\\\n\x80z"})
	}, func(b []byte) []byte {
		return timeline.AppendFault(b, timeline.Header{Task: 7}, &timeline.Fault{File: "\x00\xff"})
	}))
	events(t, out.Bytes())
}

func TestTableIsSortedByTime(t *testing.T) {
	var out bytes.Buffer
	run(t, NewTable(&out, Names{}), switches()...)
	const want = `     0.000000900 cpu 0 task 7     name      sh, of process 7
     0.000001000 cpu 0 task 7     run
     0.000002000 cpu 0 task 7     wake      task 8
     0.000003000 cpu 1 task 8     run
     0.000004000 cpu 0 task 7     preempted
     0.000005000 cpu 1 task 8     sleep
2 records were lost: they were made faster than they could be sent to the host
`
	if out.String() != want {
		t.Errorf("the table is\n%swant\n%s", out.String(), want)
	}
}

func TestResultsOfCallsAreNamed(t *testing.T) {
	for want, c := range map[string]timeline.Call{
		"?": {}, "7": {Ended: true, Result: 7}, "ENOENT": {Ended: true, Result: -2}, "ERESTARTSYS": {Ended: true, Result: -512},
		"0x7f0000000000": {Ended: true, Result: 0x7f0000000000}, "-3000": {Ended: true, Result: -3000},
	} {
		if got := result(&c); got != want {
			t.Errorf("the result of %+v is %s, want %s", c, got, want)
		}
	}
	c := timeline.Call{Arguments: []uint64{0xffffff9c, ^uint64(0), 1 << 40}}
	if got := string(appendArguments(nil, &c, []string{"dfd"})); got != "dfd=-100, arg1=-1, arg2=0x10000000000" {
		t.Errorf("the arguments are %s", got)
	}
}

func BenchmarkPerfettoCall(b *testing.B) {
	text := batch(0, func(b []byte) []byte {
		for range 1000 {
			b = timeline.AppendCall(b, timeline.Header{Task: 7}, &timeline.Call{Ended: true, Arguments: make([]uint64, 3)})
		}
		return b
	})
	r := NewReader(NewPerfetto(discard{}, readNames))
	for b.Loop() {
		r.Write(text)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestTableShowsNoControlCharactersOfTheGuest(t *testing.T) {
	var out bytes.Buffer
	table := NewTable(&out, Names{})
	table.Record(timeline.Clock{Scale: 1 << 32}, &timeline.Record{
		Header: timeline.Header{Kind: timeline.KindName, Task: 1}, Name: timeline.Name{Process: 1, Comm: "a\x1b[2J\nb\x9b"},
	})
	table.Record(timeline.Clock{Scale: 1 << 32}, &timeline.Record{
		Header: timeline.Header{Kind: timeline.KindFault, Task: 1}, Fault: timeline.Fault{File: "/\x1b]0;x\x07"},
	})
	table.Close()
	if got := out.String(); strings.ContainsAny(got, "\x1b\x07") || strings.Count(got, "\n") != 2 || !strings.Contains(got, "a.[2J.b") {
		t.Errorf("the table is %q", got)
	}
}

func TestCallsOfI386HaveTheNamesOfTheirTable(t *testing.T) {
	call := func(abi entry.ABI) func(b []byte) []byte {
		c := timeline.Call{ABI: abi, Number: 192, Ended: true, Arguments: []uint64{7}}
		return func(b []byte) []byte { return timeline.AppendCall(b, timeline.Header{Task: 7}, &c) }
	}
	visit := entry.Visit{VisitHeader: entry.VisitHeader{Kind: entry.BySyscall, ABI: entry.I386, Number: 192}}
	both := batch(0, call(entry.I386), call(entry.X86_64), func(b []byte) []byte { return timeline.AppendVisit(b, timeline.Header{Task: 7}, &visit) })
	var table, trace bytes.Buffer
	totals := NewTotals(readNames)
	run(t, Tee{NewTable(&table, readNames), NewPerfetto(&trace, readNames), totals}, both)
	for text, want := range map[string][]string{
		table.String(): {"call      mmap2(addr=7) = 0", "call      read(fd=7) = 0", "syscall   mmap2"},
		trace.String(): {`"name":"mmap2"`, `"addr":"7"`, `"name":"read"`, `"name":"slow path: mmap2"`},
	} {
		for _, one := range want {
			if !strings.Contains(text, one) {
				t.Errorf("%q is not in\n%s", one, text)
			}
		}
	}
	if got, want := totals.Snapshot().Calls, []CallTotal{{"mmap2", 1}, {"read", 1}}; !slices.Equal(got, want) {
		t.Errorf("the calls are %v, want %v", got, want)
	}
}

func TestTotalsCountByTaskAndForgetEndedTasks(t *testing.T) {
	totals := NewTotals(Names{Call: func(n int) string { return fmt.Sprint("call", n) }})
	h := timeline.Header{Task: 7}
	visit := entry.Visit{VisitHeader: entry.VisitHeader{Served: entry.SigPending | entry.NeedResched, Kind: entry.ByInterrupt}}
	run(t, totals, batch(3,
		func(b []byte) []byte { return timeline.AppendName(b, h, &timeline.Name{Process: 6, Comm: "sh"}) },
		func(b []byte) []byte { return timeline.AppendCall(b, h, &timeline.Call{Number: 5}) },
		func(b []byte) []byte { return timeline.AppendCall(b, h, &timeline.Call{Number: 4}) },
		func(b []byte) []byte { return timeline.AppendVisit(b, h, &visit) },
		func(b []byte) []byte { return timeline.AppendFault(b, timeline.Header{Task: 8}, new(timeline.Fault)) },
		func(b []byte) []byte { return timeline.AppendExit(b, timeline.Header{Task: 8}) },
	))
	got := totals.Snapshot()
	sh := TaskTotals{Task: 7, Process: 6, Comm: "sh", LastCall: "call4", Counts: Counts{Calls: 2}}
	ended := TaskTotals{Task: 8, Ended: true, Counts: Counts{Faults: 1}}
	if got.Counts != (Counts{Calls: 2, Faults: 1}) || got.Lost != 3 || got.Visits != 1 || !slices.Equal(got.Tasks, []TaskTotals{sh, ended}) {
		t.Errorf("the totals are %+v", got)
	}
	if want := []CallTotal{{"call4", 1}, {"call5", 1}}; !slices.Equal(got.Calls, want) {
		t.Errorf("the calls are %v, want %v", got.Calls, want)
	}
	names, counts := ServedDuties(new(Snapshot), &got)
	if i := slices.Index(names, "SIGPENDING"); i < 0 || counts[i] != 1 {
		t.Errorf("the duties are %v, %v", names, counts)
	}
	if left := totals.Snapshot().Tasks; !slices.Equal(left, []TaskTotals{sh}) {
		t.Errorf("the tasks are %+v after one has ended, want task 7", left)
	}
}
