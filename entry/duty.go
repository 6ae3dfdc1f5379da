package entry

// Stage is a set of points between the entry into the kernel and the return to
// user mode at which duties are served. A duty has one handler for each stage.
type Stage uint8

// The stages, in the order in which a system call passes them.
const (
	// AtSyscallEntry: before the call. The handler may change or skip the call.
	AtSyscallEntry Stage = 1 << iota
	// AtSyscallExit: after the call.
	AtSyscallExit
	// BeforeUser: in the loop that runs before each return to user mode. In this
	// package "the loop" means this one.
	BeforeUser
	// LastStep: after the loop, with interrupts off, on the CPU that then enters
	// user mode. No interrupt or migration can occur in between.
	LastStep
)

// String returns the names of the stages in the set, separated by commas.
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

// Duty is one row of the table without its handlers. The kernel, the exhaustive
// check and the pages that print the table share these rows.
type Duty struct {
	// Flag is the duty's bit in the thread flags word.
	Flag Flag
	// When is the set of stages at which the duty is served.
	When Stage
	// Level means that the bit stays set while its cause exists, for example
	// while tracing is on. The bit of another duty is claimed: its handler runs
	// once each time the duty is raised.
	Level bool
	// Frame means that the handler of the stage BeforeUser needs the complete
	// pt_regs (see Frame.Settle). The other handlers of that stage get no frame
	// and cannot change it. At entry and exit of a call the frame is always
	// complete. Peter Zijlstra proposed these two kinds of slow-path work in
	// January 2014.
	Frame bool
	// Paired means that the duty sees the exit of a call exactly if it saw the
	// entry, even if its bit changes during the call. ptrace is not paired: a
	// tracer that attaches during a call sees its exit (ptrace(2)).
	Paired bool
	// Observes means that the handlers of a paired duty only watch the call: Entry returns
	// Proceed, neither changes the frame, and neither needs RCX and R11 to be those of the
	// program. While the task owes only such duties, its calls stay on the fast path, and
	// Watch is called in place of Entry.
	Observes bool
	// MaySleep means that a handler may sleep or yield the CPU. The thread flags
	// word must be read again after the handler.
	MaySleep bool
	// RaisedBy and Does are text for readers: the events that set the bit, and
	// the purpose of the handler.
	RaisedBy, Does string
}

// Duties returns the rows of the table in order. They are served top to bottom
// at the entry of a call and before user mode, and bottom to top at the exit of
// a call, so the exits nest within the entries. The order is that of Linux 6.1
// (kernel/entry/common.c).
func Duties() []Duty {
	return []Duty{
		{
			Flag: NoHZ, When: AtSyscallEntry | AtSyscallExit, Level: true, Paired: true,
			RaisedBy: "a CPU without a tick (nohz_full=)",
			Does:     "accounts user and kernel time at each call, because no tick samples it",
		},
		{
			Flag: RecordExits, When: AtSyscallEntry, Level: true,
			RaisedBy: "/proc/slowpath/record, or slowpath run --exits",
			Does:     "makes the recorder keep every visit",
		},
		{
			Flag: UserDispatch, When: AtSyscallEntry, Level: true, MaySleep: true,
			RaisedBy: "prctl(PR_SET_SYSCALL_USER_DISPATCH)",
			Does:     "sends SIGSYS for a call from outside of the allowed range, unless the selector allows it",
		},
		{
			Flag: SyscallEmu, When: AtSyscallEntry, Level: true, MaySleep: true,
			RaisedBy: "PTRACE_SYSEMU",
			Does:     "stops for the tracer at the entry, and skips the call",
		},
		{
			Flag: SingleStep, When: AtSyscallExit, Level: true, MaySleep: true,
			RaisedBy: "PTRACE_SINGLESTEP, or TF during a call",
			Does:     "reports the single step over the SYSCALL instruction, which did not trap",
		},
		{
			Flag: SyscallTrace, When: AtSyscallEntry | AtSyscallExit, Level: true, MaySleep: true,
			RaisedBy: "PTRACE_SYSCALL",
			Does:     "stops for the tracer at entry and exit; the tracer may change or skip the call",
		},
		{
			Flag: Seccomp, When: AtSyscallEntry, Level: true, MaySleep: true,
			RaisedBy: "seccomp(2), prctl(PR_SET_SECCOMP)",
			Does:     "runs the filters, after the tracer may have changed the call",
		},
		{
			Flag: SyscallTracepoint, When: AtSyscallEntry | AtSyscallExit, Level: true, Paired: true, Observes: true, MaySleep: true,
			RaisedBy: "tracefs: events/raw_syscalls, events/syscalls",
			Does:     "writes a record into the trace buffer",
		},
		{
			Flag: SyscallAudit, When: AtSyscallEntry | AtSyscallExit, Level: true, Paired: true, Observes: true, MaySleep: true,
			RaisedBy: "audit rules through netlink, or the kernel's command line",
			Does:     "stores the call at the entry, and writes a record at the exit if a rule matches",
		},
		{
			Flag: NeedResched, When: BeforeUser, MaySleep: true,
			RaisedBy: "the tick, at the end of the time slice of a program in user mode",
			Does:     "reschedules",
		},
		{
			Flag: MCENotify, When: BeforeUser, MaySleep: true,
			RaisedBy: "a machine check (#MC) on the task's CPU",
			Does:     "logs the machine check, and sends SIGBUS to the task that owns the memory",
		},
		{
			Flag: Uprobe, When: BeforeUser, Frame: true, MaySleep: true,
			RaisedBy: "a probe's breakpoint, or a fault in the execution out of line",
			Does:     "runs the probe's handlers and executes the original instruction",
		},
		{
			Flag: SigPending, When: BeforeUser, Frame: true, MaySleep: true,
			RaisedBy: "kill(2), faults, timers, job control, exit",
			Does:     "delivers signals, and restarts interrupted calls",
		},
		{
			Flag: NotifyResume, When: BeforeUser, MaySleep: true,
			RaisedBy: "task work that was queued for the task",
			Does:     "runs the task work in the task's own context",
		},
		{
			Flag: RestartableSequence, When: BeforeUser, Frame: true, MaySleep: true,
			RaisedBy: "preemption, migration or a signal, after rseq(2)",
			Does:     "writes the CPU number to user memory, and aborts an interrupted sequence",
		},
		{
			Flag: UserReturnNotify, When: LastStep,
			RaisedBy: "a CPU register that has the value of another task",
			Does:     "loads the task's value, with interrupts off",
		},
	}
}
