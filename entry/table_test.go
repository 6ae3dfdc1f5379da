package entry

import (
	"slices"
	"strings"
	"testing"

	"slowpath/arch/amd64"
)

// model is a task that logs the handlers that ran.
type model struct {
	Thread
	f   amd64.Frame
	ran []string
}

func newModel(owed Flag) *model {
	m := new(model)
	m.Frame = &m.f
	m.f.ThreadFlags.Store(uint32(owed))
	return m
}

func (m *model) TakeCPU() int      { return amd64.EventHandover }
func (m *model) AfterInterrupt()   {}
func (m *model) Stuck(duties Flag) {}

func (m *model) ReadWord(address uint64) (uint32, bool) { return uint32(address) + 1, address != 0 }

func (m *model) note(what string, flag Flag) { m.ran = append(m.ran, what+" "+flag.String()) }

func (m *model) log() string { return strings.Join(m.ran, ", ") }

// logging returns handlers of a duty that only log.
func logging(d Duty) Handlers[*model] {
	h := Handlers[*model]{Flag: d.Flag}
	if d.When&AtSyscallEntry != 0 {
		h.Entry = func(m *model, _ *Call) Verdict { m.note("entry", d.Flag); return Proceed }
	}
	if d.Observes {
		h.Watch = func(m *model, _ *amd64.Frame) bool { m.note("watch", d.Flag); return true }
	}
	if d.When&AtSyscallExit != 0 {
		h.Exit = func(m *model, _ *Call) { m.note("exit", d.Flag) }
	}
	if d.When&BeforeUser != 0 && d.Frame {
		h.BeforeUserFrame = func(m *model, _ *amd64.Frame) { m.note("work", d.Flag) }
	} else if d.When&BeforeUser != 0 {
		h.BeforeUser = func(m *model) { m.note("work", d.Flag) }
	}
	if d.When&LastStep != 0 {
		h.Last = func(*amd64.Frame) {}
	}
	return h
}

// full returns a table of all duties with logging handlers. change may change
// the handlers of each duty, and may be nil.
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

func call(m *model, s *Thread) { m.ran = append(m.ran, "call"); s.Frame.RAX = 0 }

// TestMasksHaveTheDutiesOfTheirStage compares the computed masks with literal
// ones.
func TestMasksHaveTheDutiesOfTheirStage(t *testing.T) {
	d := full(t, nil)
	for _, m := range []struct {
		name      string
		got, want Flag
	}{
		{"entry", d.EntryMask(), NoHZ | RecordExits | UserDispatch | SyscallEmu | SyscallTrace | Seccomp | SyscallTracepoint | SyscallAudit},
		{"exit", d.SyscallExitMask(), NoHZ | SingleStep | SyscallTrace | SyscallTracepoint | SyscallAudit},
		{"before user", d.UserMask(), NeedResched | MCENotify | Uprobe | SigPending | NotifyResume | RestartableSequence},
		{"last", d.LastMask(), UserReturnNotify},
	} {
		if m.got != m.want {
			t.Errorf("mask %s is %v, want %v", m.name, m.got, m.want)
		}
	}
}

// TestEnterUserIgnoresDutiesOfTheNextCall compares the constant of the assembly with the
// rows.
func TestEnterUserIgnoresDutiesOfTheNextCall(t *testing.T) {
	var next Flag
	for _, d := range Duties() {
		if d.When == AtSyscallEntry || d.Paired {
			next |= d.Flag
		}
	}
	if next != amd64.EntryDuties {
		t.Errorf("EntryDuties is %v, want %v", Flag(amd64.EntryDuties), next)
	}
}

// TestCallIsAdmittedByItsOnlyDuty: the call is admitted only if no other flag is set.
func TestCallIsAdmittedByItsOnlyDuty(t *testing.T) {
	m := newModel(0)
	a := &Admission{Flag: Seccomp, Ask: func(_ *amd64.Frame, nr uint32) bool { return nr == 39 }}
	a.Admit(100)
	m.SetAdmission(a)
	for _, c := range []struct {
		flags Flag
		nr    uint32
		want  bool
	}{
		{Seccomp, 39, true}, {Seccomp, 100, true}, {Seccomp, 38, false}, {Seccomp | NeedResched, 100, false}, {Seccomp | SyscallTrace, 39, false}, {Seccomp | SigPending, 39, false},
		{SyscallTrace, 39, false}, {UserDispatch, 39, false}, {SigPending, 39, false}, {Flag(1 << 31), 39, false},
	} {
		if got := admitted(m, c.flags, c.nr); got != c.want {
			t.Errorf("call %d with %v: admitted is %v", c.nr, c.flags, got)
		}
	}
}

