package report

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"slowpath/probe/plan"
	"slowpath/probe/probetest"
	"slowpath/probe/spec"
	"slowpath/probespec"
	"slowpath/uprobe/fetch"
)

const source = `__attribute__((noinline)) int add(int a, int b) { __asm__ volatile(""); return a + b; }
__attribute__((noinline)) void quit(int a) { __asm__ volatile("" :: "r"(a)); }
int main(int argc, char **argv) { (void)argv; quit(argc); return add(argc, 2); }
`

// probes makes a plan with the numbers 0: add, 1: its return, 2: quit, 3: its return.
func probes(t *testing.T) *plan.Plan {
	t.Helper()
	r := plan.Request{Files: probetest.Root("/"), Program: []string{probetest.C(t, source, "-O1", "-no-pie")}, Returns: true}
	for _, text := range []string{"add(*)", "quit"} {
		s, err := spec.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		r.Specs = append(r.Specs, s)
	}
	p, err := plan.New(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Objects.Close)
	return p
}

// recorder makes records as the kernel does.
type recorder struct {
	probespec.Encoder
	plan *plan.Plan
}

// hit appends a hit with the given registers.
func (r *recorder) hit(id uint32, time, thread uint64, registers map[fetch.Register]uint64) {
	p := &r.plan.File.Probes[id]
	var values []byte
	for _, a := range r.plan.File.Lists[p.Arguments] {
		step := a.Steps[0]
		switch step.Op {
		case fetch.StackPointer:
			step.Register = fetch.SP
		case fetch.ReturnValue:
			step.Register = fetch.AX
		}
		values = binary.LittleEndian.AppendUint64(values, registers[step.Register])
	}
	r.Hit(&probespec.Hit{ID: id, Time: time, Process: 2, Thread: uint32(thread), Comm: "prog", Values: values})
}

// sample writes the hits of a run: two calls of add within each other in thread 2, one in
// thread 3 at the same place of its stack, a call of quit that never returns, and a return
// without an entry.
func sample(t *testing.T, p *plan.Plan) []byte {
	t.Helper()
	r := &recorder{plan: p}
	entry := func(sp, a, b uint64) map[fetch.Register]uint64 {
		return map[fetch.Register]uint64{fetch.SP: sp, fetch.DI: a, fetch.SI: b}
	}
	back := func(sp, result uint64) map[fetch.Register]uint64 {
		return map[fetch.Register]uint64{fetch.SP: sp + 8, fetch.AX: result}
	}
	r.hit(0, 1_000_000_000, 2, entry(0x8000, 1, 2))
	r.hit(0, 1_000_001_000, 2, entry(0x7000, 3, ^uint64(3)))
	r.hit(0, 1_000_001_500, 3, entry(0x7000, 5, 6))
	r.hit(1, 1_000_003_000, 2, back(0x7000, ^uint64(0)))
	r.hit(2, 1_000_003_500, 2, entry(0x6000, 0, 0))
	r.hit(1, 1_000_009_000, 2, back(0x8000, 3))
	r.hit(1, 1_000_009_500, 3, back(0x7000, 11))
	r.hit(1, 1_000_010_000, 2, back(0x5000, 4))
	r.Lost(7)
	return r.Take()
}

