package entry

import (
	"strings"
	"testing"

	"slowpath/arch/amd64"
)

// model is a task of these tests: it logs which handlers ran.
type model struct {
	f      amd64.Frame
	ran    []string
	leaves bool
}

func newModel(work Flag) *model {
	m := new(model)
	m.f.ThreadFlags.Store(uint32(work))
	return m
}

func (m *model) note(what string, flag Flag) { m.ran = append(m.ran, what+" "+flag.String()) }

func (m *model) log() string { return strings.Join(m.ran, ", ") }

// logging returns handlers for a duty that do nothing but log.
func logging(d Duty) Handlers[*model] {
	h := Handlers[*model]{Flag: d.Flag}
	if d.When&AtSyscallEntry != 0 {
		h.Entry = func(m *model, _ *amd64.Frame) Verdict { m.note("entry", d.Flag); return Proceed }
	}
	if d.When&AtSyscallExit != 0 {
		h.Exit = func(m *model, _ *amd64.Frame) { m.note("exit", d.Flag) }
	}
	if d.When&BeforeUser != 0 && d.Frame {
		h.WorkFrame = func(m *model, _ *amd64.Frame) { m.note("work", d.Flag) }
	} else if d.When&BeforeUser != 0 {
		h.Work = func(m *model) { m.note("work", d.Flag) }
	}
	if d.When&LastStep != 0 {
		h.Last = func(*amd64.Frame) {}
	}
	return h
}

// full returns the kernel's own duties with logging handlers, changed by
// change.
func full(t *testing.T, change func(*Handlers[*model])) *Table[*model] {
	t.Helper()
	var handlers []Handlers[*model]
	for _, d := range Duties() {
		h := logging(d)
		if change != nil {
			change(&h)
		}
		handlers = append(handlers, h)
	}
	table, err := NewTable(Duties(), handlers...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func stays(*model) bool    { return false }
func leaves(m *model) bool { return m.leaves }

func call(m *model, f *amd64.Frame) { m.ran = append(m.ran, "call"); f.RAX = 0 }

// TestMasks are the masks of Slowpath, as they follow from the duties.
func TestMasks(t *testing.T) {
	d := full(t, nil)
	for _, m := range []struct {
		name      string
		got, want Flag
	}{
		{"entry", d.EntryMask(), NoHZ | RecordExits | SyscallEmu | SyscallTrace | Seccomp | SyscallTracepoint | SyscallAudit},
		{"exit", d.SyscallExitMask(), NoHZ | SingleStep | SyscallTrace | SyscallTracepoint | SyscallAudit},
		{"before user", d.UserMask(), NeedResched | MCENotify | Uprobe | SigPending | NotifyResume | RestartableSequence},
		{"last", d.LastMask(), UserReturnNotify},
	} {
		if m.got != m.want {
			t.Errorf("mask %s is %v, want %v", m.name, m.got, m.want)
		}
	}
}

func TestOrder(t *testing.T) {
	m := newModel(SyscallTrace | Seccomp | SyscallTracepoint | SyscallAudit | NoHZ | SingleStep)
	full(t, nil).Syscall(m, &m.f, call, stays)
	want := "entry NOHZ, entry SYSCALL_TRACE, entry SECCOMP, entry SYSCALL_TRACEPOINT, entry SYSCALL_AUDIT, call, " +
		"exit SYSCALL_AUDIT, exit SYSCALL_TRACEPOINT, exit SYSCALL_TRACE, exit SINGLESTEP, exit NOHZ"
	if m.log() != want {
		t.Errorf("ran %s\nwant %s", m.log(), want)
	}
}

func TestSkippedCall(t *testing.T) {
	m := newModel(SyscallEmu | SyscallTrace | Seccomp)
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == SyscallEmu {
			h.Entry = func(m *model, _ *amd64.Frame) Verdict { m.note("entry", SyscallEmu); return Skip }
		}
	})
	d.Syscall(m, &m.f, call, stays)
	if want := "entry SYSCALL_EMU, exit SYSCALL_TRACE"; m.log() != want {
		t.Errorf("ran %s, want %s", m.log(), want)
	}
	if m.f.RAX != noSuchCall {
		t.Errorf("RAX is %#x before anybody set it", m.f.RAX)
	}
}