// admitted reports whether the fast path executes a call as if no flag was set.
func admitted(m *model, flags Flag, nr uint32) bool {
	a := m.Admission()
	return a != nil && a.Flag == flags && a.admits(&m.f, uint(nr))
}

// TestJoinedDutiesAdmitWhatBothAdmit: a call of a task with two duties stays on the fast
// path only if both admit it.
func TestJoinedDutiesAdmitWhatBothAdmit(t *testing.T) {
	m := newModel(0)
	filter := &Admission{Flag: Seccomp, Ask: func(_ *amd64.Frame, nr uint32) bool { return nr == 39 }}
	rules := &Admission{Flag: SyscallAudit}
	for nr := range uint32(Calls) {
		if nr != 40 {
			rules.Admit(nr)
		}
	}
	filter.Admit(40)
	filter.Admit(100)
	m.SetAdmission(filter.Join(rules))
	for _, c := range []struct {
		flags Flag
		nr    uint32
		want  bool
	}{
		{Seccomp | SyscallAudit, 39, true}, {Seccomp | SyscallAudit, 100, true}, {Seccomp | SyscallAudit, 40, false},
		{Seccomp | SyscallAudit, 38, false}, {Seccomp, 39, false}, {SyscallAudit, 100, false},
	} {
		if got := admitted(m, c.flags, c.nr); got != c.want {
			t.Errorf("call %d with %v: admitted is %v", c.nr, c.flags, got)
		}
	}
}

func TestExitServesDutiesInReverseOrderOfEntry(t *testing.T) {
	m := newModel(SyscallTrace | Seccomp | SyscallTracepoint | SyscallAudit | NoHZ | SingleStep)
	full(t, nil).syscall(m, &m.Thread, call)
	want := "entry NOHZ, entry SYSCALL_TRACE, entry SECCOMP, entry SYSCALL_TRACEPOINT, entry SYSCALL_AUDIT, call, " +
		"exit SYSCALL_AUDIT, exit SYSCALL_TRACEPOINT, exit SYSCALL_TRACE, exit SINGLESTEP, exit NOHZ"
	if m.log() != want {
		t.Errorf("ran %s\nwant %s", m.log(), want)
	}
}

func TestSkippedCallDoesNotRun(t *testing.T) {
	m := newModel(SyscallEmu | SyscallTrace | Seccomp)
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == SyscallEmu {
			h.Entry = func(m *model, _ *Call) Verdict { m.note("entry", SyscallEmu); return Skip }
		}
	})
	d.syscall(m, &m.Thread, call)
	if want := "entry SYSCALL_EMU, exit SYSCALL_TRACE"; m.log() != want {
		t.Errorf("ran %s, want %s", m.log(), want)
	}
	if m.f.RAX != NoCall {
		t.Errorf("RAX of a skipped call is %#x, want -ENOSYS", m.f.RAX)
	}
}

// TestPairedDutySeesExitExactlyIfItSawEntry switches audit on during a call, and
// off during another. Audit must see the exit of the second call only. ptrace,
// which is not paired, must see the exit of the first call only.
func TestPairedDutySeesExitExactlyIfItSawEntry(t *testing.T) {
	d := full(t, nil)
	on := newModel(0)
	d.syscall(on, &on.Thread, func(m *model, s *Thread) { Raise(&s.Frame.ThreadFlags, SyscallAudit|SyscallTrace) })
	if want := "exit SYSCALL_TRACE"; on.log() != want {
		t.Errorf("switched on: ran %q, want %q", on.log(), want)
	}
	off := newModel(SyscallAudit | SyscallTrace)
	d.syscall(off, &off.Thread, func(m *model, s *Thread) { Lower(&s.Frame.ThreadFlags, SyscallAudit|SyscallTrace) })
	if want := "entry SYSCALL_TRACE, entry SYSCALL_AUDIT, exit SYSCALL_AUDIT"; off.log() != want {
		t.Errorf("switched off: ran %q, want %q", off.log(), want)
	}
}

func TestPairedDutySeesExitOfCallThatDoesNotReturn(t *testing.T) {
	m := newModel(SyscallAudit | SyscallTrace)
	full(t, nil).syscall(m, &m.Thread, func(m *model, s *Thread) { s.SetExiting() })
	if want := "entry SYSCALL_TRACE, entry SYSCALL_AUDIT, exit SYSCALL_AUDIT"; m.log() != want {
		t.Errorf("ran %q, want %q", m.log(), want)
	}
}

