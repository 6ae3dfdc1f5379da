package audit

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/netlink"
	"slowpath/task"
)

// Boot is what the kernel's command line says about audit.
type Boot uint8

// The values of Boot.
const (
	// BootDefault: audit is off until a program enables it.
	BootDefault Boot = iota
	// BootOff is audit=0: there is no audit until the next boot.
	BootOff
	// BootOn is audit=1: audit is enabled, and records are kept for a daemon.
	BootOn
)

// Config configures an Audit.
type Config struct {
	Boot Boot
	// Backlog is the initial backlog limit, in records. 0 stands for DefaultBacklog.
	Backlog uint32
	// Panic ends the machine, if records are lost and the failure mode asks for that
	// (auditctl -f 2). nil only logs the message.
	Panic func(message string)
}

// DefaultBacklog is the backlog limit without audit_backlog_limit=, in records.
const DefaultBacklog = 64

// Audit is the audit of one kernel. It is safe for concurrent use.
type Audit struct {
	config Config
	kernel *task.Kernel
	mounts *fs.Mounts
	family *netlink.Family
	slot   task.Slot[state]

	status   status
	rules    atomic.Pointer[ruleSet]
	serial   atomic.Uint32
	sessions atomic.Uint32
	daemon   atomic.Pointer[daemon]
	ever     atomic.Bool // audit was enabled at any time (audit_ever_enabled)
	sender   lastSender
	// admission is that of the tasks that no rule names in particular.
	admission atomic.Pointer[entry.Admission]

	// control is held while a program's messages are handled (audit_cmd_mutex), and
	// handling is the task that holds it.
	control  sync.Mutex
	handling atomic.Pointer[task.Task]

	queue     queue
	terminals sync.Once // registers terminalRead
	signals   signalWatch
	rate      rateLimit
	print     printLimit
}

// daemon is the process that has registered itself to get the records.
type daemon struct {
	group *task.ThreadGroup
	pid   int
	port  uint32
}

// stage is what the rules of the list "task" decide about a task (enum audit_state).
type stage uint8

const (
	// withoutContext: the task is never audited.
	withoutContext stage = iota
	// stageBuild: the rules of the list "exit" decide about each call.
	stageBuild
	// stageRecord: every call is recorded.
	stageRecord
)

// state is the part of a task that this package owns.
type state struct {
	// login and session are the complements of loginuid and sessionid, so that the zero
	// value means unset. Only the task's own goroutine sets them.
	login, session atomic.Uint32
	// input is the process's part, which its threads share.
	input   *terminalInput
	context context
}

// unset is the loginuid and the sessionid of a task that has none.
const unset = ^uint32(0)

// New returns an audit. Register must be called right after task.New.
func New(c Config) *Audit {
	a := &Audit{config: c}
	a.rules.Store(newRuleSet())
	a.status.failure.Store(unix.AUDIT_FAIL_PRINTK)
	a.status.backlogLimit.Store(DefaultBacklog)
	if c.Backlog != 0 {
		a.status.backlogLimit.Store(c.Backlog)
	}
	a.status.backlogWait.Store(defaultWait)
	if c.Boot == BootOn {
		a.status.enabled.Store(enabledOn)
		a.ever.Store(true)
	}
	return a
}

// Register adds audit to a kernel: the part of each task, the netlink family, and the
// functions of the tracepoints. It must be called right after task.New, before the first
// task is made.
func (a *Audit) Register(k *task.Kernel, mounts *fs.Mounts) {
	a.kernel, a.mounts = k, mounts
	a.slot = task.NewSlot[state](k)
	a.computeAdmission()
	k.Register(task.Subsystem{
		Name: "audit", Fork: a.forked, Exec: a.spawned,
		Executed:  func(t *task.Task, _ int) { x := &a.slot.Of(t).context; x.executed = x.phase == inCall },
		Exit:      a.exited,
		Levels:    a.levels,
		Admission: a.admissionFor,
	})
	if a.config.Boot == BootOff {
		k.Logf("audit: disabled (until reboot)")
		return
	}
	k.Tracepoints.CoreSignal.Register(a.coreSignal)
	k.Tracepoints.SeccompLogged.Register(a.seccompLogged)
	a.family = netlink.Register(mounts, netlink.Protocol{
		Number: unix.NETLINK_AUDIT, Groups: unix.AUDIT_NLGRP_MAX,
		Receive: a.receive, Join: a.joins, Left: a.leaves,
	})
	a.logKernel()
}