// TestPairs: audit switched on during a call must not see its exit; switched
// off, it must. ptrace sees the exits that happen while it traces.
func TestPairs(t *testing.T) {
	d := full(t, nil)
	on := newModel(0)
	d.Syscall(on, &on.f, func(m *model, f *amd64.Frame) { Raise(&f.ThreadFlags, SyscallAudit|SyscallTrace) }, stays)
	if want := "exit SYSCALL_TRACE"; on.log() != want {
		t.Errorf("switched on: ran %q, want %q", on.log(), want)
	}
	off := newModel(SyscallAudit | SyscallTrace)
	d.Syscall(off, &off.f, func(m *model, f *amd64.Frame) { Lower(&f.ThreadFlags, SyscallAudit|SyscallTrace) }, stays)
	if want := "entry SYSCALL_TRACE, entry SYSCALL_AUDIT, exit SYSCALL_AUDIT"; off.log() != want {
		t.Errorf("switched off: ran %q, want %q", off.log(), want)
	}
}

func TestACallThatDoesNotReturn(t *testing.T) {
	m := newModel(SyscallAudit | SyscallTrace)
	full(t, nil).Syscall(m, &m.f, func(m *model, _ *amd64.Frame) { m.leaves = true }, leaves)
	if want := "entry SYSCALL_TRACE, entry SYSCALL_AUDIT, exit SYSCALL_AUDIT"; m.log() != want {
		t.Errorf("ran %q, want %q", m.log(), want)
	}
}

// TestSeccompSetDuringATracerStop: the word is read for each duty anew.
func TestSeccompSetDuringATracerStop(t *testing.T) {
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == SyscallTrace {
			h.Entry = func(m *model, f *amd64.Frame) Verdict { Raise(&f.ThreadFlags, Seccomp); return Proceed }
		}
	})
	m := newModel(SyscallTrace)
	d.Syscall(m, &m.f, call, stays)
	if !strings.HasPrefix(m.log(), "entry SECCOMP, call") {
		t.Errorf("the filter was missed: ran %q", m.log())
	}
}

// TestLoneUprobe is the case of the mail of January 2014: in 3.13 it loops.
func TestLoneUprobe(t *testing.T) {
	m := newModel(Uprobe)
	if served, stuck := full(t, nil).ExitToUser(m, &m.f, stays); served != Uprobe || stuck != 0 || m.log() != "work UPROBE" || m.f.ThreadFlags.Load() != 0 {
		t.Errorf("stuck %v, ran %q, left %v", stuck, m.log(), Pending(&m.f.ThreadFlags))
	}
}

func TestWorkRaisedByAHandlerIsServed(t *testing.T) {
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == NotifyResume {
			h.Work = func(m *model) { m.note("work", NotifyResume); Raise(&m.f.ThreadFlags, SigPending) }
		}
	})
	m := newModel(NotifyResume)
	if _, stuck := d.ExitToUser(m, &m.f, stays); stuck != 0 || m.log() != "work NOTIFY_RESUME, work SIGPENDING" {
		t.Errorf("stuck %v, ran %q", stuck, m.log())
	}
}

func TestAHandlerWithoutProgressIsNamed(t *testing.T) {
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == Uprobe {
			h.WorkFrame = func(m *model, f *amd64.Frame) { Raise(&f.ThreadFlags, Uprobe) }
		}
	})
	m := newModel(Uprobe | NeedResched)
	if _, stuck := d.ExitToUser(m, &m.f, stays); stuck != Uprobe {
		t.Errorf("the stuck duty is %v", stuck)
	}
}

func TestTheLoopEndsWithTheTask(t *testing.T) {
	m := newModel(SigPending)
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == SigPending {
			h.WorkFrame = func(m *model, f *amd64.Frame) { m.leaves = true; Raise(&f.ThreadFlags, SigPending) }
		}
	})
	if _, stuck := d.ExitToUser(m, &m.f, leaves); stuck != 0 {
		t.Errorf("stuck %v", stuck)
	}
}

