package entry

// Stage is a point on the way through the kernel at which duties are served. A
// duty has a handler for each stage that it names.
type Stage uint8

// The stages, in the order in which a system call passes them.
const (
	// AtSyscallEntry: before the call, which the handler may change or skip.
	AtSyscallEntry Stage = 1 << iota
	// AtSyscallExit: after the call.
	AtSyscallExit
	// BeforeUser: in the loop before every return to user mode.
	BeforeUser
	// LastStep: after that loop, with interrupts off, on the CPU that then
	// enters user mode; nothing can come between.
	LastStep
)

// String names the stages of the set.
func (s Stage) String() string {
	names := [...]string{"entry", "exit", "before user", "last step"}
	text := ""
	for i, name := range names {
		if s>>i&1 == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += name
	}
	return text
}

// Duty is one row of the table without its handlers: what is true of the
// duty whoever serves it. The kernel, the exhaustive check and the pages that
// print the table share these rows.
type Duty struct {
	// Flag is the duty's one bit.
	Flag Flag
	// When says at which stages it is served.
	When Stage
	// Level duties stay set while their cause lasts (tracing is on). Others
	// are claimed: one run of the handler for each time they are raised.
	Level bool
	// Frame says that the handler before user mode needs the complete
	// register frame; others cannot touch it. (At entry and exit of a call
	// every handler has it.) That is Peter Zijlstra's wish of January 2014
	// for two slow-path calls.
	Frame bool
	// Paired duties see the exit of exactly those calls of which they saw the
	// entry, whoever switches them on or off in between. ptrace is none: a
	// tracer that attaches during a call sees its exit (ptrace(2)).
	Paired bool
	// MaySleep says that a handler may give the CPU away: what was read of
	// the work word before it is not true after it.
	MaySleep bool
	// RaisedBy and Does are for readers: who sets the bit, what its handler
	// is for.
	RaisedBy, Does string
}

// Duties returns the table's rows in their order: top to bottom at the entry
// of a call and before user mode, bottom to top at its exit, so that entry and
// exit nest. The order is Linux 6.1's (kernel/entry/common.c).
func Duties() []Duty {
	return []Duty{
		{
			Flag: NoHZ, When: AtSyscallEntry | AtSyscallExit, Level: true, Paired: true,
			RaisedBy: "a CPU without tick (nohz_full=)",
			Does:     "splits user from kernel time at each call, where no tick samples it",
		},
		{
			Flag: RecordExits, When: AtSyscallEntry, Level: true,
			RaisedBy: "/proc/slowpath/record, or slowpath run --exits",
			Does:     "has the recorder keep the visit, whatever else happens in it",
		},
		{
			Flag: SyscallEmu, When: AtSyscallEntry, Level: true, MaySleep: true,
			RaisedBy: "PTRACE_SYSEMU",
			Does:     "stops for the tracer at the entry and skips the call",
		},
		{
			Flag: SingleStep, When: AtSyscallExit, Level: true, MaySleep: true,
			RaisedBy: "PTRACE_SINGLESTEP, or TF during a call",
			Does:     "reports the step over the SYSCALL instruction, which traps no more",
		},
		{
			Flag: SyscallTrace, When: AtSyscallEntry | AtSyscallExit, Level: true, MaySleep: true,
			RaisedBy: "PTRACE_SYSCALL",
			Does:     "stops for the tracer at entry and exit; it may change or skip the call",
		},
		{
			Flag: Seccomp, When: AtSyscallEntry, Level: true, MaySleep: true,
			RaisedBy: "seccomp(2), prctl(PR_SET_SECCOMP)",
			Does:     "runs the filters on the number as the tracer left it",
		},
		{
			Flag: SyscallTracepoint, When: AtSyscallEntry | AtSyscallExit, Level: true, Paired: true,
			RaisedBy: "tracefs: events/raw_syscalls, events/syscalls",
			Does:     "writes a record into the trace buffer",
		},
		{
			Flag: SyscallAudit, When: AtSyscallEntry | AtSyscallExit, Level: true, Paired: true,
			RaisedBy: "audit rules through netlink, or the kernel's command line",
			Does:     "notes the call, and writes a record if a rule matches",
		},
		{
			Flag: NeedResched, When: BeforeUser, MaySleep: true,
			RaisedBy: "the tick, when it ends the time slice of a program in user mode",
			Does:     "gives the CPU to others",
		},
		{
			Flag: MCENotify, When: BeforeUser, MaySleep: true,
			RaisedBy: "a machine check (#MC) on the task's CPU",
			Does:     "logs it, and sends SIGBUS to the task whose memory it was",
		},
		{
			Flag: Uprobe, When: BeforeUser, Frame: true, MaySleep: true,
			RaisedBy: "a probe's breakpoint, or the end of its single step",
			Does:     "runs the probe's handlers and steps the original instruction out of line",
		},
		{
			Flag: SigPending, When: BeforeUser, Frame: true, MaySleep: true,
			RaisedBy: "kill(2), faults, timers, job control, exit",
			Does:     "delivers signals, and restarts interrupted calls",
		},
		{
			Flag: NotifyResume, When: BeforeUser, MaySleep: true,
			RaisedBy: "work that others, or the task itself, have queued for it",
			Does:     "runs the queue in the task's own context",
		},
		{
			Flag: RestartableSequence, When: BeforeUser, Frame: true, MaySleep: true,
			RaisedBy: "preemption, migration or a signal, after rseq(2)",
			Does:     "writes the CPU's number to the user, and aborts a sequence that was left",
		},
		{
			Flag: UserReturnNotify, When: LastStep,
			RaisedBy: "a CPU register that is still another task's",
			Does:     "loads the task's own value, with interrupts off",
		},
	}
}
