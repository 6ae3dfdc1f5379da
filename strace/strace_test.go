package strace

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"slowpath/strace/decode"
	"slowpath/tracespec"
)

// script is a list of records that a test writes.
type script struct {
	encoder tracespec.Encoder
	now     uint64
}

func (s *script) put(r tracespec.Record) {
	s.now += 1_000_000
	s.encoder.Append(&r, s.now)
}

// empty returns n captures that are missing.
func empty(n int) []byte { return make([]byte, n) }

// enter and leave put a call without captures.
func (s *script) enter(table *decode.Table, thread, process uint32, name string, arguments ...uint64) {
	c := table.Named(name)
	r := tracespec.Record{Kind: tracespec.Enter, Thread: thread, Process: process, Number: int32(c.Number), Captures: empty(len(c.Plan.Entry))}
	copy(r.Arguments[:], arguments)
	s.put(r)
}

func (s *script) leave(table *decode.Table, thread uint32, name string, result int64) {
	c := table.Named(name)
	s.put(tracespec.Record{Kind: tracespec.Leave, Thread: thread, Result: result, Captures: empty(len(c.Plan.Exit))})
}

// info returns a siginfo_t of a signal by kill(2).
func info(signal uint32) []byte {
	b := make([]byte, 128)
	binary.LittleEndian.PutUint32(b, signal)
	binary.LittleEndian.PutUint32(b[16:], 7)
	return b
}

func table() *decode.Table { return decode.New(decode.Options{Strings: 32}) }

