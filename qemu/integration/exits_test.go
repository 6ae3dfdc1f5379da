package integration

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exitsEvent is one event of the trace (Google, "Trace Event Format"). A pointer is
// nil if the event does not have the field.
type exitsEvent struct {
	Name     *string        `json:"name"`
	Phase    *string        `json:"ph"`
	Time     *float64       `json:"ts"`  // microseconds
	Duration *float64       `json:"dur"` // microseconds
	Process  *int           `json:"pid"`
	Thread   *int32         `json:"tid"`
	Category string         `json:"cat"`
	Args     exitsArguments `json:"args"`
}

// exitsArguments are the fields of an event's args that the test reads. Those of a call have
// the names of its parameters.
type exitsArguments struct {
	Name, Work, Served, Exit, Result string
	CPU                              *int
}

// span is a slice of the trace. Its times are in nanoseconds; the format has
// microseconds with three exact decimals.
type span struct {
	name, category string
	begin, end     int64
}

// exitsTrace is the trace, sorted by task. Visits are those to the slow path.
type exitsTrace struct {
	names                map[int32]string
	calls, visits, steps map[int32][]span
	runs                 map[int32][]span // by CPU
	instants             map[string]int   // how many there are of each category
	flows                [2]int           // beginnings and ends
}

// The trace's processes.
const taskTracks, cpuTracks = 1, 2

// sleepSeconds is how long the pipeline's read blocks. It is more than 2^32 TSC
// ticks, at which a 32-bit duration would wrap around.
const sleepSeconds = 2

