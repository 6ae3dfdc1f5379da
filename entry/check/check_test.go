package check

import (
	"reflect"
	"testing"
	"time"

	"slowpath/entry"
)

// explain reports the violations that a check found as errors.
func explain(t *testing.T, r *Report) {
	t.Helper()
	for _, p := range Properties() {
		if v := r.First[p]; v != nil {
			t.Errorf("%q is violated by %d runs: %s\nfirst: %v\n%s", p, r.Violated[p], p.Statement(), v.Plan, v.Trace)
		}
	}
}

// TestNoRunViolatesAProperty is the exhaustive check.
func TestNoRunViolatesAProperty(t *testing.T) {
	for _, c := range []struct {
		name  string
		scope Scope
		least int // minimum number of runs, to detect a scope that became smaller
	}{
		{"one raise", exhaustive(), leastRuns},
		{"two raises", twoRaises(), leastRunsTwice},
		{"panics", panics(), leastRunsPanics},
		{"probes", probes(), leastRunsProbes},
		{"calls of the ABI I386", calls32(), leastRuns32},
	} {
		start := time.Now()
		r := Check(c.scope)
		explain(t, r)
		if r.Combinations != len(c.scope.Words)*len(c.scope.Kinds) || r.Runs < c.least {
			t.Errorf("%s: the check was not complete: %v; want at least %d runs", c.name, r, c.least)
		}
		t.Logf("%s: %v, in %v\nlongest: %s", c.name, r, time.Since(start).Round(time.Millisecond), r.LongestRun)
	}
}

// TestDutiesFollowTheContract compares the rows of package entry with the
// contract. The two are written independently, so a change must be made twice.
func TestDutiesFollowTheContract(t *testing.T) {
	got := contract
	got.entry, got.exit, got.loop, got.last = nil, nil, nil, nil
	got.paired, got.frame, got.observing = 0, 0, 0
	rows := entry.Duties()
	for i := range rows {
		down, up := rows[i], rows[len(rows)-1-i]
		if down.When&entry.AtSyscallEntry != 0 {
			got.entry = append(got.entry, down.Flag)
		}
		if up.When&entry.AtSyscallExit != 0 {
			got.exit = append(got.exit, up.Flag)
		}
		if down.When&entry.BeforeUser != 0 {
			got.loop = append(got.loop, down.Flag)
		}
		if down.When&entry.LastStep != 0 {
			got.last = append(got.last, down.Flag)
		}
		if down.Paired {
			got.paired |= down.Flag
		}
		if down.Observes {
			got.observing |= down.Flag
		}
		if down.Frame {
			got.frame |= down.Flag
		}
		if down.Level != (levels&down.Flag != 0) {
			t.Errorf("%v: Level is %v, the contract says %v", down.Flag, down.Level, !down.Level)
		}
	}
	if !reflect.DeepEqual(got, contract) {
		t.Errorf("the rows are %+v,\nthe contract is %+v", got, contract)
	}
}