func TestText(t *testing.T) {
	p := probes(t)
	var out bytes.Buffer
	r := New(p, NewText(&out))
	if err := r.Write(sample(t, p)); err != nil {
		t.Fatal(err)
	}
	const want = `    1.000000 prog[2] add(a=1, b=2)
    1.000001 prog[2] add(a=3, b=-4)
    1.000001 prog[2/3] add(a=5, b=6)
    1.000003 prog[2] add returns -1 after 2 µs
    1.000003 prog[2] quit()
    1.000009 prog[2] add returns 3 after 9 µs
    1.000009 prog[2/3] add returns 11 after 8 µs
    1.000010 prog[2] add returns 4
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if s, err := r.Close(); err != nil || s.Lost != 7 || s.Unpaired != 1 || r.Hits() != 8 {
		t.Errorf("the summary is %+v, %v after %d hits", s, err, r.Hits())
	}
}

func TestTailCallHasNoResult(t *testing.T) {
	p := probes(t)
	var text, object bytes.Buffer
	r := New(p, NewText(&text), NewJSON(&object))
	e := &probespec.Encoder{}
	e.Hit(&probespec.Hit{ID: 1, Process: 2, Thread: 2, Comm: "prog", Values: make([]byte, 16), TailCall: true})
	if err := r.Write(e.Take()); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); got != "    0.000000 prog[2] add ends with a tail call\n" {
		t.Errorf("got %q", got)
	}
	if got := object.String(); !strings.Contains(got, `"tail_call":true`) || strings.Contains(got, "results") {
		t.Errorf("got %s", got)
	}
}

func TestJSON(t *testing.T) {
	p := probes(t)
	var out bytes.Buffer
	r := New(p, NewJSON(&out))
	r.Write(sample(t, p))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 8 {
		t.Fatalf("there are %d lines", len(lines))
	}
	var entry, back map[string]any
	if err := errors.Join(json.Unmarshal([]byte(lines[1]), &entry), json.Unmarshal([]byte(lines[3]), &back)); err != nil {
		t.Fatal(err)
	}
	arguments := entry["arguments"].(map[string]any)
	if entry["event"] != "entry" || entry["function"] != "add" || entry["time_ns"] != 1000001000.0 || arguments["a"] != 3.0 || arguments["b"] != -4.0 {
		t.Errorf("the entry is %v", entry)
	}
	if back["event"] != "return" || back["elapsed_ns"] != 2000.0 || back["results"].([]any)[0] != -1.0 {
		t.Errorf("the return is %v", back)
	}
}

func TestPerfetto(t *testing.T) {
	p := probes(t)
	var out bytes.Buffer
	r := New(p, NewPerfetto(&out))
	r.Write(sample(t, p))
	r.Close()
	var trace struct {
		TraceEvents []struct {
			Name, Ph string
			Ts, Dur  float64
			Pid, Tid int
			Args     map[string]any
		}
		OtherData map[string]int
	}
	if err := json.Unmarshal(out.Bytes(), &trace); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var got []string
	for _, e := range trace.TraceEvents {
		if e.Ph != "M" {
			text, _ := json.Marshal([]any{e.Name, e.Ph, e.Ts, e.Dur, e.Tid, e.Args})
			got = append(got, string(text))
		}
	}
	want := `["add","X",1000001,2,2,{"a":3,"b":-4,"result":-1}]
["add","X",1000000,9,2,{"a":1,"b":2,"result":3}]
["add","X",1000001.5,8,3,{"a":5,"b":6,"result":11}]
["add returns","i",1000010,0,2,{"result":4}]
["quit","i",1000003.5,0,2,null]`
	if all := strings.Join(got, "\n"); all != want || trace.OtherData["lost"] != 7 {
		t.Errorf("got\n%s\nwant\n%s", all, want)
	}
	out.Reset()
	empty := New(p, NewPerfetto(&out))
	if empty.Close(); !json.Valid(out.Bytes()) {
		t.Errorf("a trace without hits is %s", out.String())
	}
}

func TestLatencyAndCount(t *testing.T) {
	p := probes(t)
	var latency, count bytes.Buffer
	r := New(p, NewLatency(&latency), NewCount(&count))
	r.Write(sample(t, p))
	r.Close()
	const want = `add: count 3, min 2 µs, mean 6.33 µs, p50 7.94 µs, p99 8.96 µs, max 9 µs
   1.02 µs to 2.05 µs         1 ########################################
   2.05 µs to 4.1 µs          0 
    4.1 µs to 8.19 µs         1 ########################################
   8.19 µs to 16.4 µs         1 ########################################
1 returns have no entry: the calls began before the probe was set, or their entries were lost
`
	if got := latency.String(); got != strings.Replace(want, "p99 8.96", "p99 8.7", 1) && got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := count.String(); got != "         4 add%return\n         3 add\n         1 quit\n" {
		t.Errorf("got\n%s", got)
	}
}

func TestQuantilesAreCloseToExact(t *testing.T) {
	var h histogram
	for i := range uint64(10000) {
		h.add(i * 100)
	}
	for fraction, exact := range map[float64]float64{0.5: 500000, 0.99: 990000, 0.1: 100000} {
		if got := float64(h.quantile(fraction)); got < exact*15/16-100 || got > exact*17/16 {
			t.Errorf("the quantile %v is %v, want about %v", fraction, got, exact)
		}
	}
	for n := range 900 {
		if got := bucket(lowest(n)); got != n {
			t.Fatalf("the lowest duration of bucket %d is in bucket %d", n, got)
		}
	}
}

// brokenWriter is a file on a disk that is full.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestWriteErrorsAreReported(t *testing.T) {
	p := probes(t)
	r := New(p, NewText(brokenWriter{}))
	if err := r.Write(sample(t, p)); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("the error is %v", err)
	}
	if _, err := r.Close(); err == nil {
		t.Error("Close reports no error")
	}
	if err := New(p).Write([]byte{99}); !errors.Is(err, probespec.ErrFormat) {
		t.Errorf("a damaged batch gives %v", err)
	}
}

// FuzzRecords gives damaged records to all sinks.
func FuzzRecords(f *testing.F) {
	r := plan.Request{Files: probetest.Root("/"), Program: []string{probetest.C(f, source, "-O1", "-no-pie")}, Returns: true, Stack: 64}
	s, _ := spec.Parse("*(*)")
	r.Specs = []*spec.Spec{s}
	p, err := plan.New(r)
	if err != nil {
		f.Fatal(err)
	}
	defer p.Objects.Close()
	var e probespec.Encoder
	e.Maps(2, []byte("401000-402000 r-xp 1000 "+r.Program[0]+"\n"))
	e.Hit(&probespec.Hit{ID: 1, Process: 2, Comm: "x", Values: make([]byte, 64), Registers: make([]byte, probespec.RegisterBytes), Stack: make([]byte, 64)})
	f.Add(e.Take())
	f.Fuzz(func(t *testing.T, batch []byte) {
		var out bytes.Buffer
		r := New(p, NewText(&out), NewJSON(&out), NewLatency(&out), NewCount(&out), NewPerfetto(&out))
		r.Write(batch)
		r.Close()
	})
}