// recordPipeline runs a pipeline with --exits and returns the file's text.
func recordPipeline(t *testing.T, file string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	got := onSlowpath(t, "", "--smp", "2", "--exits", path, "/bin/busybox", "sh", "-c",
		"(echo one; sleep 2; echo two) | tr a-z A-Z")
	if want := (result{0, "ONE\nTWO\n", ""}); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parseTrace parses a trace.
func parseTrace(t *testing.T, text []byte) *exitsTrace {
	t.Helper()
	var file struct {
		Unit   string       `json:"displayTimeUnit"`
		Events []exitsEvent `json:"traceEvents"`
		Other  struct {
			Lost *uint64 `json:"lost"`
		} `json:"otherData"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if file.Unit != "ns" || file.Other.Lost == nil || decoder.More() {
		t.Fatalf("the unit is %q, lost is %v", file.Unit, file.Other.Lost)
	}
	trace := &exitsTrace{
		names: map[int32]string{}, calls: map[int32][]span{}, visits: map[int32][]span{}, steps: map[int32][]span{},
		runs: map[int32][]span{}, instants: map[string]int{},
	}
	for _, e := range file.Events {
		trace.add(t, e)
	}
	return trace
}

// add checks the fields of an event and adds it to the trace.
func (x *exitsTrace) add(t *testing.T, e exitsEvent) {
	t.Helper()
	if e.Name == nil || *e.Name == "" || e.Phase == nil || e.Process == nil || e.Thread == nil {
		t.Fatalf("an event lacks its name, phase, process or thread: %+v", e)
	}
	switch {
	case *e.Phase == "M" && *e.Name == "process_name":
		return
	case *e.Phase == "M" && *e.Name == "thread_name" && *e.Process == cpuTracks:
		return
	case *e.Phase == "M" && *e.Name == "thread_name":
		x.names[*e.Thread] = e.Args.Name
		return
	case e.Time != nil && *e.Phase == "i":
		x.instants[e.Category]++
		return
	case e.Time != nil && *e.Phase == "s":
		x.flows[0]++
		return
	case e.Time != nil && *e.Phase == "f":
		x.flows[1]++
		return
	case *e.Phase != "X" || e.Time == nil || e.Duration == nil || *e.Time < 0 || *e.Duration < 0:
		t.Fatalf("%s is not a complete event with time and duration: %+v", *e.Name, e)
	}
	begin := int64(math.Round(*e.Time * 1e3))
	s := span{*e.Name, e.Category, begin, begin + int64(math.Round(*e.Duration*1e3))}
	switch {
	case *e.Process == cpuTracks:
		x.runs[*e.Thread] = append(x.runs[*e.Thread], s)
		return
	case e.Category == "step":
		x.steps[*e.Thread] = append(x.steps[*e.Thread], s)
		return
	case e.Category == "syscall":
		if e.Args.Result == "" {
			t.Errorf("the call %s lacks its result: %+v", s.name, e.Args)
		}
		x.calls[*e.Thread] = append(x.calls[*e.Thread], s)
		return
	}
	if a := e.Args; a.Work == "" || a.Served == "" || a.CPU == nil || a.Exit != "SYSRET" && a.Exit != "IRETQ" {
		t.Errorf("the visit %s lacks the duties that were owed, those that were served, or the exit instruction: %+v", s.name, a)
	}
	x.visits[*e.Thread] = append(x.visits[*e.Thread], s)
}

// has reports whether any task has a slice with the name and category.
func has(slicesOf map[int32][]span, name, category string) bool {
	for _, spans := range slicesOf {
		if slices.ContainsFunc(spans, func(s span) bool { return s.name == name && s.category == category }) {
			return true
		}
	}
	return false
}

// checkOrder returns a message for each pair of overlapping visits of a task, and
// for each step that is not inside a visit. It sorts visits and steps by start.
func checkOrder(visits, steps []span) (wrong []string) {
	byBegin := func(a, b span) int { return cmp.Compare(a.begin, b.begin) }
	slices.SortFunc(visits, byBegin)
	slices.SortFunc(steps, byBegin)
	for i := 1; i < len(visits); i++ {
		if visits[i].begin < visits[i-1].end {
			wrong = append(wrong, visits[i].name+" begins inside "+visits[i-1].name)
		}
	}
	next := 0
	for _, s := range steps {
		for next < len(visits) && visits[next].end < s.begin {
			next++
		}
		if next == len(visits) || s.begin < visits[next].begin || s.end > visits[next].end {
			wrong = append(wrong, "the step "+s.name+" is not inside a visit")
		}
	}
	return wrong
}

// TestExitsTraceIsComplete checks the file that --exits writes for Perfetto.
func TestExitsTraceIsComplete(t *testing.T) {
	t.Parallel()
	trace := parseTrace(t, recordPipeline(t, "exits.json"))
	if len(trace.calls) < 4 {
		t.Errorf("%d tasks are in the trace, want at least four: the shell, its child, sleep and tr", len(trace.calls))
	}
	longest := int64(0)
	for thread, calls := range trace.calls {
		if trace.names[thread] == "" {
			t.Errorf("there is no metadata with the name of thread %d", thread)
		}
		for _, wrong := range checkOrder(calls, nil) {
			t.Errorf("the calls of task %d: %s", thread, wrong)
		}
		for _, s := range calls {
			longest = max(longest, s.end-s.begin)
		}
	}
	for thread, visits := range trace.visits {
		for _, wrong := range checkOrder(visits, trace.steps[thread]) {
			t.Errorf("task %d: %s", thread, wrong)
		}
	}
	for thread := range trace.steps {
		if len(trace.visits[thread]) == 0 {
			t.Errorf("task %d has steps but no visit", thread)
		}
	}
	for _, name := range []string{"read", "execve", "wait4"} {
		if !has(trace.calls, name, "syscall") {
			t.Errorf("there is no call of %s", name)
		}
	}
	if !has(trace.visits, "#PF", "exception") {
		t.Error("there is no exception #PF")
	}
	if longest < sleepSeconds*1e9 {
		t.Errorf("the longest call takes %d ns, but the pipeline's read blocks for %d s", longest, sleepSeconds)
	}
	if trace.instants["signal"] == 0 || trace.instants["task"] == 0 || trace.instants["fault"] == 0 {
		t.Errorf("there are no signals, page faults, or names and exits of tasks: %v", trace.instants)
	}
	if len(trace.runs) != 2 || trace.flows[0] == 0 || trace.flows[0] != trace.flows[1] {
		t.Errorf("%d CPUs have run tasks, want 2; the flows of wake-ups have %d beginnings and %d ends", len(trace.runs), trace.flows[0], trace.flows[1])
	}
	for cpu, runs := range trace.runs {
		for _, wrong := range checkOrder(runs, nil) {
			t.Errorf("the runs of CPU %d: %s", cpu, wrong)
		}
	}
}

// tableLine matches a line of the table. A visit has kind, name, the duties that were owed,
// duration, exit instruction and steps; a call has arguments, result and duration.
var tableLine = regexp.MustCompile(`^ *(\d+\.\d{9}) cpu [01] task \d+ +(` +
	`(?:syscall|exception|interrupt|work) +.+? +owed \S+ +\d+ ticks  (?:SYSRET|IRETQ)(?: \S+:\d+)*` +
	`|call +\w+\(.*\) = \S+  \d+ ticks` +
	`|(?:signal|fault|name|wake) .*|run|sleep|preempted|exit)$`)

// lineName matches the kind and name at the beginning of what a line says.
var lineName = regexp.MustCompile(`^(\w+) +([\w#]+)`)

// TestExitsTableIsSortedByTime checks the table that --exits writes.
func TestExitsTableIsSortedByTime(t *testing.T) {
	t.Parallel()
	names, last := map[string]bool{}, ""
	text := strings.TrimSuffix(string(recordPipeline(t, "exits.txt")), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		match := tableLine.FindStringSubmatch(line)
		if match == nil {
			t.Errorf("a line has another form: %q", line)
			continue
		}
		if match[1] < last {
			t.Errorf("the time %s comes after %s", match[1], last)
		}
		last = match[1]
		if name := lineName.FindStringSubmatch(match[2]); name != nil {
			names[name[1]+" "+name[2]] = true
		}
	}
	for _, want := range []string{"call read", "call write", "exception #PF", "signal SIGCHLD"} {
		if !names[want] {
			t.Errorf("there is no %s among %d kinds of lines", want, len(names))
		}
	}
}

// recordedScript makes processes, and reads and writes files and pipes.
const recordedScript = `time sh -c 'i=0
while [ $i -lt 150 ]; do
	i=$((i+1)); cat /etc/passwd /proc/self/stat >/dev/null; echo $i >/tmp/x; read a </tmp/x
done
seq 1 20000 | sort -n | tail -1'`

// scriptTime returns the time that recordedScript takes in the guest, in seconds. The clock
// counts instructions, so it does not depend on the host.
func scriptTime(t *testing.T, flags ...string) (seconds float64) {
	t.Helper()
	got := onSlowpath(t, "", append(append([]string{"--icount"}, flags...), "/bin/busybox", "sh", "-c", recordedScript)...)
	_, text, _ := strings.Cut(got.errors, "real")
	var minutes float64
	if n, err := fmt.Sscanf(text, "%fm %fs", &minutes, &seconds); n != 2 || got.out != "20000\n" {
		t.Fatalf("got %+v, %v", got, err)
	}
	return 60*minutes + seconds
}

// TestRecordingSlowsAScriptByAtMostFivePercent compares a run with --exits with one without.
func TestRecordingSlowsAScriptByAtMostFivePercent(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "exits.json")
	plain, recorded := scriptTime(t), scriptTime(t, "--exits", file)
	t.Logf("%.2f s without, %.2f s with --exits", plain, recorded)
	if recorded > 1.05*plain {
		t.Errorf("the script takes %.2f s with --exits and %.2f s without, more than 5 %% longer", recorded, plain)
	}
}

// TestNoRecordIsLost makes a million system calls as fast as it can.
func TestNoRecordIsLost(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "exits.json")
	const calls = 1000000
	got := onSlowpath(t, "", "--exits", file, program("manycalls"), fmt.Sprint(calls))
	if got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(`{"name":"getppid","ph":"X"`)); n != calls {
		t.Errorf("%d calls are in the file, want %d", n, calls)
	}
	if !bytes.Contains(text[len(text)-100:], []byte(`"lost":0}`)) {
		t.Errorf("the file ends with %s", text[len(text)-100:])
	}
}

// TestCheckOrderFindsViolations violates each property that checkOrder checks.
func TestCheckOrderFindsViolations(t *testing.T) {
	visits := []span{{"a", "syscall", 10, 20}, {"b", "syscall", 20, 30}}
	for name, c := range map[string]struct {
		visits, steps []span
		want          int
	}{
		"right":              {visits, []span{{"s", "step", 10, 15}, {"t", "step", 15, 20}, {"u", "step", 21, 30}}, 0},
		"visits overlap":     {append(visits, span{"c", "syscall", 29, 31}), nil, 1},
		"a step too early":   {visits, []span{{"s", "step", 9, 15}}, 1},
		"a step too long":    {visits, []span{{"s", "step", 12, 21}}, 1},
		"a step after all":   {visits, []span{{"s", "step", 31, 32}}, 1},
		"a task of no visit": {nil, []span{{"s", "step", 31, 32}}, 1},
	} {
		if got := checkOrder(slices.Clone(c.visits), c.steps); len(got) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
