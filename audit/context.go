package audit

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/task"
)

// phase says whether a context is in a call.
type phase uint8

const (
	idle   phase = iota
	inCall       // between the entry and the exit of a call
)

// decision is what the rules say about the current call.
type decision uint8

const (
	undecided decision = iota // not recorded, unless a rule says so at the exit
	recorded
	suppressed
)

// returnState says how a call has ended.
type returnState uint8

const (
	notReturned returnState = iota // the call has ended the task
	succeeded
	failed
)

// context is what audit knows of the current call of a task (Linux: struct
// audit_context). Only the task's own goroutine accesses it.
type context struct {
	audit *Audit
	task  *task.Task

	phase     phase
	dummy     bool // there were no rules at the entry: names are not collected
	decision  decision
	returned  returnState
	executed  bool // execve(2) has succeeded
	nr        int32
	serial    uint32
	arguments amd64.Args
	entered   int64 // clock.Monotonic
	result    int64
	priority  uint64
	key       *string

	names     []nameRecord
	directory fs.Path // the working directory when the first name was collected
	above     []fileID
	targets   []target
	more      []extra
	address   []byte // of a socket
	how       uint64 // the flags of openat2(2)
}

// contextOf returns the context of a task, or nil if it has none.
func (a *Audit) contextOf(t *task.Task) *context {
	s := a.slot.Of(t)
	if stage(s.stage.Load()) == withoutContext {
		return nil
	}
	return &s.context
}

// always is the priority of a call that the list "task" has decided to record: no rule of
// the list "exit" changes that.
const always = ^uint64(0)

// enter is the handler of the duty at the entry of a call (Linux: audit_syscall_entry).
func (a *Audit) enter(t *task.Task, c *entry.Call) entry.Verdict {
	s := a.slot.Of(t)
	x := &s.context
	if a.status.enabled.Load() == enabledOff || stage(s.stage.Load()) == withoutContext {
		return entry.Proceed
	}
	x.dummy = a.rules.Load().counted == 0
	x.decision, x.priority = undecided, 0
	if stage(s.stage.Load()) == stageRecord {
		x.decision, x.priority, x.key = recorded, always, s.key
	} else if !x.dummy && a.isDaemon(t) {
		return entry.Proceed
	}
	x.phase, x.nr, x.arguments = inCall, c.NR, c.Args
	x.entered = clock.Monotonic()
	return entry.Proceed
}

// exit is the handler of the duty at the exit of a call (Linux: audit_syscall_exit, and
// audit_free for a call that ends the task).
func (a *Audit) exit(t *task.Task, _ *entry.Call) {
	x := &a.slot.Of(t).context
	if x.phase == idle {
		return
	}
	if !x.dummy {
		x.finish(t)
	}
	x.clear()
}

// finish asks the rules, and writes the records if they say so.
func (x *context) finish(t *task.Task) {
	x.returned, x.result = notReturned, 0
	if !t.Exiting() {
		x.setResult(int64(t.Frame.RAX))
	}
	if rules := x.audit.rules.Load(); len(rules.syscalls) > 0 && !x.audit.isDaemon(t) {
		x.decide(t, rules)
	}
	if x.decision == recorded {
		x.report()
	}
}

// setResult stores the result of the call. A call that is restarted was interrupted
// (Linux: audit_return_fixup).
func (x *context) setResult(result int64) {
	const (
		maxErrno        = 4095
		restart, noPara = 512, 515 // ERESTARTSYS, ENOIOCTLCMD
		restartBlock    = 516      // ERESTART_RESTARTBLOCK
	)
	x.returned = succeeded
	if result < 0 && result >= -maxErrno {
		x.returned = failed
	}
	if result <= -restart && result >= -restartBlock && result != -noPara {
		result = -int64(unix.EINTR)
	}
	x.result = result
}

// decide asks the rules for system calls, and then those that are asked for each name, so
// that the key is that of the rule with the highest priority.
func (x *context) decide(t *task.Task, rules *ruleSet) {
	s := subject{audit: x.audit, task: t, call: x}
	list := rules.syscalls
	if uint(x.nr) < uint(len(rules.byCall)) {
		list = rules.byCall[x.nr]
	}
	for _, r := range list {
		if r.inode || !r.names(uint32(x.nr)) || !s.matches(r) {
			continue
		}
		x.apply(r)
		break
	}
	if len(rules.inodes) > 0 {
		x.decideByNames(&s, rules.inodes)
	}
}

// decideByNames asks the rules that are asked for each name. The first one that matches
// ends it.
func (x *context) decideByNames(s *subject, rules []*rule) {
	for i := range x.names {
		s.name = &x.names[i]
		for _, r := range rules {
			if r.names(uint32(x.nr)) && s.matches(r) {
				x.apply(r)
				return
			}
		}
	}
}

func (x *context) apply(r *rule) {
	x.decision = suppressed
	if r.action == unix.AUDIT_ALWAYS {
		x.decision = recorded
	}
}

// stamp returns the time and the serial number of the records of the call. A record that
// something else than a rule has caused makes the call be recorded too (Linux:
// auditsc_get_stamp).
func (x *context) stamp() (at int64, serial uint32) {
	if x.serial == 0 {
		x.serial = x.audit.serial.Add(1)
	}
	x.dummy = false
	if x.priority == 0 {
		x.priority, x.decision = 1, recorded
	}
	return x.audit.kernel.Wall().Now() - (clock.Monotonic() - x.entered), x.serial
}

// clear ends the call.
func (x *context) clear() {
	x.phase, x.executed = idle, false
	if x.serial == 0 && len(x.names) == 0 && x.key == nil && x.targets == nil && x.more == nil && x.address == nil {
		return
	}
	x.serial, x.key = 0, nil
	clear(x.names)
	x.names, x.directory = x.names[:0], fs.Path{}
	x.above, x.targets, x.more, x.address, x.how = nil, nil, nil, nil, 0
	const kept = 8
	if cap(x.names) > kept {
		x.names = nil
	}
}

// accesses reports whether the call accesses a file in one of the ways of perm= (Linux:
// audit_match_perm).
func (x *context) accesses(ways uint32) bool {
	if x == nil {
		return false
	}
	in := func(class int, way uint32) bool {
		if ways&way == 0 {
			return false
		}
		for _, nr := range classes[class] {
			if int32(nr) == x.nr {
				return true
			}
		}
		return false
	}
	switch x.nr {
	case unix.SYS_OPEN:
		return ways&accessMode(x.arguments[1]) != 0
	case unix.SYS_OPENAT:
		return ways&accessMode(x.arguments[2]) != 0
	case unix.SYS_OPENAT2:
		return ways&accessMode(x.how) != 0
	case unix.SYS_EXECVE, unix.SYS_EXECVEAT:
		return ways&unix.AUDIT_PERM_EXEC != 0
	}
	return in(unix.AUDIT_CLASS_WRITE, unix.AUDIT_PERM_WRITE) || in(unix.AUDIT_CLASS_READ, unix.AUDIT_PERM_READ) ||
		in(unix.AUDIT_CLASS_CHATTR, unix.AUDIT_PERM_ATTR)
}

// accessMode returns the AUDIT_PERM_ bits of the flags of open(2) (Linux: ACC_MODE).
func accessMode(flags uint64) uint32 {
	return [4]uint32{
		unix.AUDIT_PERM_READ, unix.AUDIT_PERM_WRITE, unix.AUDIT_PERM_READ | unix.AUDIT_PERM_WRITE,
		unix.AUDIT_PERM_READ | unix.AUDIT_PERM_WRITE,
	}[flags&unix.O_ACCMODE]
}
