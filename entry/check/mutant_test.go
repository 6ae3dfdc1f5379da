//go:build !race

package check

import (
	"encoding/json"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"slowpath/mutation"
)

// edit replaces text that occurs exactly once in a file of package entry or of
// this package.
type edit struct{ file, old, new string }

// mutant is a deliberate mistake in the kernel's source.
type mutant struct {
	name   string
	caught Property // the property that the mistake must violate
	edits  []edit
}

// Files that mutants change.
const (
	dutyFile   = "../duty.go"
	exitFile   = "../exit.go"
	callFile   = "../syscall.go"
	loopFile   = "../userloop.go"
	loop32File = "../userloop32.go"
	threadFile = "../thread.go"
	tableFile  = "../table.go"
	userFile   = "user.go"
)

// mutants are plausible mistakes. Those with 3.13 in their name were in Linux 3.13.
var mutants = []mutant{
	{"UPROBE dropped from the mask", NothingPending, []edit{
		{tableFile, "if d.When&m.stage != 0 {", "if d.When&m.stage != 0 && d.Flag != Uprobe {"}}},
	{"UPROBE in the mask, but its handler not called (Linux 3.13)", Terminates, []edit{
		{exitFile, "if owed&(owed-1) != 0 {", "if owed&(owed-1) != 0 || owed == Uprobe {"},
		{exitFile, "if r.owed(&s.Frame.ThreadFlags) && Claim(", "if r.owed(&s.Frame.ThreadFlags) && r.Duty.Flag != Uprobe && Claim("}}},
	{"SYSCALL_EMU in the mask of the loop", Terminates, []edit{
		{exitFile, "if owed&(owed-1) != 0 {", "if owed&(owed-1) != 0 || owed == SyscallEmu {"},
		{tableFile, "	return table, nil\n", "	table.before |= SyscallEmu\n	return table, nil\n"}}},
	{"a mask narrowed for the rest of the visit (3.13's EDI)", NothingPending, []edit{
		{exitFile, "s.Frame.Settle()\n		r.BeforeUserFrame(task, s.Frame)", "s.Frame.Settle()\n		s.Call.Args[5] |= uint64(r.Duty.Flag)\n		s.Frame.Vector |= uint64(r.Duty.Flag)\n		r.BeforeUserFrame(task, s.Frame)"},
		{exitFile, "owed := Pending(flags) & t.before", "owed := Pending(flags) & t.before &^ Flag(s.Call.Args[5])"},
		{exitFile, "	if Pending(flags)&t.before == 0 {", "	if Pending(flags)&t.before&^Flag(s.Call.Args[5]) == 0 {"},
		{exitFile, "|| flags&t.before != 0 {", "|| flags&t.before&^Flag(f.Vector) != 0 {"},
		{userFile, "	f.CS, f.SS =", "	f.Vector = 0\n	f.CS, f.SS ="}}},
	{"SECCOMP dropped from the entry", LevelsServed, []edit{
		{callFile, "		if !r.owed(&f.ThreadFlags) {\n", "		if r.Duty.Flag == Seccomp || !r.owed(&f.ThreadFlags) {\n"}}},
	{"the flags cached across an entry handler's sleep", LevelsServed, []edit{
		{callFile, "	for _, r := range t.entries {\n		if !r.owed(&f.ThreadFlags) {",
			"	cached := Pending(&f.ThreadFlags)\n	for _, r := range t.entries {\n		if cached&r.Duty.Flag == 0 {"}}},
	{"the call not loaded again after a tracer's stop", CallOnce, []edit{
		{callFile, "		s.Call.load(f)\n		s.step(r.Duty.Flag, begin)", "		s.step(r.Duty.Flag, begin)"}}},
	{"SECCOMP before the tracer's stop", InOrder, []edit{
		{dutyFile, "Flag: SyscallTrace, When: AtSyscallEntry | AtSyscallExit,", "Flag: Seccomp, When: AtSyscallEntry,"},
		{dutyFile, "Flag: Seccomp, When: AtSyscallEntry,", "Flag: SyscallTrace, When: AtSyscallEntry | AtSyscallExit,"}}},
	{"the loop from bottom to top", InOrder, []edit{
		{exitFile, "	for _, r := range t.loop {\n", "	for i := range t.loop {\n		r := t.loop[len(t.loop)-1-i]\n"}}},
	{"the exit in the order of the entry", InOrder, []edit{
		{tableFile, "t.exits = append([]*row[T]{r}, t.exits...)", "t.exits = append(t.exits, r)"}}},
	{"cleared after the handler", OncePerClaim, []edit{
		{exitFile, "	Lower(flags, owed)\n", ""},
		{exitFile, "	if Pending(flags)&t.before == 0 {", "	Lower(flags, owed)\n	if Pending(flags)&t.before == 0 {"}}},
	{"NOTIFY_RESUME cleared together with SIGPENDING", NoRaiseLost, []edit{
		{exitFile, "		if r.owed(&s.Frame.ThreadFlags) && Claim(", "		if r.Duty.Flag == SigPending && r.owed(&s.Frame.ThreadFlags) {\n			Lower(&s.Frame.ThreadFlags, NotifyResume)\n		}\n		if r.owed(&s.Frame.ThreadFlags) && Claim("}}},
	{"all duties cleared before the first handler", NoRaiseLost, []edit{
		{exitFile, "	for _, r := range t.loop {\n", "	Lower(&s.Frame.ThreadFlags, t.before)\n	for _, r := range t.loop {\n"}}},
	{"a handler run twice for one claim", OncePerClaim, []edit{
		{exitFile, "		r.BeforeUser(task)\n", "		r.BeforeUser(task)\n		r.BeforeUser(task)\n"}}},
	{"a level claimed like a duty of the loop", LevelsStay, []edit{
		{callFile, "		s.entered |= r.Duty.Flag\n", "		s.entered |= r.Duty.Flag\n		Lower(&f.ThreadFlags, r.Duty.Flag)\n"}}},
	{"the pair decided at the exit", Pairs, []edit{
		{callFile, "		if r.Paired {\n", "		if false {\n"}}},
	{"no exit after a skipped call", LevelsServed, []edit{
		{callFile, "	entered := s.entered\n", "	entered := s.entered\n	if f.RAX == NoCall {\n		f.Flags |= amd64.CallOver\n		return entered\n	}\n"}}},
	{"a skipped call runs", CallOnce, []edit{
		{callFile, "if verdict == Proceed {", "if verdict <= Skip {"}}},
	{"a tracer's stop in a task that exits", ExitIsFinal, []edit{
		{callFile, "due := r.owed(&f.ThreadFlags) && !s.exiting &&", "due := r.owed(&f.ThreadFlags) &&"}}},
	{"a tracer's stop after a call that was rolled back", InOrder, []edit{
		{callFile, " && verdict != RollBack", ""}}},
	{"no exit after a call on the fast path", LevelsServed, []edit{
		{loopFile, "	s.Visit.Served |= l.duties.syscallExit(t, s)\n", "	s.Frame.Flags |= amd64.CallOver\n"}}},
	{"no exit for the pairs of a call that panics", Pairs, []edit{
		{loopFile, "	defer l.duties.closePairs(t, s)\n", ""}}},
	{"the frame settled for every duty", FrameUntouched, []edit{
		{exitFile, "	begin := s.clock()\n", "	begin := s.clock()\n	s.Frame.Settle()\n"}}},
	{"the frame settled for no duty", FrameComplete, []edit{
		{exitFile, "		s.Frame.Settle()\n", ""}}},
	{"the last step not claimed", OncePerClaim, []edit{
		{exitFile, "f.ThreadFlags.And(^uint32(r.Duty.Flag))&uint32(r.Duty.Flag) != 0", "f.ThreadFlags.Load()&uint32(r.Duty.Flag) != 0"}}},
	{"the test before interrupts are off", NothingPending, []edit{
		{userFile, "	return t.follow(t.table.LastTest(&t.frame))", "	t.interrupts = true\n	decision := t.table.LastTest(&t.frame)\n	t.moment()\n	t.interrupts = false\n	return t.follow(decision)"}}},
	{"the last step with interrupts on", InterruptsAsStated, []edit{
		{userFile, "	t.interrupts = false\n", ""}}},
	{"no last step", NothingPending, []edit{
		{exitFile, "	if flags&t.last != 0 {\n", "	if false {\n"}}},
	{"IRETQ for a frame that is not settled", RegistersRestored, []edit{
		{exitFile, "	return f.Exit()\n", "	return amd64.ByIRETQ\n"}}},
	{"SYSRET from a call over which the program steps", RegistersRestored, []edit{
		{exitFile, "(flags&t.unpairedExit() != 0 || f.Stepping())", "flags&t.unpairedExit() != 0"}}},
	{"EventHandover handled as an interrupt", Terminates, []edit{
		{loopFile, "	if event == amd64.EventHandover {\n		if event = t.TakeCPU(); event == amd64.EventHandover {\n			return\n		}\n	}\n", ""}}},
	{"a served duty missing in the visit", ServedAsReported, []edit{
		{loopFile, "		v.Served |= served\n", "		v.Served |= served &^ SigPending\n"}}},
	{"SIGPENDING lost when a requested call begins", NoRaiseLost, []edit{
		{threadFile, "	s.calls = false\n	s.raiseDeferred()\n	return s.Frame", "	s.calls, s.deferred = false, 0\n	return s.Frame"}}},
	{"SIGPENDING lost at the end of a slot", NoRaiseLost, []edit{
		{threadFile, "	s.held = false\n	s.raiseDeferred()\n", "	s.held = false\n"}}},
	{"a requested call forgotten on the fast path", CallOnce, []edit{
		{loopFile, "	if s.calls || s.exiting {", "	if s.exiting {"}}},
	{"user mode after a hit that ended the task", ExitIsFinal, []edit{
		{loopFile, "	if s.calls || s.exiting {", "	if s.calls {"}}},
	{"a hit served before the other duties", InOrder, []edit{
		{loopFile, "	if Pending(&f.ThreadFlags)&l.unhit == Uprobe {", "	if Pending(&f.ThreadFlags)&Uprobe != 0 {"}}},
	{"the duty of a hit not cleared", OncePerClaim, []edit{
		{loopFile, "		Lower(&f.ThreadFlags, Uprobe)\n", ""}}},
	{"a requested call with the registers of the breakpoint", RegistersRestored, []edit{
		{threadFile, "	return s.Frame.ExecuteSyscall(s.next)", "	s.Frame.OrigRAX = s.Frame.RAX\n	s.Frame.Flags = 0\n	return int(uint32(s.Frame.RAX))"}}},
	{"hits missing in the counts", ServedAsReported, []edit{
		{loopFile, "		s.fast.count(Uprobe, l.uprobeBit)\n", ""}}},
	{"the exit of an observed call decided by the flags", Pairs, []edit{
		{loopFile, "		if s.entered&r.Duty.Flag != 0 {", "		if r.owed(&s.Frame.ThreadFlags) {"}}},
	{"no exit of an observed call if the flags are lowered", Pairs, []edit{
		{loopFile, "		if wanted {\n", "		if wanted && Pending(&f.ThreadFlags) != 0 {\n"}}},
	{"no exit for a duty that was raised while another one observed alone", Pairs, []edit{
		{loopFile, "			wanted = true\n", ""}}},
	{"the flags cached across the sleep of the duty that observes alone", LevelsServed, []edit{
		{loopFile, "		if Pending(&f.ThreadFlags) != flags {\n			l.duties.watch(t, s, r.next)\n			wanted = true\n		}\n", ""}}},
	{"a duty that observes served twice", InOrder, []edit{
		{loopFile, "			l.duties.watch(t, s, r.next)\n", "			l.duties.watch(t, s, r)\n"}}},
	{"the exits of an observed call in the order of the entries", InOrder, []edit{
		{loopFile, "	for r := t.lastObserver; r != nil; r = r.previous {", "	for r := t.firstObserver; r != nil; r = r.next {"}}},
	{"a call of a traced task observed on the fast path", LevelsServed, []edit{
		{loopFile, "		if flags&l.unobserved != 0 {", "		if flags&l.unobserved&^SyscallTrace != 0 {"}}},
	{"one of two duties that observe served alone", InOrder, []edit{
		{loopFile, "			if r = l.duties.lastObserver; flags != r.Duty.Flag {", "			if r = l.duties.lastObserver; flags&r.Duty.Flag == 0 {"}}},
	{"the pair of the duty that observes alone closed after the handler", Pairs, []edit{
		{loopFile, "				s.entered = 0 // closePairs must not run the handler again if it panics\n", ""},
		{loopFile, "				r.Exit(t, &s.Call)\n", "				r.Exit(t, &s.Call)\n				s.entered = 0\n"}}},
	{"the exit of one of two duties that observe", Pairs, []edit{
		{loopFile, "			if s.entered == flags {", "			if s.entered&flags != 0 {"}}},
	{"an observed pair closed after the handler", Pairs, []edit{
		{loopFile, "			s.entered &^= r.Duty.Flag // closePairs must not run the handler again if it panics\n", ""},
		{loopFile, "			r.Exit(task, &s.Call)\n", "			r.Exit(task, &s.Call)\n			s.entered &^= r.Duty.Flag\n"}}},
	{"no exit for a duty that observes alone and panics", Pairs, []edit{
		{loopFile, "		s.entered = flags\n", ""},
		{loopFile, "		if !wanted {\n			s.entered = 0\n		}\n", "		if wanted {\n			s.entered = flags\n		}\n"}}},
	{"an exit for a duty that observes alone and needs none", Pairs, []edit{
		{loopFile, "		wanted := r.Watch(t, f)\n		if !wanted {\n			s.entered = 0\n		}\n", "		r.Watch(t, f)\n		wanted := true\n"}}},
	{"an exit for one of two duties that observe and needs none", Pairs, []edit{
		{loopFile, "		if !r.Watch(task, s.Frame) {\n			s.entered &^= r.Duty.Flag\n		}\n", "		r.Watch(task, s.Frame)\n"}}},
	{"no exit for both duties that observe if one needs none", Pairs, []edit{
		{loopFile, "			s.entered &^= r.Duty.Flag\n		}\n", "			s.entered = 0\n		}\n"}}},
	{"the frame settled for a duty that observes", FrameUntouched, []edit{
		{loopFile, "		f.RAX = NoCall\n		r := l.duties.firstObserver", "		f.Settle()\n		f.RAX = NoCall\n		r := l.duties.firstObserver"}}},
	{"calls that one duty observes missing in the counts", ServedAsReported, []edit{
		{loopFile, "		s.fast.count(flags, r.number)\n", ""}}},
	{"calls that two duties observe missing in the counts", ServedAsReported, []edit{
		{loopFile, "		s.fast.count(r.Duty.Flag, r.number)\n", ""}}},
	{"a call admitted by one of two duties", LevelsServed, []edit{
		{loopFile, "a != nil && a.Flag == flags {", "a != nil && a.Flag&flags != 0 {"}}},
	{"a duty that does not keep an i386 call from the fast path", LevelsServed, []edit{
		{loop32File, "		if f.ThreadFlags.Load() != 0 {\n			break", "		if Pending(&f.ThreadFlags)&^Seccomp != 0 {\n			break"}}},
	{"the word on the stack not read for a traced call", FrameComplete, []edit{
		{loopFile, "			if !completeCall32(t, f) {", "			if false {"},
		{loop32File, "	if !completeCall32(t, f) {\n		refuse32(f)\n		return true\n	}\n	flags :=",
			"	if Pending(&f.ThreadFlags)&l.unobserved == 0 && !completeCall32(t, f) {\n		refuse32(f)\n		return true\n	}\n	flags :="}}},
	{"the word on the stack not read for a signal during the call", FrameComplete, []edit{
		{loopFile, "		v.Kind, v.Number = ByDuty, -1\n		completeCall32(t, f)\n", "		v.Kind, v.Number = ByDuty, -1\n"}}},
	{"a call without a readable stack executed", CallOnce, []edit{
		{loop32File, "		refuse32(f)\n		return true\n	}\n	if f.Thread", "		f.DropCallWord()\n	}\n	if f.Thread"}}},
	{"the flags of a call with six arguments tested before the stack is read", LevelsServed, []edit{
		{loop32File, "	nr := min(uint(f.OrigRAX), noNumber)\n", "	owed := f.ThreadFlags.Load()\n	nr := min(uint(f.OrigRAX), noNumber)\n"},
		{loop32File, "	if f.ThreadFlags.Load() == 0 {\n		l.exe", "	if owed == 0 {\n		l.exe"}}},
	{"the flags of an observed i386 call tested before the stack is read", LevelsServed, []edit{
		{loop32File, "	if !completeCall32(t, f) {\n		refuse32(f)\n		return true\n	}\n	flags := Pending(&f.ThreadFlags)\n",
			"	flags := Pending(&f.ThreadFlags)\n	if !completeCall32(t, f) {\n		refuse32(f)\n		return true\n	}\n"}}},
	{"an i386 call with an incomplete frame observed", FrameComplete, []edit{
		{loop32File, "	if !completeCall32(t, f) {\n		refuse32(f)\n		return true\n	}\n	flags :=", "	flags :="}}},
	{"an i386 call of a traced task observed on the fast path", LevelsServed, []edit{
		{loop32File, "	if flags&l.unobserved != 0 {", "	if flags&l.unobserved&^SyscallTrace != 0 {"}}},
	{"an i386 call admitted by its number with other duties", LevelsServed, []edit{
		{loop32File, "a.Flag == Pending(&f.ThreadFlags) && a.lists32(nr)", "a.Flag&Pending(&f.ThreadFlags) != 0 && a.lists32(nr)"}}},
	{"an i386 call admitted by one of two duties", LevelsServed, []edit{
		{loop32File, "a.Flag == flags && a.admits32", "a.Flag&flags != 0 && a.admits32"}}},
	{"no exit of an observed i386 call", Pairs, []edit{
		{loop32File, "	l.duties.unwatch(t, s)\n", ""}}},
	{"an observed i386 call missing in the counts", ServedAsReported, []edit{
		{loop32File, "		s.fast.count(r.Duty.Flag, r.number)\n", ""}}},
	{"no exit for a duty that observes an i386 call and panics", Pairs, []edit{
		{loop32File, "		s.entered |= r.Duty.Flag\n		s.fast.count(r.Duty.Flag, r.number)\n		r.Entry(task, &s.Call)\n",
			"		s.fast.count(r.Duty.Flag, r.number)\n		r.Entry(task, &s.Call)\n		s.entered |= r.Duty.Flag\n"}}},
	{"an exit of a call without a readable stack", InOrder, []edit{
		{loop32File, "	f.Flags |= amd64.CallOver\n", ""}}},
	{"the exit mask without AUDIT", AssertionsHold, []edit{
		{callFile, "	for _, r := range t.exits {\n", "	for _, r := range t.exits {\n		if r.Duty.Flag == SyscallAudit {\n			continue\n		}\n"}}},
}

// TestEveryMutantIsCaught builds and runs the check from sources with one mistake
// each. A run must violate the mutant's property.
func TestEveryMutantIsCaught(t *testing.T) {
	used := map[Property]bool{}
	var mu sync.Mutex
	t.Run("mutants", func(t *testing.T) {
		for _, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				violated, trace := m.check(t)
				if violated[m.caught.String()] == 0 {
					t.Errorf("no run violates %q; the violated properties are %v\n%s", m.caught, violated, trace)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				used[m.caught] = true
			})
		}
	})
	for _, p := range Properties() {
		if !used[p] {
			t.Errorf("no mutant violates %q; add one", p)
		}
	}
}

// check returns the number of runs of the mutant that violate each property, and
// the traces of the first.
func (m *mutant) check(t *testing.T) (violated map[string]int, trace string) {
	t.Helper()
	edits := map[string][]string{}
	for _, e := range m.edits {
		edits[e.file] = append(edits[e.file], e.old, e.new)
	}
	command := exec.Command("go", "run", "-overlay", mutation.Overlay(t, edits), "./report")
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("the mutant does not run: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(out, &violated); err != nil {
		t.Fatalf("the report is not JSON: %v\n%s", err, out)
	}
	return violated, stderr.String()
}