// TestRescheduleTouchesNoFrame counts what a return with NEED_RESCHED alone
// touches of the frame: the work word.
func TestRescheduleTouchesNoFrame(t *testing.T) {
	d := full(t, nil)
	m := newModel(NeedResched)
	m.f.RIP, m.f.RFLAGS = 1, 2
	d.ExitToUser(m, &m.f, stays)
	if m.f.Flags != 0 || m.f.RCX != 0 || m.f.R11 != 0 {
		t.Error("the frame was settled for a duty that does not need it")
	}
	Raise(&m.f.ThreadFlags, SigPending)
	d.ExitToUser(m, &m.f, stays)
	if m.f.Flags&amd64.LeaveByIRET == 0 || m.f.RCX != 1 || m.f.R11 != 2 {
		t.Error("a duty that needs the frame got one that is not settled")
	}
}

func TestTablesThatCannotBe(t *testing.T) {
	good := Duty{Flag: Uprobe, When: BeforeUser}
	with := func(change func(*Duty)) Duty { d := good; change(&d); return d }
	handlers := logging(good)
	for name, c := range map[string]struct {
		duties   []Duty
		handlers []Handlers[*model]
	}{
		"no handler":               {[]Duty{good}, nil},
		"handlers without a duty":  {nil, []Handlers[*model]{handlers}},
		"handlers twice":           {[]Duty{good}, []Handlers[*model]{handlers, handlers}},
		"no bit":                   {[]Duty{with(func(d *Duty) { d.Flag = 0 })}, nil},
		"two bits":                 {[]Duty{with(func(d *Duty) { d.Flag = Uprobe | NoHZ })}, nil},
		"one bit twice":            {[]Duty{good, good}, []Handlers[*model]{handlers}},
		"nothing serves it":        {[]Duty{with(func(d *Duty) { d.When = 0 })}, []Handlers[*model]{{Flag: Uprobe}}},
		"a level in the loop":      {[]Duty{with(func(d *Duty) { d.Level = true })}, []Handlers[*model]{handlers}},
		"a claim at entry":         {[]Duty{with(func(d *Duty) { d.When = AtSyscallEntry })}, nil},
		"a pair without exit":      {[]Duty{with(func(d *Duty) { d.When, d.Level, d.Paired = AtSyscallEntry, true, true })}, nil},
		"sleep at the last step":   {[]Duty{with(func(d *Duty) { d.When, d.MaySleep = LastStep, true })}, nil},
		"the other slow path":      {[]Duty{with(func(d *Duty) { d.Frame = true })}, []Handlers[*model]{handlers}},
		"a handler of no stage":    {[]Duty{good}, []Handlers[*model]{{Flag: Uprobe, Work: handlers.Work, Exit: func(*model, *amd64.Frame) {}}}},
		"a missing second handler": {[]Duty{{Flag: NoHZ, When: AtSyscallEntry | AtSyscallExit, Level: true}}, []Handlers[*model]{{Flag: NoHZ, Exit: func(*model, *amd64.Frame) {}}}},
	} {
		if _, err := NewTable(c.duties, c.handlers...); err == nil || !strings.HasPrefix(err.Error(), "entry: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestNames(t *testing.T) {
	for f, want := range map[Flag]string{
		0: "0", RecordExits: "RECORD_EXITS", SigPending: "SIGPENDING", SyscallTrace | NoHZ: "SYSCALL_TRACE|NOHZ",
		1 << 5: "BIT05", 1 << 30: "BIT30",
	} {
		if got := f.String(); got != want {
			t.Errorf("%#x is %q, want %q", uint32(f), got, want)
		}
	}
}

// TestAnUnpairedExitIsSeen breaks a table: a duty that sees the entry of a call
// is forgotten at its exit.
func TestAnUnpairedExitIsSeen(t *testing.T) {
	d := full(t, nil)
	for i := range d.rows {
		if r := &d.rows[i]; r.Duty.Flag == SyscallAudit {
			r.When &^= AtSyscallExit
		}
	}
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "SYSCALL_AUDIT saw one end") {
			t.Errorf("panicked with %q", text)
		}
	}()
	m := newModel(SyscallAudit)
	d.Syscall(m, &m.f, func(*model, *amd64.Frame) {}, stays)
	t.Error("nobody noticed")
}
