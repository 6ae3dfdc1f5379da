package entry

import (
	"strings"
	"testing"

	"slowpath/arch/amd64"
)

// model is a task of these tests: it logs which handlers ran.
type model struct {
	f    *amd64.Frame
	ran  []Flag
	left bool
}

func newModel(work Flag) *model {
	m := &model{f: new(amd64.Frame)}
	m.f.Work.Store(uint32(work))
	return m
}

func log(flag Flag) func(*model) { return func(m *model) { m.ran = append(m.ran, flag) } }

func row(flag Flag, when Stage) Row[*model] {
	return Row[*model]{Flag: flag, When: when, Handle: log(flag)}
}

func table(t *testing.T, rows ...Row[*model]) *Table[*model] {
	t.Helper()
	table, err := NewTable(rows...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func stays(*model) bool { return false }

func TestMasksFollowFromRows(t *testing.T) {
	d := table(t,
		Row[*model]{Flag: SyscallTrace, When: AtSyscallEntry | AtSyscallExit, Level: true, Handle: log(SyscallTrace)},
		Row[*model]{Flag: SyscallEmu, When: AtSyscallEntry, Level: true, Handle: log(SyscallEmu)},
		row(NeedResched, BeforeUser), row(Uprobe, BeforeUser))
	if d.EntryMask() != SyscallTrace|SyscallEmu || d.SyscallExitMask() != SyscallTrace || d.UserMask() != NeedResched|Uprobe {
		t.Fatalf("masks %v, %v, %v", d.EntryMask(), d.SyscallExitMask(), d.UserMask())
	}
}

func TestRowsThatCannotBe(t *testing.T) {
	both := row(Uprobe, BeforeUser)
	both.HandleFrame = func(*model, *amd64.Frame) {}
	level := row(Uprobe, BeforeUser)
	level.Level = true
	for name, rows := range map[string][]Row[*model]{
		"no handler":          {{Flag: Uprobe, When: BeforeUser}},
		"two handlers":        {both},
		"no bit":              {row(0, BeforeUser)},
		"two bits":            {row(Uprobe|NoHZ, BeforeUser)},
		"a bit in two rows":   {row(Uprobe, BeforeUser), row(Uprobe, AtSyscallExit)},
		"nothing consumes it": {row(Uprobe, 0)},
		"a level in the loop": {level},
	} {
		if _, err := NewTable(rows...); err == nil || !strings.HasPrefix(err.Error(), "entry: duty ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestLoneUprobe is the case of the mail of January 2014: in 3.13 it loops.
func TestLoneUprobe(t *testing.T) {
	m := newModel(Uprobe)
	d := table(t, row(Uprobe, BeforeUser))
	if left := d.ExitToUser(m, m.f, stays); left != 0 || len(m.ran) != 1 || m.f.Work.Load() != 0 {
		t.Fatalf("left %v, ran %v, work %v", left, m.ran, Pending(&m.f.Work))
	}
}

func TestWorkRaisedByAHandlerIsServed(t *testing.T) {
	raise := Row[*model]{Flag: NotifyResume, When: BeforeUser, Handle: func(m *model) {
		m.ran = append(m.ran, NotifyResume)
		Raise(&m.f.Work, SigPending) // a row before this one
	}}
	m := newModel(NotifyResume)
	d := table(t, row(SigPending, BeforeUser), raise)
	if left := d.ExitToUser(m, m.f, stays); left != 0 || len(m.ran) != 2 {
		t.Fatalf("left %v, ran %v", left, m.ran)
	}
}

func TestAHandlerWithoutProgressIsNamed(t *testing.T) {
	again := Row[*model]{Flag: Uprobe, When: BeforeUser, Handle: func(m *model) { Raise(&m.f.Work, Uprobe) }}
	m := newModel(Uprobe)
	if left := table(t, again).ExitToUser(m, m.f, stays); left != Uprobe {
		t.Fatalf("the stuck duty is %v", left)
	}
}

func TestTheLoopEndsWithTheTask(t *testing.T) {
	m := newModel(Uprobe)
	again := Row[*model]{Flag: Uprobe, When: BeforeUser, Handle: func(m *model) {
		m.ran = append(m.ran, Uprobe)
		Raise(&m.f.Work, Uprobe)
	}}
	d := table(t, again)
	if left := d.ExitToUser(m, m.f, func(*model) bool { return true }); left != 0 || len(m.ran) != 1 {
		t.Fatalf("left %v, ran %v", left, m.ran)
	}
}

// TestOnlyFrameHandlersSettle: reschedule must not touch the frame.
func TestOnlyFrameHandlersSettle(t *testing.T) {
	m := newModel(NeedResched)
	d := table(t, row(NeedResched, BeforeUser),
		Row[*model]{Flag: SigPending, When: BeforeUser, HandleFrame: func(*model, *amd64.Frame) {}})
	d.ExitToUser(m, m.f, stays)
	if m.f.Flags != 0 {
		t.Error("a handler without the frame made it settle")
	}
	Raise(&m.f.Work, SigPending)
	d.ExitToUser(m, m.f, stays)
	if m.f.Flags&amd64.LeaveByIRET == 0 {
		t.Error("a handler with the frame got one that is not settled")
	}
}

func TestNames(t *testing.T) {
	for f, want := range map[Flag]string{
		0: "0", SigPending: "SIGPENDING", SyscallTrace | NoHZ: "SYSCALL_TRACE|NOHZ",
		1 << 5: "BIT05", 1 << 30: "BIT30",
	} {
		if got := f.String(); got != want {
			t.Errorf("%#x is %q, want %q", uint32(f), got, want)
		}
	}
}
