package entry

import (
	"testing"

	"slowpath/arch/amd64"
)

func record(r *Recorder, f *amd64.Frame, task int32, change func(*Visit)) {
	var v Visit
	v.Start(BySyscall, task, 1, 0)
	if change != nil {
		change(&v)
	}
	r.End(&v, f)
}

func TestWhatIsRecorded(t *testing.T) {
	sysret, iret := new(amd64.Frame), &amd64.Frame{Flags: amd64.LeaveByIRET}
	for name, c := range map[string]struct {
		f      *amd64.Frame
		change func(*Visit)
		want   int
	}{
		"nothing happened":   {sysret, nil, 0},
		"left by IRETQ":      {iret, nil, 1},
		"it had work":        {sysret, func(v *Visit) { v.Work = SigPending }, 1},
		"a duty was served":  {sysret, func(v *Visit) { v.Step(Uprobe, v.Begin, v.Begin+1) }, 1},
		"wanted in any case": {sysret, func(v *Visit) { v.Kept = true }, 1},
	} {
		r := NewRecorder(1, 4)
		record(r, c.f, 1, c.change)
		if got, _ := r.Read(new(Cursor), nil); len(got) != c.want {
			t.Errorf("%s: %d visits recorded, want %d", name, len(got), c.want)
		}
	}
}

func TestTheRingKeepsTheLast(t *testing.T) {
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
		t.Fatalf("%d visits from task %d on, %d lost", len(got), got[0].Task, lost)
	}
	if got, lost := r.Read(&c, nil); len(got) != 0 || lost != 0 {
		t.Fatalf("read again: %d visits, %d lost", len(got), lost)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	r := NewRecorder(1, 8)
	f := &amd64.Frame{Flags: amd64.LeaveByIRET}
	var v Visit
	if n := testing.AllocsPerRun(100, func() {
		v.Start(ByInterrupt, 1, 64, NeedResched)
		for range 2 * maxSteps {
			v.Step(NeedResched, v.Begin, v.Begin+5)
		}
		r.End(&v, f)
	}); n != 0 {
		t.Fatalf("%v allocations a visit", n)
	}
}
