package linux313

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"slowpath/entry"
)

// TestMasksMatchLinuxBuild compares the masks with the values of a 3.13 build.
func TestMasksMatchLinuxBuild(t *testing.T) {
	want := map[string]entry.Flag{
		"ENTRY": 0x100801d1, "EXIT": 0x10080091, "WORK": 0xfe2e, "ALLWORK": 0x1008feff, "DO_NOTIFY": 0x0c06,
	}
	for _, m := range New().Masks() {
		if m.Flags != want[m.Name] {
			t.Errorf("%s is %#x, want %#x", m.Name, uint32(m.Flags), uint32(want[m.Name]))
		}
	}
	if n := len(New().Masks()); n != len(want) {
		t.Errorf("%d masks, want %d", n, len(want))
	}
}

// exits are the counts of a sweep.
type exits struct{ sysret, iret, sysexit, livelock, dropped int }

func counts(t Totals) exits {
	return exits{t.Exits[SYSRET], t.Exits[IRET], t.Exits[SYSEXIT], t.Exits[Livelock], t.Dropped}
}

// TestSweepCounts checks the counts for every combination of the thirteen named flags on
// every path.
func TestSweepCounts(t *testing.T) {
	for _, c := range []struct {
		path       Path
		was, fixed exits
	}{
		{SyscallExit, exits{8, 7928, 0, 256, 0}, exits{8, 8184, 0, 0, 0}},
		{SyscallByIRET, exits{0, 7936, 0, 256, 0}, exits{0, 8192, 0, 0, 0}},
		{CompatExit, exits{0, 7932, 4, 256, 0}, exits{0, 8188, 4, 0, 0}},
		{SysenterCall, exits{0, 7932, 4, 256, 0}, exits{0, 8188, 4, 0, 0}},
		{CstarCall, exits{0, 7932, 4, 256, 0}, exits{0, 8188, 4, 0, 0}},
		{Int80Call, exits{0, 7936, 0, 256, 0}, exits{0, 8192, 0, 0, 0}},
		{Interrupt, exits{0, 8192, 0, 0, 256}, exits{0, 8192, 0, 0, 0}},
		{Exception, exits{0, 8192, 0, 0, 256}, exits{0, 8192, 0, 0, 0}},
		{Paranoid, exits{0, 8192, 0, 0, 0}, exits{0, 8192, 0, 0, 0}},
	} {
		if got := counts(New().Sweep(c.path, NamedFlags)); got != c.was {
			t.Errorf("%s: %+v, want %+v", c.path.Name, got, c.was)
		}
		if got := counts(Fixed().Sweep(c.path, NamedFlags)); got != c.fixed {
			t.Errorf("%s, fixed: %+v, want %+v", c.path.Name, got, c.fixed)
		}
	}
}

// TestBitsWithoutHandlerLivelock checks that the bits of the masks without a handler
// livelock too.
func TestBitsWithoutHandlerLivelock(t *testing.T) {
	for _, p := range []Path{SyscallExit, SyscallByIRET, CompatExit, SysenterCall, CstarCall, Int80Call} {
		if got := New().Sweep(p, AllBits).Exits[Livelock]; got != 254208 {
			t.Errorf("%s: %d combinations livelock, want 254208", p.Name, got)
		}
	}
}

// TestLivelockNeedsDeadBitOrLoneUprobe checks that a flag word livelocks at the exit of
// a call exactly if it has a dead bit, or UPROBE without a flag of DO_NOTIFY.
func TestLivelockNeedsDeadBitOrLoneUprobe(t *testing.T) {
	m := New()
	for i := range 1 << 16 {
		word := entry.Flag(i)
		dead := word&DeadBits() != 0 || word&entry.Uprobe != 0 && word&NotifyMask == 0
		if r := m.Run(SyscallExit, word); dead != (r.Exit == Livelock) {
			t.Fatalf("%v ends with %v, but livelock expected is %v", word, r.Exit, dead)
		}
	}
}