// TestRunsHaveExpectedTraces compares complete traces of single runs. It also
// tests the model.
func TestRunsHaveExpectedTraces(t *testing.T) {
	task := NewTask()
	for _, c := range []struct {
		plan Plan
		want string
	}{
		{Plan{Kind: Syscall, Choice: NoChoice}, "arrived, call, call returns, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.NeedResched, Choice: NoChoice},
			"arrived, call begins, call, call returns, work NEED_RESCHED, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.SyscallEmu, Choice: 0},
			"arrived, call begins, entry SYSCALL_EMU, skips the call, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.Seccomp, Choice: 0},
			"arrived, call begins, admitted by SECCOMP, call, call returns, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.Seccomp, Choice: 0, Raises: [2]Raise{{entry.SyscallTrace, 0}}},
			"arrived, call begins, admitted by SECCOMP, raised SYSCALL_TRACE, call, call returns, exit SYSCALL_TRACE, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.SyscallTracepoint | entry.SyscallAudit, Choice: NoChoice, Raises: [2]Raise{{entry.SyscallTrace, 2}}},
			"arrived, call begins, entry SYSCALL_TRACEPOINT, entry SYSCALL_AUDIT, call, raised SYSCALL_TRACE, call returns, " +
				"exit SYSCALL_AUDIT, exit SYSCALL_TRACEPOINT, exit SYSCALL_TRACE, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.SyscallAudit | entry.Seccomp, Choice: 0},
			"arrived, call begins, admitted by SYSCALL_AUDIT|SECCOMP, call, call returns, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.SyscallTracepoint, Choice: NoChoice, Panic: 2},
			"arrived, call begins, entry SYSCALL_TRACEPOINT, call, panic, exit SYSCALL_TRACEPOINT"},
		{Plan{Kind: Sigreturn, Choice: NoChoice}, "arrived, call, call returns, IRET"},
		{Plan{Kind: Exit, Word: entry.SyscallTrace | entry.SyscallAudit, Choice: NoChoice},
			"arrived, call begins, entry SYSCALL_TRACE, entry SYSCALL_AUDIT, call, task leaves, call returns, exit SYSCALL_AUDIT"},
		{Plan{Kind: Interrupt, Choice: NoChoice},
			"arrived, raised RSEQ, raised NEED_RESCHED, work NEED_RESCHED, work RSEQ, IRET"},
		{Plan{Kind: Exception, Choice: 0}, "arrived, raised SIGPENDING, work SIGPENDING, IRET"},
		{Plan{Kind: Int80, Choice: NoChoice}, "arrived, call, call returns, IRET"},
		{Plan{Kind: Call32, Choice: NoChoice}, "arrived, call, call returns, SYSRETL"},
		{Plan{Kind: Call32, Word: entry.SyscallTrace | entry.Seccomp, Choice: NoChoice},
			"arrived, call begins, entry SYSCALL_TRACE, entry SECCOMP, call, call returns, exit SYSCALL_TRACE, SYSRETL"},
		{Plan{Kind: Int80, Word: entry.SyscallAudit, Choice: NoChoice},
			"arrived, call begins, entry SYSCALL_AUDIT, call, call returns, exit SYSCALL_AUDIT, IRET"},
		{Plan{Kind: Call32, Word: entry.SyscallAudit, Choice: NoChoice, Raises: [2]Raise{{entry.Seccomp, 0}}},
			"arrived, call begins, raised SECCOMP, entry SECCOMP, entry SYSCALL_AUDIT, call, call returns, exit SYSCALL_AUDIT, SYSRETL"},
		{Plan{Kind: Int80, Word: entry.SyscallAudit | entry.Seccomp, Choice: 0},
			"arrived, call begins, admitted by SYSCALL_AUDIT|SECCOMP, call, call returns, IRET"},
		{Plan{Kind: ListedCall32, Word: entry.Seccomp, Choice: NoChoice}, "arrived, call begins, call, call returns, SYSRETL"},
		{Plan{Kind: SixthArgument32, Choice: NoChoice, Raises: [2]Raise{{entry.Seccomp, 0}}},
			"arrived, call begins, raised SECCOMP, entry SECCOMP, call, call returns, SYSRETL"},
		{Plan{Kind: SteppedCall32, Choice: NoChoice}, "arrived, call, call returns, IRET"},
		{Plan{Kind: RefusedCall32, Word: entry.SyscallTrace, Choice: NoChoice}, "arrived, SYSRETL"},
		{Plan{Kind: NMI, Word: entry.Uprobe, Choice: NoChoice}, "arrived, work UPROBE, IRET"},
		{Plan{Kind: Syscall, Choice: NoChoice, Raises: [2]Raise{{entry.SyscallTrace, 0}}},
			"arrived, call, raised SYSCALL_TRACE, call returns, exit SYSCALL_TRACE, SYSRET"},
		{Plan{Kind: Syscall, Choice: NoChoice, Raises: [2]Raise{{entry.UserReturnNotify, 1}}},
			"arrived, call, call returns, raised USER_RETURN_NOTIFY, last USER_RETURN_NOTIFY, SYSRET"},
		{Plan{Kind: SteppedSyscall, Choice: NoChoice}, "arrived, call, call returns, IRET"},
		{Plan{Kind: SyscallMoved, Choice: NoChoice}, "arrived, call, call returns, raised RSEQ, work RSEQ, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.NoHZ | entry.SyscallAudit, Choice: NoChoice, Panic: 3},
			"arrived, call begins, entry NOHZ, entry SYSCALL_AUDIT, call, panic, exit SYSCALL_AUDIT, exit NOHZ"},
		{Plan{Kind: Syscall, Word: entry.NoHZ | entry.SyscallAudit, Choice: NoChoice, Panic: 4},
			"arrived, call begins, entry NOHZ, entry SYSCALL_AUDIT, call, call returns, exit SYSCALL_AUDIT, panic, exit NOHZ"},
	} {
		if p := task.Run(c.plan); p != Right || task.Trace().String() != c.want {
			t.Errorf("%v: %v\n got %s\nwant %s", c.plan, p, task.Trace(), c.want)
		}
	}
}

// FuzzRun makes runs with any set of duties, any two raises and any outcome.
func FuzzRun(f *testing.F) {
	f.Add(uint8(0), uint32(entry.Uprobe), uint8(1), uint8(3), uint8(2), uint8(9), int8(-1))
	f.Add(uint8(6), uint32(Flags), uint8(14), uint8(0), uint8(0), uint8(30), int8(2))
	task := NewTask()
	flags := flagList()
	f.Fuzz(func(t *testing.T, kind uint8, word uint32, flag1, at1, flag2, at2 uint8, choice int8) {
		p := Plan{
			Kind: Kind(kind) % kinds, Word: entry.Flag(word) & Flags, Choice: int(choice),
			Raises: [2]Raise{
				{flags[int(flag1)%len(flags)], int(at1 % maxMoments)},
				{flags[int(flag2)%len(flags)], int(at2 % maxMoments)},
			},
		}
		if violated := task.Run(p); violated != Right {
			t.Errorf("%v violates %q: %s\n%s", p, violated, violated.Statement(), task.Trace())
		}
	})
}
