package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slowpath/entry"
)

// mutant is a mistake, and the property by which the check must see it.
type mutant struct {
	name   string
	system System
	caught Property
}

// mutants are mistakes that somebody could make, and some that somebody made.
func mutants() []mutant {
	return []mutant{
		{"UPROBE dropped from the masks", with(faults{dropUser: entry.Uprobe}), NothingPending},
		{"UPROBE in the mask, but its handler not called (Linux 3.13)", with(faults{dropRow: entry.Uprobe}), Terminates},
		{"SYSCALL_EMU in the mask of the loop", with(faults{addUser: entry.SyscallEmu}), Terminates},
		{"a mask narrowed for the rest of the visit (3.13's EDI)", with(faults{narrowedMask: true}), NothingPending},
		{"SECCOMP dropped from the entry", with(faults{dropEntry: entry.Seccomp}), LevelsServed},
		{"the word cached across an entry handler's sleep", with(faults{entryWordCached: true}), LevelsServed},
		{"SECCOMP before the tracer's stop", reordered(faults{}, swapped(entry.SyscallTrace, entry.Seccomp)), InOrder},
		{"the table's rows in that order", tableOf(swapped(entry.SyscallTrace, entry.Seccomp)), InOrder},
		{"the loop from bottom to top", with(faults{loopBottomUp: true}), InOrder},
		{"the exit in the order of the entry", with(faults{exitTopDown: true}), InOrder},
		{"cleared too late: after the handler", with(faults{claimAfterHandler: true}), OncePerClaim},
		{"cleared too early: NOTIFY_RESUME along with SIGPENDING", with(faults{claimWithSignals: entry.NotifyResume}), NoRaiseLost},
		{"cleared too early: all before the first handler", with(faults{clearedBeforeTable: true}), NoRaiseLost},
		{"a handler run twice for one claim", with(faults{handlerTwice: true}), OncePerClaim},
		{"a level claimed like a duty", with(faults{claimLevels: true}), LevelsStay},
		{"the pair decided at the exit", with(faults{pairAtExit: true}), Pairs},
		{"no exit after a skipped call", with(faults{noExitAfterSkip: true}), Pairs},
		{"a skipped call runs", with(faults{callAfterSkip: true}), CallOnce},
		{"a tracer's stop in a task that exits", with(faults{exitWhenLeaving: true}), LeavingTasksLeave},
		{"the exit of a fast call forgotten", with(faults{noExitOfFastCalls: true}), LevelsServed},
		{"the frame settled for every duty", with(faults{settleForAll: true}), FrameUntouched},
		{"the frame settled for no duty", with(faults{settleForNone: true}), FrameWhole},
		{"the last step not claimed", with(faults{claimNoLast: true}), OncePerClaim},
		{"the test before interrupts are off", entering(testEarly), NothingPending},
		{"the last step with interrupts on", entering(lastEarly), InterruptsAsStated},
		{"no last step", with(faults{noLast: true}), NothingPending},
		// It was the kernel's own until this check was written.
		{"IRETQ for a frame that is not settled", with(faults{iretOnly: true}), RegistersRestored},
		{"a duty served and not told", with(faults{untold: entry.SigPending}), ServedAsTold},
	}
}

// swapped returns the kernel's rows with two of them exchanged.
func swapped(a, b entry.Flag) []entry.Duty {
	duties := entry.Duties()
	i := slices.IndexFunc(duties, func(d entry.Duty) bool { return d.Flag == a })
	j := slices.IndexFunc(duties, func(d entry.Duty) bool { return d.Flag == b })
	duties[i], duties[j] = duties[j], duties[i]
	return duties
}

// tableOf is package entry's own code over other rows.
func tableOf(duties []entry.Duty) System {
	return System{Flow: func(t *Task) Flow { return NewTable(t, duties) }}
}

// entering is the kernel with another end of EnterUser.
func entering(enter func(t *Task) bool) System {
	s := Kernel()
	s.EnterUser = enter
	return s
}

// testEarly makes the last test first and turns interrupts off after it.
func testEarly(t *Task) bool {
	decision := t.flow.LastTest(&t.frame)
	t.moment()
	t.interrupts = false
	t.note(Tested, 0)
	return t.follow(decision)
}

// lastEarly serves the last step while others can still interrupt.
func lastEarly(t *Task) bool {
	t.flow.LastTest(&t.frame)
	return t.EnterUser()
}

// mutantScope is enough for every mutant: each shows itself with two flags.
func mutantScope() Scope { return Scope{Kinds(), SmallWords(1), 1} }

// TestTheVariantIsTheKernel: without a fault, the second implementation has
// none, so that what a mutant violates is its fault's doing.
func TestTheVariantIsTheKernel(t *testing.T) {
	explain(t, with(faults{}).Check(mutantScope()))
}

// TestMutants: each mistake is seen, by the property that it is about.
func TestMutants(t *testing.T) {
	var table strings.Builder
	used := map[Property]bool{}
	for _, m := range mutants() {
		r := m.system.Check(mutantScope())
		if r.Violated[m.caught] == 0 {
			t.Errorf("%s: not caught by %q, but by %v", m.name, m.caught, names(r))
			continue
		}
		used[m.caught] = true
		fmt.Fprintf(&table, "\n%-58s -> %s (%d of %d runs; first: %v)",
			m.name, m.caught, r.Violated[m.caught], r.Runs, r.First[m.caught].Plan)
	}
	for _, p := range Properties() {
		if !used[p] {
			t.Errorf("no mutant is caught by %q: does it hold anything?", p)
		}
	}
	t.Logf("%d mutants%s", len(mutants()), table.String())
}

func names(r *Report) []string {
	var all []string
	for _, p := range Properties() {
		if r.Violated[p] != 0 {
			all = append(all, fmt.Sprintf("%v (%v: %s)", p, r.First[p].Plan, r.First[p].Trace))
		}
	}
	return all
}
