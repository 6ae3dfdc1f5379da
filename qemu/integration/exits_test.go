package integration

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exitsEvent is one event of the trace, with every field that the format has
// (Google, "Trace Event Format"): a pointer is nil if the field is not there.
type exitsEvent struct {
	Name     *string  `json:"name"`
	Phase    *string  `json:"ph"`
	Time     *float64 `json:"ts"`  // microseconds
	Duration *float64 `json:"dur"` // microseconds
	Process  *int     `json:"pid"`
	Thread   *int32   `json:"tid"`
	Category string   `json:"cat"`
	Args     struct {
		Name   string `json:"name"`
		Work   string `json:"work"`
		Served string `json:"served"`
		Exit   string `json:"exit"`
		CPU    *int   `json:"cpu"`
	} `json:"args"`
}

// span is a slice of the trace, in nanoseconds, of which the format's
// microseconds are exact thousandths.
type span struct {
	name, category string
	begin, end     int64
}

// exitsTrace is the trace by tasks.
type exitsTrace struct {
	names         map[int32]string
	visits, steps map[int32][]span
}

// sleepSeconds is how long the pipeline's read waits: more than 2^32 ticks of
// a TSC, which is where a length of 32 bits would turn over.
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

// parseTrace reads a trace and takes no field that it does not know.
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
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if file.Unit != "ns" || file.Other.Lost == nil || decoder.More() {
		t.Fatalf("the unit is %q, lost is %v", file.Unit, file.Other.Lost)
	}
	trace := &exitsTrace{names: map[int32]string{}, visits: map[int32][]span{}, steps: map[int32][]span{}}
	for _, e := range file.Events {
		trace.add(t, e)
	}
	return trace
}

// add checks the fields of an event and sorts it in.
func (x *exitsTrace) add(t *testing.T, e exitsEvent) {
	t.Helper()
	if e.Name == nil || *e.Name == "" || e.Phase == nil || e.Process == nil || e.Thread == nil {
		t.Fatalf("an event lacks its name, phase, process or thread: %+v", e)
	}
	switch {
	case *e.Phase == "M" && *e.Name == "process_name":
		return
	case *e.Phase == "M" && *e.Name == "thread_name":
		x.names[*e.Thread] = e.Args.Name
		return
	case *e.Phase != "X" || e.Time == nil || e.Duration == nil || *e.Time < 0 || *e.Duration < 0:
		t.Fatalf("%s is no complete event with its time and its duration: %+v", *e.Name, e)
	}
	begin := int64(math.Round(*e.Time * 1e3))
	s := span{*e.Name, e.Category, begin, begin + int64(math.Round(*e.Duration*1e3))}
	if e.Category == "step" {
		x.steps[*e.Thread] = append(x.steps[*e.Thread], s)
		return
	}
	if a := e.Args; a.Work == "" || a.Served == "" || a.CPU == nil || a.Exit != "SYSRET" && a.Exit != "IRETQ" {
		t.Errorf("the visit %s does not say what was owed, what was served and how it was left: %+v", s.name, a)
	}
	x.visits[*e.Thread] = append(x.visits[*e.Thread], s)
}

// has reports whether a task has a visit of that name and category.
func (x *exitsTrace) has(name, category string) bool {
	for _, visits := range x.visits {
		if slices.ContainsFunc(visits, func(s span) bool { return s.name == name && s.category == category }) {
			return true
		}
	}
	return false
}

// checkOrder says where visits of one task overlap, and which steps lie in no
// visit of their task: both are sorted by their beginning.
func checkOrder(visits, steps []span) (wrong []string) {
	byBegin := func(a, b span) int { return cmp.Compare(a.begin, b.begin) }
	slices.SortFunc(visits, byBegin)
	slices.SortFunc(steps, byBegin)
	for i := 1; i < len(visits); i++ {
		if visits[i].begin < visits[i-1].end {
			wrong = append(wrong, visits[i].name+" begins inside of "+visits[i-1].name)
		}
	}
	next := 0
	for _, s := range steps {
		for next < len(visits) && visits[next].end < s.begin {
			next++
		}
		if next == len(visits) || s.begin < visits[next].begin || s.end > visits[next].end {
			wrong = append(wrong, "the step "+s.name+" is in no visit")
		}
	}
	return wrong
}

// TestExitsAsTrace reads what --exits writes for Perfetto.
func TestExitsAsTrace(t *testing.T) {
	t.Parallel()
	trace := parseTrace(t, recordPipeline(t, "exits.json"))
	if len(trace.visits) < 4 {
		t.Errorf("%d tasks are in the trace; the shell, its child, sleep and tr are four", len(trace.visits))
	}
	longest := int64(0)
	for thread, visits := range trace.visits {
		if trace.names[thread] == "" {
			t.Errorf("no metadata names the thread %d", thread)
		}
		for _, wrong := range checkOrder(visits, trace.steps[thread]) {
			t.Errorf("task %d: %s", thread, wrong)
		}
	}
	for thread, steps := range trace.steps {
		if len(trace.visits[thread]) == 0 {
			t.Errorf("task %d has steps and no visit", thread)
		}
		for _, s := range steps {
			longest = max(longest, s.end-s.begin)
		}
	}
	for _, want := range [][2]string{{"read", "syscall"}, {"execve", "syscall"}, {"wait4", "syscall"}, {"#PF", "exception"}} {
		if !trace.has(want[0], want[1]) {
			t.Errorf("there is no %s %s", want[1], want[0])
		}
	}
	if longest < sleepSeconds*1e9 {
		t.Errorf("the longest step takes %d ns, but one waited for %d s", longest, sleepSeconds)
	}
}

// visitLine is a line of the table: time, CPU, task, kind, name, what was
// owed, the length, how it was left, the steps.
var visitLine = regexp.MustCompile(`^ *(\d+\.\d{9}) cpu [01] task \d+ +(syscall|exception|interrupt|work) +(.+?) +owed (\S+) +\d+ ticks  (SYSRET|IRETQ)( \S+:\d+)*$`)

// TestExitsAsTable reads what --exits writes for people, in the order of time.
func TestExitsAsTable(t *testing.T) {
	t.Parallel()
	names, last := map[string]bool{}, ""
	text := strings.TrimSuffix(string(recordPipeline(t, "exits.txt")), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		match := visitLine.FindStringSubmatch(line)
		if match == nil {
			if !strings.Contains(line, " visits were lost") {
				t.Errorf("a line is no visit: %q", line)
			}
			continue
		}
		if match[1] < last {
			t.Errorf("%s stands after %s", match[1], last)
		}
		last = match[1]
		names[match[2]+" "+match[3]] = true
	}
	for _, want := range []string{"syscall read", "syscall write", "exception #PF"} {
		if !names[want] {
			t.Errorf("there is no %s among %d kinds of lines", want, len(names))
		}
	}
}

// TestOrderIsChecked breaks what checkOrder holds visits and steps to.
func TestOrderIsChecked(t *testing.T) {
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