// TestSeccompRaisedDuringTracerStopIsServed checks that the flags are read again
// for each duty.
func TestSeccompRaisedDuringTracerStopIsServed(t *testing.T) {
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == SyscallTrace {
			h.Entry = func(m *model, _ *Call) Verdict { Raise(&m.f.ThreadFlags, Seccomp); return Proceed }
		}
	})
	m := newModel(SyscallTrace)
	d.syscall(m, &m.Thread, call)
	if !strings.HasPrefix(m.log(), "entry SECCOMP, call") {
		t.Errorf("the filter did not run: ran %q", m.log())
	}
}

// TestUprobeAloneIsServed tests the case in which Linux 3.13 loops forever, which
// Al Viro reported in January 2014.
func TestUprobeAloneIsServed(t *testing.T) {
	m := newModel(Uprobe)
	if served, stuck := full(t, nil).exitToUser(m, &m.Thread); served != Uprobe || stuck != 0 || m.log() != "work UPROBE" || m.f.ThreadFlags.Load() != 0 {
		t.Errorf("stuck %v, ran %q, left %v", stuck, m.log(), Pending(&m.f.ThreadFlags))
	}
}

func TestDutyRaisedByHandlerIsServed(t *testing.T) {
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == NotifyResume {
			h.BeforeUser = func(m *model) { m.note("work", NotifyResume); Raise(&m.f.ThreadFlags, SigPending) }
		}
	})
	m := newModel(NotifyResume)
	if _, stuck := d.exitToUser(m, &m.Thread); stuck != 0 || m.log() != "work NOTIFY_RESUME, work SIGPENDING" {
		t.Errorf("stuck %v, ran %q", stuck, m.log())
	}
}

func TestHandlerThatRaisesItsOwnDutyIsReportedAsStuck(t *testing.T) {
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == Uprobe {
			h.BeforeUserFrame = func(m *model, f *amd64.Frame) { Raise(&f.ThreadFlags, Uprobe) }
		}
	})
	m := newModel(Uprobe | NeedResched)
	if _, stuck := d.exitToUser(m, &m.Thread); stuck != Uprobe {
		t.Errorf("stuck is %v, want UPROBE", stuck)
	}
}

func TestLoopEndsWhenTheTaskExits(t *testing.T) {
	m := newModel(SigPending)
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == SigPending {
			h.BeforeUserFrame = func(m *model, f *amd64.Frame) { m.SetExiting(); Raise(&f.ThreadFlags, SigPending) }
		}
	})
	if _, stuck := d.exitToUser(m, &m.Thread); stuck != 0 {
		t.Errorf("stuck %v", stuck)
	}
}

// TestRescheduleDoesNotSettleTheFrame checks that a return with only NEED_RESCHED
// changes no field of the frame except the thread flags.
func TestRescheduleDoesNotSettleTheFrame(t *testing.T) {
	d := full(t, nil)
	m := newModel(NeedResched)
	m.f.RIP, m.f.RFLAGS = 1, 2
	d.exitToUser(m, &m.Thread)
	if m.f.Flags != 0 || m.f.RCX != 0 || m.f.R11 != 0 {
		t.Error("the frame was settled for a duty that does not need it")
	}
	Raise(&m.f.ThreadFlags, SigPending)
	d.exitToUser(m, &m.Thread)
	if m.f.Flags&amd64.LeaveByIRET == 0 || m.f.RCX != 1 || m.f.R11 != 2 {
		t.Error("the frame was not settled for a duty that needs it")
	}
}