// logKernel writes the record of the boot.
func (a *Audit) logKernel() {
	r := a.begin(nil, nil, unix.AUDIT_KERNEL)
	r.addf("state=initialized audit_enabled=%d res=1", a.status.enabled.Load())
	a.end(r)
}

// initialized reports whether there is audit at all.
func (a *Audit) initialized() bool { return a.family != nil }

// Handlers returns the handlers of the duty SYSCALL_AUDIT.
func (a *Audit) Handlers() entry.Handlers[*task.Task] {
	return entry.Handlers[*task.Task]{Flag: entry.SyscallAudit, Entry: enter, Watch: watch, Exit: exit}
}

// LoginUID returns the loginuid and the sessionid of a task (/proc/PID/loginuid). Any
// goroutine may call it.
func (a *Audit) LoginUID(t *task.Task) (uid, session uint32) {
	s := a.slot.Of(t)
	return ^s.login.Load(), ^s.session.Load()
}

// levels is Levels of the subsystem.
func (a *Audit) levels(t *task.Task) entry.Flag {
	if a.status.enabled.Load() == enabledOff || contextOf(t) == nil {
		return 0
	}
	return entry.SyscallAudit
}

// recording are the calls that can write a record without a rule: one about the audit
// itself or about the login user. Linux writes the call with it, so they are observed
// whenever audit is enabled.
var recording = []int{
	unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_PWRITE64,
	unix.SYS_BIND, unix.SYS_CONNECT, unix.SYS_SETSOCKOPT,
}

// computeAdmission computes the admission of the tasks without rules of their own.
func (a *Audit) computeAdmission() {
	a.admission.Store(a.rules.Load().common())
}

// admissionFor is Admission of the subsystem.
func (a *Audit) admissionFor(t *task.Task) *entry.Admission {
	if x := contextOf(t); x != nil && x.recordsAll {
		return nil
	}
	rules := a.rules.Load()
	if len(rules.personal)+len(rules.byPID) == 0 {
		return a.admission.Load()
	}
	if t.TID() == 0 {
		return nil
	}
	return rules.admissionOf(a.admission.Load(), uint32(t.ProcessID()))
}

// forked gives a new task its part.
func (a *Audit) forked(parent, child *task.Task, args *task.CloneArgs) error {
	own, from := a.slot.Of(child), a.slot.Of(parent)
	own.login.Store(from.login.Load())
	own.session.Store(from.session.Load())
	own.input = from.input
	if args.Flags&unix.CLONE_THREAD == 0 {
		own.input = new(terminalInput)
		own.input.mode.Store(from.input.mode.Load())
	}
	a.giveContext(child, parent)
	return nil
}

// spawned gives the first task, which has no parent, its part. It has no id yet.
func (a *Audit) spawned(t *task.Task, _ *task.Execution) {
	if t.TID() == 0 {
		a.slot.Of(t).input = new(terminalInput)
		a.giveContext(t, nil)
	}
}

// giveContext gives a new task its context, unless audit was never enabled, or a rule of
// the list "task" says that it is never audited (Linux: audit_alloc).
func (a *Audit) giveContext(t, creator *task.Task) {
	if !a.ever.Load() {
		return
	}
	next, key := a.filterTask(t, creator)
	if next == withoutContext {
		return
	}
	x := &a.slot.Of(t).context
	x.audit, x.task = a, t
	x.recordsAll, x.taskKey = next == stageRecord, key
	x.subject = subject{audit: a, task: t, call: x}
	t.SetNameWatcher(x)
}
