package check

import (
	"reflect"
	"testing"
	"time"

	"slowpath/entry"
)

// explain reports what a check found.
func explain(t *testing.T, r *Report) {
	t.Helper()
	for _, p := range Properties() {
		if v := r.First[p]; v != nil {
			t.Errorf("%q is violated by %d runs: %s\nfirst: %v\n%s", p, r.Violated[p], p.Statement(), v.Plan, v.Trace)
		}
	}
}

// TestKernel is the exhaustive check.
func TestKernel(t *testing.T) {
	for _, c := range []struct {
		name  string
		scope Scope
		least int // runs, so that the sweep cannot shrink unseen
	}{
		{"one raise", exhaustive(), leastRuns},
		{"two raises", twice(), leastRunsTwice},
	} {
		start := time.Now()
		r := Kernel().Check(c.scope)
		explain(t, r)
		if r.Combinations != len(c.scope.Words)*len(Kinds()) || r.Runs < c.least {
			t.Errorf("%s: only %v", c.name, r)
		}
		t.Logf("%s: %v, in %v\nlongest: %s", c.name, r, time.Since(start).Round(time.Millisecond), r.LongestRun)
	}
}

// TestContract: package entry's rows and what this package expects of them
// were written apart. Who changes one changes the other, on purpose.
func TestContract(t *testing.T) {
	got := contract
	got.entry, got.exit, got.loop, got.last = nil, nil, nil, nil
	got.paired, got.frame = 0, 0
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
		if down.Frame {
			got.frame |= down.Flag
		}
		if down.Level != (levels&down.Flag != 0) {
			t.Errorf("%v: a level is %v", down.Flag, down.Level)
		}
	}
	if !reflect.DeepEqual(got, contract) {
		t.Errorf("the rows say %+v,\nthe contract %+v", got, contract)
	}
}

// TestRuns looks at some runs as a whole, so that the model itself is seen to
// do what it says.
func TestRuns(t *testing.T) {
	task := NewTask(Kernel())
	for _, c := range []struct {
		plan Plan
		want string
	}{
		{Plan{Kind: Syscall, Choice: NoChoice}, "arrived, call, call returns, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.NeedResched, Choice: NoChoice},
			"arrived, call begins, call, call returns, call over, work NEED_RESCHED, SYSRET"},
		{Plan{Kind: Syscall, Word: entry.SyscallEmu, Choice: 0},
			"arrived, call begins, entry SYSCALL_EMU, skips the call, call over, SYSRET"},
		{Plan{Kind: Sigreturn, Choice: NoChoice}, "arrived, call, call returns, IRET"},
		{Plan{Kind: Exit, Word: entry.SyscallTrace | entry.SyscallAudit, Choice: NoChoice},
			"arrived, call begins, entry SYSCALL_TRACE, entry SYSCALL_AUDIT, call, task leaves, call returns, exit SYSCALL_AUDIT, call over"},
		{Plan{Kind: Interrupt, Choice: NoChoice},
			"arrived, raised RSEQ, raised NEED_RESCHED, work NEED_RESCHED, work RSEQ, IRET"},
		{Plan{Kind: Exception, Choice: 0}, "arrived, raised SIGPENDING, work SIGPENDING, IRET"},
		{Plan{Kind: NMI, Word: entry.Uprobe, Choice: NoChoice}, "arrived, work UPROBE, IRET"},
		{Plan{Kind: Syscall, Choice: NoChoice, Raises: [2]Raise{{entry.SyscallTrace, 0}}},
			"arrived, call, raised SYSCALL_TRACE, call returns, exit SYSCALL_TRACE, call over, SYSRET"},
		{Plan{Kind: Syscall, Choice: NoChoice, Raises: [2]Raise{{entry.UserReturnNotify, 1}}},
			"arrived, call, call returns, raised USER_RETURN_NOTIFY, last USER_RETURN_NOTIFY, SYSRET"},
	} {
		if p := task.Run(c.plan); p != Right || task.Trace().String() != c.want {
			t.Errorf("%v: %v\n got %s\nwant %s", c.plan, p, task.Trace(), c.want)
		}
	}
}

// FuzzRun: any word of duties, any two raises, any outcome.
func FuzzRun(f *testing.F) {
	f.Add(uint8(0), uint32(entry.Uprobe), uint8(1), uint8(3), uint8(2), uint8(9), int8(-1))
	f.Add(uint8(6), uint32(Flags), uint8(14), uint8(0), uint8(0), uint8(30), int8(2))
	task := NewTask(Kernel())
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