// text returns what Text prints for a script.
func text(t *testing.T, table *decode.Table, s *script, change func(o *TextOptions)) string {
	t.Helper()
	var out bytes.Buffer
	o := TextOptions{Output: func(uint32) (io.Writer, error) { return &out, nil }, AlwaysPID: true, Exits: true, Superseded: true, Column: 40}
	if change != nil {
		change(&o)
	}
	e := New(table, Start{Path: "/bin/p", Arguments: []string{"p", "a"}, Variables: 1}, NewText(table, o, nil))
	if err := e.Write(s.encoder.Take()); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// twoThreads is a process with a thread, a signal, an exit by a signal and an exit in a call.
func twoThreads(table *decode.Table) *script {
	s := new(script)
	s.put(tracespec.Record{Kind: tracespec.Begin, Wall: 1e18})
	s.put(tracespec.Record{Kind: tracespec.Exec, Thread: 2, Process: 2, Other: 2, Arguments: [6]uint64{0x7ff0}})
	s.enter(table, 2, 2, "vfork")
	s.put(tracespec.Record{Kind: tracespec.Clone, Thread: 2, Other: 3, Process: 3})
	s.enter(table, 3, 3, "read", 0, 0x10, 5)
	s.leave(table, 2, "vfork", 3)
	s.enter(table, 2, 2, "wait4", ^uint64(0), 0, 0, 0)
	s.leave(table, 3, "read", -2)
	s.put(tracespec.Record{Kind: tracespec.Generated, Thread: 3, Process: 3, Data: info(15)})
	s.put(tracespec.Record{Kind: tracespec.Ignored, Thread: 2, Process: 2, Data: info(17)})
	s.put(tracespec.Record{Kind: tracespec.Exit, Thread: 3, Process: 3, Result: 15})
	s.leave(table, 2, "wait4", 3)
	s.put(tracespec.Record{Kind: tracespec.Signal, Thread: 2, Process: 2, Data: info(10)})
	s.enter(table, 2, 2, "exit_group", 4)
	s.put(tracespec.Record{Kind: tracespec.Exit, Thread: 2, Process: 2, Result: 4 << 8})
	return s
}

func TestUnfinishedCallsAreResumed(t *testing.T) {
	table := table()
	const want = `2     execve("/bin/p", ["p", "a"], 0x7ff0 /* 1 var */) = 0
2     vfork( <unfinished ...>
3     read(0,  <unfinished ...>
2     <... vfork resumed>)              = 3
2     wait4(-1,  <unfinished ...>
3     <... read resumed>0x10, 5)        = -1 ENOENT (No such file or directory)
3     --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=7, si_uid=0} ---
3     +++ killed by SIGTERM +++
2     <... wait4 resumed>NULL, 0, NULL) = 3
2     --- SIGCHLD {si_signo=SIGCHLD, si_code=SI_USER, si_pid=7, si_uid=0} ---
2     --- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=7, si_uid=0} ---
2     exit_group(4)                     = ?
2     +++ exited with 4 +++
`
	if got := text(t, table, twoThreads(table), nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLinesOnATerminalHaveMessages(t *testing.T) {
	table := table()
	got := text(t, table, twoThreads(table), func(o *TextOptions) { o.AlwaysPID, o.Messages = false, true })
	for _, want := range []string{"vfork(strace: Process 3 attached\n <unfinished ...>\n", "[pid     3] read(0,  <unfinished ...>\n", "\nexit_group(4)                           = ?\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestChangesOfTheABIHaveALine(t *testing.T) {
	table, s := table(), new(script)
	s.put(tracespec.Record{Kind: tracespec.Begin})
	getpid := func(i386 bool) {
		number := int32(39)
		if i386 {
			number = 20
		}
		s.put(tracespec.Record{Kind: tracespec.Enter, Thread: 5, Process: 5, Number: number, I386: i386})
		s.put(tracespec.Record{Kind: tracespec.Leave, Thread: 5, Result: 5})
	}
	for _, i386 := range []bool{false, true, true, false} {
		getpid(i386)
	}
	got := text(t, table, s, func(o *TextOptions) { o.AlwaysPID, o.Modes, o.Column = false, true, 0 })
	want := "getpid() = 5\n[ Process PID=5 runs in 32 bit mode. ]\ngetpid() = 5\ngetpid() = 5\n[ Process PID=5 runs in 64 bit mode. ]\ngetpid() = 5\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTimesOfLines(t *testing.T) {
	table := table()
	got := text(t, table, twoThreads(table), func(o *TextOptions) {
		o.Clock, o.Relative, o.Elapsed, o.ClockDigits, o.RelativeDigits, o.ElapsedDigits = ClockUnix, true, true, 6, 6, 6
	})
	for _, want := range []string{"2     1000000000.001000 (+     0.000000) execve(", "\n2     1000000000.002000 (+     0.001000) vfork(", " = 3 <0.003000>\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestOnlyChosenEndsAndSignalsAreShown(t *testing.T) {
	table := table()
	var f Filter
	if err := f.Add(table, "status=failed,unfinished"); err != nil {
		t.Fatal(err)
	}
	if err := f.Add(table, "signal=!CHLD"); err != nil {
		t.Fatal(err)
	}
	got := text(t, table, twoThreads(table), func(o *TextOptions) { o.Shown, o.Signal, o.Exits = f.ShowsEnd, f.ShowsSignal, false })
	const want = `3     read(0, 0x10, 5)                  = -1 ENOENT (No such file or directory)
3     --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=7, si_uid=0} ---
2     --- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=7, si_uid=0} ---
2     exit_group(4)                     = ?
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestThreadThatExecutesSupersedesTheLeader(t *testing.T) {
	table := table()
	s := new(script)
	s.enter(table, 2, 2, "pause")
	s.put(tracespec.Record{Kind: tracespec.Clone, Thread: 2, Other: 3, Process: 2})
	s.enter(table, 3, 2, "execve", 0, 0, 0)
	s.put(tracespec.Record{Kind: tracespec.Exec, Thread: 2, Process: 2, Other: 3, Data: []byte("/x")})
	s.leave(table, 2, "execve", 0)
	const want = `2     pause( <unfinished ...>
3     execve(NULL, NULL, NULL <unfinished ...>
2     +++ superseded by execve in pid 3 +++
2     <... execve resumed>)             = 0
`
	if got := text(t, table, s, nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestThreadKilledByExitGroupHasAnUnfinishedCall(t *testing.T) {
	table := table()
	s := new(script)
	s.enter(table, 3, 2, "read", 0, 0x10, 5)
	c := table.Named("read")
	s.put(tracespec.Record{Kind: tracespec.Leave, Thread: 3, Result: -512, Killed: true, Captures: empty(len(c.Plan.Exit))})
	s.put(tracespec.Record{Kind: tracespec.Exit, Thread: 3, Process: 2})
	const want = "3     read(0,  <unfinished ...>)        = ?\n3     +++ exited with 0 +++\n"
	if got := text(t, table, s, nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCountHasCallsAndErrors(t *testing.T) {
	table := table()
	var out bytes.Buffer
	e := New(table, Start{}, NewCount(&out, CountOptions{}))
	if err := e.Write(twoThreads(table).encoder.Take()); err != nil {
		t.Fatal(err)
	}
	e.Close()
	for _, want := range []string{" 27.27    0.003000        3000         1         1 read\n", "         4         1 total\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestJSONHasEveryEvent(t *testing.T) {
	table := table()
	var out, trace bytes.Buffer
	e := New(table, Start{Path: "/bin/p"}, NewJSON(table, &out), NewPerfetto(table, &trace))
	if err := e.Write(twoThreads(table).encoder.Take()); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var l line
		if err := decoder.Decode(&l); err != nil {
			t.Fatal(err)
		}
		counts[l.Event]++
		if l.Name == "read" && (l.Errno != "ENOENT" || len(l.Args) != 3 || *l.Duration != 3_000_000) {
			t.Errorf("the object of read is %+v", l)
		}
	}
	if counts["call"] != 4 || counts["signal"] != 3 || counts["exited"] != 2 || counts["attached"] != 2 || counts["unfinished"] != 1 {
		t.Errorf("the events are %v", counts)
	}
	var events struct{ TraceEvents []map[string]any }
	if err := json.Unmarshal(trace.Bytes(), &events); err != nil || len(events.TraceEvents) != 4+1+3+2+2 {
		t.Errorf("the trace has %d events, %v", len(events.TraceEvents), err)
	}
}

// TestEndedThreadsAreForgotten makes and ends many threads. A signal for a process that has
// ended must not be kept.
func TestEndedThreadsAreForgotten(t *testing.T) {
	e := New(table(), Start{}, NewCount(io.Discard, CountOptions{}))
	s := new(script)
	for id := uint32(2); id < 100; id++ {
		s.put(tracespec.Record{Kind: tracespec.Clone, Thread: 1, Other: id, Process: id})
		s.put(tracespec.Record{Kind: tracespec.Generated, Thread: id, Process: id, Data: make([]byte, 128)})
		s.put(tracespec.Record{Kind: tracespec.Exit, Thread: id, Process: id})
		s.put(tracespec.Record{Kind: tracespec.Generated, Thread: id, Process: id, Data: make([]byte, 128)})
	}
	if err := e.Write(s.encoder.Take()); err != nil {
		t.Fatal(err)
	}
	if len(e.threads)+len(e.sent)+len(e.processes) > 0 {
		t.Errorf("%d threads, %d signals and %d processes are kept", len(e.threads), len(e.sent), len(e.processes))
	}
}

func TestLostRecordsAreCounted(t *testing.T) {
	s := new(script)
	s.put(tracespec.Record{Kind: tracespec.Leave, Thread: 5, Result: 1})
	s.encoder.Lost(7)
	e := New(table(), Start{})
	if err := e.Write(s.encoder.Take()); err != nil || e.Lost() != 7 {
		t.Errorf("%d records are lost, %v", e.Lost(), err)
	}
}

func TestExpressionsSelectCalls(t *testing.T) {
	table := table()
	for expression, want := range map[string]string{
		"trace=read,write":     "read write",
		"read":                 "read",
		"trace=/^clone":        "clone clone3",
		"trace=%stat":          "stat",
		"trace=?nosuch,getpid": "getpid",
		"trace=none":           "",
		"trace=0":              "read",
	} {
		var f Filter
		if err := f.Add(table, expression); err != nil {
			t.Error(err)
			continue
		}
		var names []string
		for _, c := range table.All() {
			if f.Calls[c.Number] && c.Number < tracespec.FirstI386 {
				names = append(names, c.Name)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("-e %s selects %q, want %q", expression, got, want)
		}
	}
	var f Filter
	if err := f.Add(table, "trace=!read,write"); err != nil || f.Calls[0] || f.Calls[1] || !f.Calls[2] {
		t.Errorf("an inverted set is %v, %v", f.Calls[2], err)
	}
	if p := new(Filter).Plan(table); len(p.Calls) != tracespec.MaxCalls {
		t.Errorf("without a filter %d calls are shown", len(p.Calls))
	}
}

func TestExpressionsInject(t *testing.T) {
	table := table()
	var f Filter
	for _, e := range []string{"inject=open,openat:error=ENOENT:when=2+3", "inject=read:retval=5:delay_exit=3ms:when=4", "fault=write:when=2..3", "inject=getpid:signal=USR1"} {
		if err := f.Add(table, e); err != nil {
			t.Fatal(err)
		}
	}
	const i386 = tracespec.FirstI386
	want := []tracespec.Injection{
		{Numbers: []int{2, 257, i386 + 5, i386 + 295}, First: 2, Step: 3, Replace: true, Result: -2},
		{Numbers: []int{0, i386 + 3}, First: 4, Last: 4, Step: 1, Replace: true, Result: 5, DelayExit: 3_000_000},
		{Numbers: []int{1, i386 + 4}, First: 2, Last: 3, Step: 1, Replace: true, Result: -38},
		{Numbers: []int{39, i386 + 20}, First: 1, Step: 1, Signal: 10},
	}
	got, _ := json.Marshal(f.Injections)
	expected, _ := json.Marshal(want)
	if string(got) != string(expected) {
		t.Errorf("got  %s\nwant %s", got, expected)
	}
}

func TestBadExpressionsAreRefused(t *testing.T) {
	table := table()
	for _, e := range []string{"trace=nosuch", "trace=", "trace=/(", "signal=SIGNONE", "status=odd", "inject=read", "inject=read:error=EX", "inject=read:when=0:retval=1",
		"inject=read:delay_enter=x", "what=1", "inject=read:retval=z", "inject=read:retval=1:when=3..2"} {
		if err := new(Filter).Add(table, e); err == nil {
			t.Errorf("-e %s is accepted", e)
		}
	}
}

// FuzzWrite writes damaged batches.
func FuzzWrite(f *testing.F) {
	table := table()
	f.Add(twoThreads(table).encoder.Take())
	f.Fuzz(func(t *testing.T, batch []byte) {
		o := TextOptions{Output: func(uint32) (io.Writer, error) { return io.Discard, nil }, Exits: true, Superseded: true, Column: 40}
		e := New(table, Start{Path: "/p"}, NewText(table, o, nil), NewJSON(table, io.Discard), NewPerfetto(table, io.Discard), NewCount(io.Discard, CountOptions{}))
		e.Write(batch)
		e.Close()
	})
}

// FuzzExpression parses expressions of the option -e.
func FuzzExpression(f *testing.F) {
	table := table()
	f.Add("inject=read:error=ENOENT:when=2+3")
	f.Add("trace=!%file,/x")
	f.Fuzz(func(t *testing.T, e string) {
		var filter Filter
		if filter.Add(table, e) == nil {
			if _, err := filter.Plan(table).Marshal(); err != nil {
				t.Error(err)
			}
		}
	})
}
