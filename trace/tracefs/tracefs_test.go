package tracefs_test

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/trace"
	"slowpath/trace/tracefs"
	"slowpath/wait"
)

// world is a tracefs on /t with the events test:one and test:two, which have a number.
type world struct {
	*fstest.World
	registry *trace.Registry
	one, two *trace.Event
	cpu      int
}

func newWorld(t *testing.T) *world {
	w := &world{World: fstest.New(t, 4096)}
	r, err := trace.NewRegistry(trace.Config{CPUs: 2, CPU: func() int { return w.cpu }, Memory: w.Memory, Release: "6.1"})
	if err != nil {
		t.Fatal(err)
	}
	w.registry = r
	w.one, w.two = w.event("one"), w.event("two")
	if err := w.At("/t").MakeDirectory(0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.At("/t").MountAt(tracefs.New(r, w.Memory), "tracefs", 0); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) event(name string) *trace.Event {
	e, err := w.registry.Add(trace.Definition{
		System: "test", Name: name, PrintFormat: func() string { return `"n=%u", REC->n` },
		Fields: []trace.Field{{Type: "u32", Name: "n", Offset: 8, Size: 4}},
		Print: func(dst, record []byte) []byte {
			return fmt.Appendf(dst, "%s: n=%d\n", name, binary.LittleEndian.Uint32(record[8:]))
		},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return e
}

type thread struct{ tid int }

func (t thread) TID() int     { return t.tid }
func (t thread) PID() int     { return 7 }
func (t thread) Comm() string { return "prog" }

// record records an event by thread 100.
func (w *world) record(e *trace.Event, n int) {
	record := make([]byte, 12)
	binary.LittleEndian.PutUint32(record[8:], uint32(n))
	e.Record(thread{100}, nil, record)
}

// write writes a text and a newline without truncation.
func (w *world) write(name, text string) error {
	f, err := w.At("/t/"+name).Open(unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.DecRef()
	_, err = f.Write(fs.NewBytesSource([]byte(text + "\n")))
	return err
}

// must is write that has to succeed.
func (w *world) must(name, text string) {
	w.T.Helper()
	if err := w.write(name, text); err != nil {
		w.T.Errorf("%q into %s: %v", text, name, err)
	}
}

var times = regexp.MustCompile(`(?m)^( +\S+-\d+ +(\(.*\) )?\[\d+\] \S+) +\d+\.\d{6}:`)

// lines returns the records in the file trace, without their times.
func (w *world) lines() string {
	var b strings.Builder
	for line := range strings.Lines(times.ReplaceAllString(w.Read("/t/trace"), "$1")) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	return b.String()
}

func (w *world) expect(want string) {
	w.T.Helper()
	if got := w.lines(); got != want {
		w.T.Errorf("trace:\n%swant:\n%s", got, want)
	}
}

const prefix = "prog-100     [000] ..... "

func TestEnabledEventIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.record(w.one, 1)
	w.must("events/test/one/enable", "1")
	w.record(w.one, 2)
	w.record(w.two, 3)
	w.expect(prefix + "one: n=2\n")
	for name, want := range map[string]string{
		"events/test/enable": "X\n", "events/enable": "X\n", "set_event": "test:one\n", "events/test/two/enable": "0\n",
		"available_events": "test:two\ntest:one\n", "saved_cmdlines": "100 prog\n", "buffer_size_kb": "1410\n",
	} {
		if got := w.Read("/t/" + name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	w.must("set_event", "test:two")
	w.must("set_event", "!one")
	w.record(w.one, 4)
	w.cpu = 1
	w.record(w.two, 5)
	w.expect(prefix + "one: n=2\nprog-100     [001] ..... two: n=5\n")
	w.must("tracing_cpumask", "1")
	w.record(w.two, 6)
	w.must("tracing_cpumask", "3")
	w.must("tracing_on", "0")
	w.record(w.two, 7)
	w.must("tracing_on", "1")
	w.Write("/t/set_event", "")
	w.record(w.two, 8)
	w.expect(prefix + "one: n=2\nprog-100     [001] ..... two: n=5\n")
	w.Write("/t/trace", "")
	w.expect("")
}

func TestFilterSelectsRecords(t *testing.T) {
	w := newWorld(t)
	w.must("events/test/enable", "1")
	w.must("events/test/one/filter", "n > 4 && comm == \"prog\"")
	w.record(w.one, 4)
	w.record(w.one, 5)
	if err := w.write("events/test/one/filter", "n > x"); err != unix.EINVAL {
		t.Errorf("a bad filter: %v", err)
	}
	const bad = "n > x\n     ^\nparse_error: Invalid value (did you forget quotes)?\n\n"
	if got := w.Read("/t/events/test/one/filter"); got != bad {
		t.Errorf("filter: %q", got)
	}
	if log := w.Read("/t/error_log"); !strings.HasSuffix(log, "event filter parse error: error: Invalid value (did you forget quotes)?\n  Command: n > x\n                ^\n") {
		t.Errorf("error_log: %s", log)
	}
	w.record(w.one, 1) // a bad filter has no effect
	w.must("events/test/filter", "n == 7")
	w.record(w.one, 6)
	w.record(w.two, 7)
	w.must("events/test/filter", "0")
	w.record(w.two, 8)
	w.expect(prefix + "one: n=5\n" + prefix + "one: n=1\n" + prefix + "two: n=7\n" + prefix + "two: n=8\n")
	if got := w.Read("/t/events/test/two/filter"); got != "none\n" {
		t.Errorf("filter: %q", got)
	}
}

func TestTriggers(t *testing.T) {
	w := newWorld(t)
	const none = "# Available triggers:\n# traceon traceoff snapshot stacktrace enable_event disable_event enable_hist disable_hist hist\n"
	for _, c := range []struct {
		text string
		want error
		show string
	}{
		{"traceoff", nil, "traceoff:unlimited\n"},
		{"traceoff", unix.EEXIST, "traceoff:unlimited\n"},
		{"!traceoff", nil, none},
		{"traceon:2", nil, "traceon:count=2\n"},
		{"!traceon:2", nil, none},
		{"foo", unix.EINVAL, none},
		{"!foo", unix.EINVAL, none},
		{"traceoff if", unix.EINVAL, none},
		{"traceoff:x", unix.EINVAL, none},
		{"traceoff if zz == 1", unix.EINVAL, none},
		{"stacktrace:x", unix.EINVAL, none},
		{"stacktrace", nil, "stacktrace:unlimited\n"},
		{"stacktrace", unix.EEXIST, "stacktrace:unlimited\n"},
		{"!stacktrace", nil, none},
		{"enable_event:foo:bar", unix.EINVAL, none},
		{"disable_event:ftrace:print", unix.EINVAL, none},
		{"enable_event", unix.EINVAL, none},
		{"enable_event:test:two:1 if n == 3", nil, "enable_event:test:two:count=1 if n == 3\n"},
		{"traceoff:1 if n == 5", nil, "traceoff:count=1 if n == 5\nenable_event:test:two:count=1 if n == 3\n"},
	} {
		if err := w.write("events/test/one/trigger", c.text); err != c.want {
			t.Errorf("%s: %v, want %v", c.text, err, c.want)
		}
		if got := w.Read("/t/events/test/one/trigger"); got != c.show {
			t.Errorf("after %s:\n%swant:\n%s", c.text, got, c.show)
		}
	}
	w.must("events/test/one/enable", "1")
	if got := w.Read("/t/events/test/two/enable"); got != "0*\n" {
		t.Errorf("the enable of the target: %q", got)
	}
	w.record(w.two, 1)
	w.record(w.one, 3)
	w.record(w.two, 2)
	w.record(w.one, 5) // it is recorded, and then no more
	w.record(w.one, 6)
	w.expect(prefix + "one: n=3\n" + prefix + "two: n=2\n" + prefix + "one: n=5\n")
	if got := w.Read("/t/tracing_on"); got != "0\n" {
		t.Errorf("tracing_on: %s", got)
	}
	w.must("tracing_on", "1")
	w.record(w.one, 5)
	if got := w.Read("/t/events/test/one/trigger"); got != "traceoff:count=0 if n == 5\nenable_event:test:two:count=0 if n == 3\n" {
		t.Errorf("trigger: %s", got)
	}
	if err := w.registry.Remove(w.two); err != unix.EBUSY {
		t.Errorf("removal of the target of a trigger: %v", err)
	}
	w.Write("/t/events/test/one/trigger", "")
	if err := w.registry.Remove(w.two); err != nil {
		t.Errorf("removal: %v", err)
	}
}

func TestPipeConsumesRecordsAndWaits(t *testing.T) {
	w := newWorld(t)
	f := w.Open("/t/trace_pipe", unix.O_RDONLY, 0)
	var buffer [4096]byte
	read := func() (string, error) {
		sink := fs.NewBytesSink(buffer[:])
		_, err := f.Read(sink)
		return strings.TrimSpace(times.ReplaceAllString(string(sink.Bytes()), "$1")), err
	}
	woken := make(chan struct{}, 16)
	waiter := &wait.Waiter{Mask: wait.Readable, Notify: func(*wait.Waiter, wait.Events) { woken <- struct{}{} }}
	f.Queue().Add(waiter)
	defer f.Queue().Remove(waiter)
	if _, err := read(); err != unix.EAGAIN || f.Readiness() != 0 {
		t.Errorf("an empty pipe: %v", err)
	}
	w.must("events/test/enable", "1")
	w.record(w.one, 1)
	w.cpu = 1
	w.record(w.two, 2)
	select {
	case <-woken:
	case <-time.After(5 * time.Second):
		t.Error("the reader was not woken")
	}
	if f.Readiness() != wait.Readable {
		t.Error("the pipe is not readable")
	}
	if text, err := read(); err != nil || text != prefix+"one: n=1\n        prog-100     [001] ..... two: n=2" && !strings.HasSuffix(text, "two: n=2") {
		t.Errorf("%q %v", text, err)
	}
	if _, err := read(); err != unix.EAGAIN {
		t.Errorf("an empty pipe: %v", err)
	}
	w.must("tracing_on", "0")
	if text, err := read(); err != nil || text != "" {
		t.Errorf("the end: %q %v", text, err)
	}
	w.expect("")
}

func TestPipeReportsLostRecords(t *testing.T) {
	w := newWorld(t)
	w.must("buffer_size_kb", "8")
	w.must("events/test/one/enable", "1")
	for n := range 3000 {
		w.record(w.one, n)
	}
	f := w.Open("/t/per_cpu/cpu0/trace_pipe", unix.O_RDONLY, 0)
	var all strings.Builder
	for {
		sink := fs.NewBytesSink(make([]byte, 1000))
		if _, err := f.Read(sink); err != nil {
			break
		}
		all.Write(sink.Bytes())
	}
	lost, n := 0, 0
	for line := range strings.Lines(all.String()) {
		if k, _ := fmt.Sscanf(line, "CPU:0 [LOST %d EVENTS]", &lost); k == 1 {
			n += lost
			continue
		}
		if !strings.HasSuffix(line, fmt.Sprintf("one: n=%d\n", n)) {
			t.Fatalf("record %d is %q", n, line)
		}
		n++
	}
	if n != 3000 || lost == 0 {
		t.Errorf("%d records, %d lost", n, lost)
	}
}

func TestMarkersAreRecorded(t *testing.T) {
	w := newWorld(t)
	w.must("trace_marker", "hello")
	w.must("trace_marker_raw", "\x01\x02\x03\x04abcd")
	w.must("options/record-tgid", "1")
	lines := strings.Split(w.lines(), "\n")
	if len(lines) != 3 || lines[0] != "<...>-1       (-------) [000] ..... tracing_mark_write: hello" ||
		lines[1] != "<...>-1       (-------) [000] ..... # 4030201 buf: 61 62 63 64 0a 00 00 00 00 00 00 00 00 00 00 00" {
		t.Errorf("%q", lines)
	}
	if err := w.write("trace_marker_raw", "x"); err != unix.EINVAL {
		t.Errorf("a short binary record: %v", err)
	}
	w.must("tracing_on", "0")
	if err := w.write("trace_marker", "x"); err != unix.EBADF {
		t.Errorf("a marker without tracing: %v", err)
	}
	w.must("trace_options", "nomarkers")
	if err := w.write("trace_marker", "x"); err != unix.EINVAL {
		t.Errorf("a marker without the option: %v", err)
	}
}

func TestTraceIsReadInPieces(t *testing.T) {
	w := newWorld(t)
	w.must("events/test/one/enable", "1")
	for n := range 2000 {
		w.record(w.one, n)
	}
	whole := w.Read("/t/trace")
	f := w.Open("/t/trace", unix.O_RDONLY, 0)
	for _, size := range []int{1, 7, 100, 5000, 100000} {
		at := int64(len(whole) / 3)
		sink := fs.NewBytesSink(make([]byte, size))
		if _, err := f.ReadAt(sink, at); err != nil || !strings.HasPrefix(whole[at:], string(sink.Bytes())) || len(sink.Bytes()) == 0 {
			t.Errorf("%d bytes at %d: %v", size, at, err)
		}
	}
	if strings.Count(whole, "\n") != 2012 {
		t.Errorf("%d lines", strings.Count(whole, "\n"))
	}
}

func TestInstanceHasItsOwnState(t *testing.T) {
	w := newWorld(t)
	at := w.At("/t/instances/a")
	if err := at.MakeDirectory(0o755); err != nil {
		t.Fatal(err)
	}
	if err := at.MakeDirectory(0o755); err != unix.EEXIST {
		t.Errorf("a second one: %v", err)
	}
	w.must("instances/a/events/test/one/enable", "1")
	w.record(w.one, 1)
	w.expect("")
	if got := w.Read("/t/instances/a/trace"); !strings.Contains(got, "one: n=1\n") {
		t.Errorf("trace of the instance: %s", got)
	}
	f := w.Open("/t/instances/a/trace_pipe", unix.O_RDONLY, 0)
	if err := at.RemoveDirectory(); err != unix.EBUSY {
		t.Errorf("removal with an open file: %v", err)
	}
	f.IncRef()
	f.DecRef()
	if err := w.registry.Remove(w.one); err != unix.EBUSY {
		t.Errorf("removal of an event that is enabled in the instance: %v", err)
	}
}

func TestRemovedInstanceDisablesItsEvents(t *testing.T) {
	w := newWorld(t)
	at := w.At("/t/instances/a")
	for range 3 {
		if err := at.MakeDirectory(0o755); err != nil {
			t.Fatal(err)
		}
		w.must("instances/a/events/enable", "1")
		if !w.one.Enabled() {
			t.Error("the event is not enabled")
		}
		if err := at.RemoveDirectory(); err != nil {
			t.Fatal(err)
		}
		if w.one.Enabled() {
			t.Error("the event is still enabled")
		}
	}
	if err := w.registry.Remove(w.one); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"/t/x", "/t/events/x", "/t/instances/a/x"} {
		if err := w.At(name).MakeDirectory(0o755); err == nil {
			t.Errorf("%s was made", name)
		}
	}
}

func TestSizesAreRoundedAsOnLinux(t *testing.T) {
	w := newWorld(t)
	const sizes = "buffer_size_kb per_cpu/cpu0/buffer_size_kb buffer_total_size_kb"
	show := func() (text string) {
		for _, name := range strings.Fields(sizes) {
			text += strings.ReplaceAll(w.Read("/t/"+name), "\n", "|")
		}
		return text
	}
	for _, c := range []struct {
		name, value string
		want        error
		show        string
	}{
		{"tracing_on", "1", nil, "7 (expanded: 1408)|7|14 (expanded: 2816)|"},
		{"buffer_size_kb", "0", unix.EINVAL, "7 (expanded: 1408)|7|14 (expanded: 2816)|"},
		{"buffer_size_kb", "1", nil, "7|7|14|"},
		{"per_cpu/cpu0/buffer_size_kb", "100", nil, "X|103|110|"},
		{"buffer_size_kb", "1000000000", unix.ENOMEM, "X|103|110|"},
		{"buffer_size_kb", "64", nil, "67|67|134|"},
		{"buffer_size_kb", "x", unix.EINVAL, "67|67|134|"},
		{"buffer_size_kb", "99999999999999999999999", unix.ERANGE, "67|67|134|"},
	} {
		if err := w.write(c.name, c.value); err != c.want {
			t.Errorf("%s into %s: %v, want %v", c.value, c.name, err, c.want)
		}
		if got := show(); got != c.show {
			t.Errorf("after %s into %s: %s, want %s", c.value, c.name, got, c.show)
		}
	}
}

func TestThreadsAreSelected(t *testing.T) {
	w := newWorld(t)
	w.must("events/test/one/enable", "1")
	w.must("set_event_pid", "99 101")
	w.record(w.one, 1)
	w.must("set_event_pid", "100")
	w.record(w.one, 2)
	w.must("set_event_notrace_pid", "100")
	w.record(w.one, 3)
	w.Write("/t/set_event_pid", "")
	w.record(w.one, 4)
	w.Write("/t/set_event_notrace_pid", "")
	w.record(w.one, 5)
	w.expect(prefix + "one: n=2\n" + prefix + "one: n=5\n")
}

func TestListsOfThreadsFollowForks(t *testing.T) {
	w := newWorld(t)
	show := func() string {
		return strings.ReplaceAll(w.Read("/t/set_event_pid")+"-"+w.Read("/t/set_event_notrace_pid"), "\n", " ")
	}
	w.must("set_event_pid", "100")
	w.must("set_event_notrace_pid", "200")
	w.registry.Forked(100, 101)
	if got := show(); got != "100 -200 " {
		t.Errorf("without the option: %s", got)
	}
	w.must("options/event-fork", "1")
	w.registry.Forked(100, 101)
	w.registry.Forked(101, 102)
	w.registry.Forked(200, 150)
	w.registry.Forked(300, 301)
	if got := show(); got != "100 101 102 -150 200 " {
		t.Errorf("after forks: %s", got)
	}
	w.registry.Exited(100)
	w.registry.Exited(200)
	if got := show(); got != "101 102 -150 " {
		t.Errorf("after exits: %s", got)
	}
}

func TestOthersThanRootSeeNothing(t *testing.T) {
	w := newWorld(t)
	at := w.At("/t/trace")
	at.Caller = w.User(1000, 1000)
	if _, err := at.Open(unix.O_RDONLY, 0); err != unix.EACCES {
		t.Errorf("open by a user: %v", err)
	}
	if a := w.Open("/t", unix.O_RDONLY, 0).Attributes(); a.Mode&0o7777 != 0o700 {
		t.Errorf("the mode of the top is %o", a.Mode)
	}
}

func TestFormat(t *testing.T) {
	w := newWorld(t)
	want := fmt.Sprintf("name: one\nID: %d\nformat:\n"+
		"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"+
		"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"+
		"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"+
		"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"+
		"\tfield:u32 n;\toffset:8;\tsize:4;\tsigned:0;\n\nprint fmt: \"n=%%u\", REC->n\n", w.one.ID())
	if got := w.Read("/t/events/test/one/format"); got != want {
		t.Errorf("format:\n%s", got)
	}
	if got := w.Read("/t/events/test/one/id"); got != fmt.Sprintln(w.one.ID()) || w.registry.ByID(w.one.ID()) != w.one {
		t.Errorf("id: %s", got)
	}
}