func TestNewTableRejectsInconsistentDuties(t *testing.T) {
	good := Duty{Flag: Uprobe, When: BeforeUser}
	with := func(change func(*Duty)) Duty { d := good; change(&d); return d }
	handlers := logging(good)
	for name, c := range map[string]struct {
		duties   []Duty
		handlers []Handlers[*model]
	}{
		"no handler":              {[]Duty{good}, nil},
		"handlers without a duty": {nil, []Handlers[*model]{handlers}},
		"handlers twice":          {[]Duty{good}, []Handlers[*model]{handlers, handlers}},
		"no bit":                  {[]Duty{with(func(d *Duty) { d.Flag = 0 })}, nil},
		"two bits":                {[]Duty{with(func(d *Duty) { d.Flag = Uprobe | NoHZ })}, nil},
		"a bit used twice":        {[]Duty{good, good}, []Handlers[*model]{handlers}},
		"no stage":                {[]Duty{with(func(d *Duty) { d.When = 0 })}, []Handlers[*model]{{Flag: Uprobe}}},
		"a level in the loop":     {[]Duty{with(func(d *Duty) { d.Level = true })}, []Handlers[*model]{handlers}},
		"a claim at entry":        {[]Duty{with(func(d *Duty) { d.When = AtSyscallEntry })}, nil},
		"a pair without exit":     {[]Duty{with(func(d *Duty) { d.When, d.Level, d.Paired = AtSyscallEntry, true, true })}, nil},
		"sleep at the last step":  {[]Duty{with(func(d *Duty) { d.When, d.MaySleep = LastStep, true })}, nil},
		"handler without frame":   {[]Duty{with(func(d *Duty) { d.Frame = true })}, []Handlers[*model]{handlers}},
		"handler without stage":   {[]Duty{good}, []Handlers[*model]{{Flag: Uprobe, BeforeUser: handlers.BeforeUser, Exit: func(*model, *Call) {}}}},
		"missing second handler":  {[]Duty{{Flag: NoHZ, When: AtSyscallEntry | AtSyscallExit, Level: true}}, []Handlers[*model]{{Flag: NoHZ, Exit: func(*model, *Call) {}}}},
	} {
		if _, err := NewTable(c.duties, c.handlers...); err == nil || !strings.HasPrefix(err.Error(), "entry: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestFlagsHaveTheNamesOfLinux(t *testing.T) {
	for f, want := range map[Flag]string{
		0: "0", RecordExits: "RECORD_EXITS", SigPending: "SIGPENDING", SyscallTrace | NoHZ: "SYSCALL_TRACE|NOHZ",
		1 << 5: "BIT05", 1 << 30: "BIT30",
	} {
		if got := f.String(); got != want {
			t.Errorf("%#x is %q, want %q", uint32(f), got, want)
		}
	}
}

// TestMissingExitOfPairedDutyPanics removes a paired duty from the exit of a
// call.
func TestMissingExitOfPairedDutyPanics(t *testing.T) {
	d := full(t, nil)
	d.exits = slices.DeleteFunc(d.exits, func(r *row[*model]) bool { return r.Duty.Flag == SyscallAudit })
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "SYSCALL_AUDIT saw the entry") {
			t.Errorf("panicked with %q", text)
		}
	}()
	m := newModel(SyscallAudit)
	d.syscall(m, &m.Thread, func(*model, *Thread) {})
	t.Error("syscall did not panic")
}

// TestExitSeesTheCallAfterExecve checks that the duties of the exit see the
// number and the arguments of execve(2), although it replaced the registers.
func TestExitSeesTheCallAfterExecve(t *testing.T) {
	var at Call
	d := full(t, func(h *Handlers[*model]) {
		if h.Flag == SyscallAudit {
			h.Exit = func(_ *model, c *Call) { at = *c }
		}
	})
	m := newModel(SyscallAudit)
	m.f.OrigRAX, m.f.RDI, m.f.R9 = 59, 1, 6
	d.syscall(m, &m.Thread, func(_ *model, s *Thread) { s.Frame.RDI, s.Frame.R9 = 0, 0 })
	if want := (Call{NR: 59, ABI: X86_64, Args: Args{0: 1, 5: 6}}); at != want {
		t.Errorf("the exit saw %+v, want %+v", at, want)
	}
}

// TestTracerChangesTheCall checks that the call and later duties get the number
// and the arguments that a duty of the entry wrote to the frame.
func TestTracerChangesTheCall(t *testing.T) {
	var filtered, called Call
	d := full(t, func(h *Handlers[*model]) {
		switch h.Flag {
		case SyscallTrace:
			h.Entry = func(m *model, _ *Call) Verdict { m.f.OrigRAX, m.f.RSI = 39, 7; return Proceed }
		case Seccomp:
			h.Entry = func(_ *model, c *Call) Verdict { filtered = *c; return Proceed }
		}
	})
	m := newModel(SyscallTrace | Seccomp)
	d.syscall(m, &m.Thread, func(_ *model, s *Thread) { called = s.Call })
	if want := (Call{NR: 39, Args: Args{1: 7}}); filtered != want || called != want {
		t.Errorf("the filter saw %+v and the call is %+v, want %+v", filtered, called, want)
	}
}