func TestRunsCallExpectedHandlers(t *testing.T) {
	for _, c := range []struct {
		path  Path
		flags entry.Flag
		exit  Exit
		left  entry.Flag
		ran   string
	}{
		{SystemCall, 0, SYSRET, 0, "the call"},
		{SystemCall, entry.SyscallAudit, SYSRET, entry.SyscallAudit, "audit_syscall_entry, the call, audit_syscall_exit"},
		{SystemCall, entry.Seccomp, IRET, entry.Seccomp, "syscall_trace_enter, the call"},
		{SystemCall, entry.SyscallEmu, IRET, entry.SyscallEmu, "syscall_trace_enter, the call"},
		{SyscallExit, entry.NeedResched, SYSRET, 0, "schedule_user"},
		{SyscallExit, entry.SyscallTrace | entry.SigPending, IRET, entry.SyscallTrace, "syscall_trace_leave, do_notify_resume"},
		{SyscallExit, entry.Uprobe | entry.SigPending, IRET, 0, "do_notify_resume"},
		{CompatExit, entry.SyscallAudit, SYSEXIT, entry.SyscallAudit, "audit_syscall_exit"},
		{SysenterCall, entry.Seccomp, SYSEXIT, entry.Seccomp, "syscall_trace_enter, the call"},
		{CstarCall, entry.SyscallAudit, SYSEXIT, entry.SyscallAudit, "audit_syscall_entry, the call, audit_syscall_exit"},
		{Int80Call, entry.SyscallAudit, IRET, entry.SyscallAudit, "syscall_trace_enter, the call, syscall_trace_leave"},
		{Interrupt, entry.Uprobe | entry.NeedResched, IRET, entry.Uprobe, "schedule_user"},
		{Paranoid, entry.Uprobe, IRET, 0, "do_notify_resume"},
	} {
		r := New().Run(c.path, c.flags)
		var names []string
		for _, h := range r.Ran {
			names = append(names, h.Name)
		}
		if ran := strings.Join(names, ", "); r.Exit != c.exit || r.Left != c.left || ran != c.ran {
			t.Errorf("%s with %v: exit %v, flags left %v, handlers %s; want %v, %v, %s",
				c.path.Name, c.flags, r.Exit, r.Left, ran, c.exit, c.left, c.ran)
		}
	}
}

// TestFindingsAgreeWhereExpected checks where the mail and the source agree.
func TestFindingsAgreeWhereExpected(t *testing.T) {
	agree := map[string]bool{}
	for _, f := range Findings() {
		agree[f.Topic] = f.Agree
	}
	want := map[string]bool{
		"dead bits": false, "lone UPROBE, exit of a call": true, "lone UPROBE, interrupt": false, "lone SYSCALL_EMU": false,
		"a traced 32-bit call": false,
	}
	if !maps.Equal(agree, want) {
		t.Errorf("findings are %v, want %v", agree, want)
	}
	if DeadBits() != 0xe220 {
		t.Errorf("dead bits are %#x", uint32(DeadBits()))
	}
}

func TestLoneUprobeLivelocks(t *testing.T) {
	r := New().Run(SyscallExit, entry.Uprobe)
	if r.Exit != Livelock || r.Left != entry.Uprobe || len(r.Ran) != 0 || r.Loop != "int_with_check" {
		t.Errorf("UPROBE alone gives %+v", r)
	}
}

// TestEveryStepIsReachable checks that every step can be reached from a path, and that
// no step falls off the end of the table.
func TestEveryStepIsReachable(t *testing.T) {
	m := New()
	reached := make([]bool, len(m.steps))
	var walk func(i int)
	walk = func(i int) {
		if reached[i] {
			return
		}
		reached[i] = true
		s := m.steps[i]
		if s.to != "" {
			walk(m.target[i])
		}
		if s.do != jump && s.do != leave {
			walk(i + 1)
		}
	}
	for _, p := range Paths() {
		walk(m.place(p.Label))
	}
	if i := slices.Index(reached, false); i >= 0 {
		t.Errorf("step %d (%q) is on no path", i, m.steps[i].label)
	}
}

// FuzzRun checks that a run with any flag word ends on every path, even with bits that
// are in no mask.
func FuzzRun(f *testing.F) {
	f.Add(uint32(0), uint8(0))
	f.Add(uint32(entry.Uprobe), uint8(1))
	f.Add(^uint32(0), uint8(6))
	m, fixed := New(), Fixed()
	f.Fuzz(func(t *testing.T, word uint32, path uint8) {
		p := Paths()[int(path)%len(Paths())]
		r := m.Run(p, entry.Flag(word))
		if r.Left&^entry.Flag(word) != 0 {
			t.Errorf("%s: the flags %v are left but were not set", p.Name, r.Left&^entry.Flag(word))
		}
		if r := fixed.Run(p, entry.Flag(word)&^DeadBits()); r.Exit == Livelock {
			t.Errorf("%s with %v livelocks in the fixed model", p.Name, entry.Flag(word)&^DeadBits())
		}
	})
}

// TestListingHasLabelsAndTests checks that the printed listing has the label of each
// path and the test that ignores UPROBE.
func TestListingHasLabelsAndTests(t *testing.T) {
	text := New().Listing()
	for _, p := range Paths() {
		if !strings.Contains(text, p.Label+":\n") {
			t.Errorf("the listing has no label %s", p.Label)
		}
	}
	for _, line := range []string{
		"int_signal:\n\tif edx & DO_NOTIFY goto int_notify", "edi &= ~(EXIT|SYSCALL_EMU)",
		"edi = (ALLWORK without SYSCALL_AUDIT)", "if edx & NEED_RESCHED goto int_resched",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("the listing has no line %q:\n%s", line, text)
		}
	}
}
