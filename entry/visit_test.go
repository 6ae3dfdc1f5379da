package entry

import (
	"bytes"
	"strings"
	"testing"

	"slowpath/arch/amd64"
)

func record(r *Recorder, f *amd64.Frame, task int32, change func(*Visit)) {
	var v Visit
	v.Start(amd64.TSC(), 0)
	v.Task, v.Kind, v.Number = task, BySyscall, 1
	if change != nil {
		change(&v)
	}
	r.End(&v, f)
}

func TestRecorderKeepsOnlyVisitsOfInterest(t *testing.T) {
	sysret, iret := new(amd64.Frame), &amd64.Frame{Flags: amd64.LeaveByIRET}
	for name, c := range map[string]struct {
		f      *amd64.Frame
		change func(*Visit)
		want   int
	}{
		"no duty, by SYSRET": {sysret, nil, 0},
		"left by IRETQ":      {iret, nil, 1},
		"a duty was set":     {sysret, func(v *Visit) { v.Owed = SigPending }, 1},
		"a duty was served":  {sysret, func(v *Visit) { v.Served |= Uprobe }, 1},
		"Kept is set":        {sysret, func(v *Visit) { v.Kept = true }, 1},
	} {
		r := NewRecorder(1, 4)
		record(r, c.f, 1, c.change)
		if got, _ := r.Read(new(Cursor), nil); len(got) != c.want {
			t.Errorf("%s: %d visits recorded, want %d", name, len(got), c.want)
		}
	}
}

func TestRecorderOverwritesTheOldestVisits(t *testing.T) {
	r := NewRecorder(2, 4)
	var c Cursor
	f := &amd64.Frame{Flags: amd64.LeaveByIRET}
	for i := range int32(3) {
		record(r, f, i, nil)
	}
	if got, lost := r.Read(&c, nil); len(got) != 3 || lost != 0 {
		t.Fatalf("%d visits, %d lost", len(got), lost)
	}
	for i := range int32(10) {
		record(r, f, 100+i, nil)
	}
	got, lost := r.Read(&c, nil)
	if len(got) != 4 || lost != 6 || got[0].Task != 106 || got[3].Task != 109 {
		t.Fatalf("%d visits, the first of task %d, %d lost; want 4, 106, 6", len(got), got[0].Task, lost)
	}
	if got, lost := r.Read(&c, nil); len(got) != 0 || lost != 0 {
		t.Fatalf("second read: %d visits, %d lost; want none", len(got), lost)
	}
}

func TestRecordingDoesNotAllocate(t *testing.T) {
	r := NewRecorder(1, 8)
	f := &amd64.Frame{Flags: amd64.LeaveByIRET}
	var v Visit
	if n := testing.AllocsPerRun(100, func() {
		v.Start(amd64.TSC(), NeedResched)
		v.Kind, v.Number = ByInterrupt, 64
		for range 2 * maxSteps {
			v.Step(NeedResched, v.Begin, v.Begin+5)
		}
		r.End(&v, f)
	}); n != 0 {
		t.Fatalf("%v allocations per visit", n)
	}
}

// TestStepLongerThan32BitsKeepsItsDuration encodes the step of a call that slept
// for ten seconds.
func TestStepLongerThan32BitsKeepsItsDuration(t *testing.T) {
	const begin, ticks = 1 << 40, 3e10
	v := Visit{VisitHeader: VisitHeader{Begin: begin, End: begin + ticks}}
	v.Step(0, begin, begin+ticks)
	got, _, err := DecodeVisit(AppendVisit(nil, &v))
	if err != nil || got.Steps[0] != (Step{0, 0, ticks}) {
		t.Fatalf("got %+v, %v", got.Steps[0], err)
	}
}

func sampleVisit() Visit {
	v := Visit{VisitHeader: VisitHeader{Begin: 1000, End: 3000, Task: 7, Number: 14, Owed: SigPending, Kind: ByException, CPU: 1, ByIRET: true}}
	v.Served |= SigPending
	v.Step(SigPending, 1500, 2500)
	v.Step(0, 2600, 2700)
	return v
}

func TestDecodeVisitReversesAppendVisit(t *testing.T) {
	want := sampleVisit()
	b := AppendVisit(AppendVisit(nil, &want), &want)
	for range 2 {
		got, rest, err := DecodeVisit(b)
		if err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
		b = rest
	}
	if len(b) != 0 {
		t.Fatalf("%d bytes are left", len(b))
	}
}

func FuzzDecodeVisit(f *testing.F) {
	v := sampleVisit()
	f.Add(AppendVisit(nil, &v))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := DecodeVisit(b)
		if err != nil {
			return
		}
		again, _, err := DecodeVisit(AppendVisit(nil, &v))
		if err != nil || again != v || len(rest) > len(b) {
			t.Fatalf("%+v was encoded and decoded as %+v, %v", v, again, err)
		}
	})
}

func TestReportsShowVisitsTableAndCounts(t *testing.T) {
	var b bytes.Buffer
	names := Names{
		Syscall:     func(int) string { return "read" },
		Nanoseconds: func(tsc uint64) uint64 { return tsc + 2e9 },
	}
	names.WriteVisits(&b, []Visit{sampleVisit()})
	for _, part := range []string{"2.000001000", "cpu 1", "task 7", "exception", "#PF", "owed SIGPENDING", "2000 ticks", "IRETQ SIGPENDING:1000 call:100"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%q is missing in %q", part, b.String())
		}
	}
	b.Reset()
	full(t, nil).Write(&b)
	if n := strings.Count(b.String(), "\n"); n != len(Duties())+2 {
		t.Errorf("%d lines for %d duties:\n%s", n, len(Duties()), b.String())
	}
	b.Reset()
	r := NewRecorder(1, 2)
	for range 3 {
		v := sampleVisit()
		r.End(&v, &amd64.Frame{})
	}
	r.WriteCounts(&b)
	if !strings.Contains(b.String(), "visits by exception    3\n") || !strings.Contains(b.String(), "served SIGPENDING          3\n") {
		t.Errorf("counts:\n%s", b.String())
	}
}
