package audit

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
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
// audit_context). Only the task's own goroutine accesses it, except for recordsAll.
type context struct {
	audit   *Audit
	task    *task.Task
	subject subject // of the rules for the current call

	// recordsAll and taskKey are set by a rule of the list "task". They are constant once
	// other tasks can find the task.
	recordsAll bool
	taskKey    *string

	phase    phase
	dummy    bool // there were no rules at the entry: names are not collected
	decision decision
	returned returnState
	executed bool        // execve(2) has succeeded
	touched  bool        // a field below has something that clear must remove
	call     *entry.Call // valid in the call, also after execve(2)
	entered  uint64      // amd64.TSC
	result   int64
	priority uint64
	key      *string

	// at and serial are the time and the number of the records of the call, once it has one.
	at     int64
	serial uint32

	names     []nameRecord
	directory fs.Path // the working directory when the first name was collected
	above     []fileID
	targets   []target
	more      []extra
	address   []byte // of a socket
	how       uint64 // the flags of openat2(2)
}

// always is the priority of a call that the list "task" has decided to record: no rule of
// the list "exit" changes that.
const always = ^uint64(0)

// contextOf returns the context of a task, or nil if it has none. The handlers of every call
// use it, so it reads a field of the task, and not the slot.
func contextOf(t *task.Task) *context {
	x, _ := t.NameWatcher().(*context)
	return x
}

// enter is the handler of the duty at the entry of a call (Linux: audit_syscall_entry).
func enter(t *task.Task, c *entry.Call) entry.Verdict {
	if x := contextOf(t); x != nil && x.isAsked(t) {
		x.phase, x.call, x.entered = inCall, c, amd64.TSC()
	}
	return entry.Proceed
}

// watch is enter on the fast path. Its instructions are counted.
func watch(t *task.Task, f *amd64.Frame) (needsExit bool) {
	x, _ := t.NameWatcher().(*context)
	if x == nil {
		return false
	}
	rules := x.audit.rules.Load()
	if early := rules.early[f.OrigRAX%entry.Calls]; early != nil && !x.recordsAll && isRejectedEarly(early, t) {
		return false
	}
	if plain := x.phase == idle && !x.recordsAll && rules.counted > 0 && x.audit.isOnWithoutDaemon(); plain {
		x.dummy = false // isAsked, with fewer instructions
	} else if !x.isAsked(t) {
		return false
	}
	x.entered = amd64.TSC() // the clock would take longer, and is needed only for a record
	x.phase, x.call = inCall, t.LoadCall()
	return true
}

// isRejectedEarly reports whether none of the rules for a call matches, because of fields that do
// not change during the call.
func isRejectedEarly(rules []*rule, t *task.Task) bool {
	for _, r := range rules {
		got := uint32(0)
		if r.quick.kind == unix.AUDIT_UID {
			got = t.Credentials().UID
		} else {
			got = uint32(t.ProcessID())
		}
		if got == r.quick.value {
			return false
		}
	}
	return true
}

// isOnWithoutDaemon reports whether audit is on and no daemon has registered itself, whose calls
// would not be recorded.
func (a *Audit) isOnWithoutDaemon() bool {
	return a.status.enabled.Load() != enabledOff && a.daemon.Load() == nil
}

// isAsked reports whether the call that begins may be recorded.
func (x *context) isAsked(t *task.Task) bool {
	if x.phase != idle {
		panic(fmt.Sprintf("audit: the exit of system call %d was not seen", x.call.NR))
	}
	a := x.audit
	x.dummy = a.rules.Load().counted == 0
	switch {
	case a.status.enabled.Load() == enabledOff:
		return false
	case x.recordsAll:
		x.touched, x.decision, x.priority, x.key = true, recorded, always, x.taskKey
	case !x.dummy && a.isDaemon(t):
		return false
	}
	return true
}

// exit is the handler of the duty at the exit of a call (Linux: audit_syscall_exit, and
// audit_free for a call that ends the task). Its instructions are counted.
func exit(t *task.Task, _ *entry.Call) {
	x, _ := t.NameWatcher().(*context)
	if x == nil || x.phase == idle {
		return
	}
	if rules := x.audit.rules.Load(); !x.touched && !t.Exiting() && rules.inodes == nil &&
		uint(x.call.NR) < entry.Calls && isRejected(rules.byCall[x.call.NR], t) {
		x.phase, x.executed = idle, false
		return
	}
	x.finish(t)
}

// isRejected reports whether nothing has to be done at the exit of the call, because each
// rule for it has a field that can be compared quickly and does not match. It is what most
// calls need, so it does little else.
func isRejected(rules []*rule, t *task.Task) bool {
	result := t.Frame.RAX
	if isRestart(int64(result)) {
		return false
	}
	for _, r := range rules {
		got := uint32(result)
		switch r.quick.kind {
		case unix.AUDIT_EXIT:
		case unix.AUDIT_UID:
			got = t.Credentials().UID
		case unix.AUDIT_PID:
			got = uint32(t.ProcessID())
		default:
			return false
		}
		if got == r.quick.value {
			return false
		}
	}
	return true
}

// isRestart reports whether a result makes the call be restarted or fail with EINTR.
func isRestart(result int64) bool {
	const (
		restart, noCommand = 512, 515 // ERESTARTSYS, ENOIOCTLCMD
		restartBlock       = 516      // ERESTART_RESTARTBLOCK
	)
	return result <= -restart && result >= -restartBlock && result != -noCommand
}

// finish asks the rules, writes the records if they say so, and ends the call.
func (x *context) finish(t *task.Task) {
	if !x.dummy {
		x.judge(t)
	}
	x.clear()
}

func (x *context) judge(t *task.Task) {
	x.returned, x.result = notReturned, 0
	if !t.Exiting() {
		x.setResult(int64(t.Frame.RAX))
	}
	if rules := x.audit.rules.Load(); len(rules.syscalls) > 0 && !x.audit.isDaemon(t) {
		x.decide(rules)
	}
	if x.decision == recorded {
		x.report()
	}
}

// setResult stores the result of the call. A call that is restarted was interrupted
// (Linux: audit_return_fixup).
func (x *context) setResult(result int64) {
	const maxErrno = 4095
	x.returned = succeeded
	if result < 0 && result >= -maxErrno {
		x.returned = failed
	}
	if isRestart(result) {
		result = -int64(unix.EINTR)
	}
	x.result = result
}

// decide asks the rules for system calls, and then those that are asked for each name, so
// that the key is that of the rule with the highest priority.
func (x *context) decide(rules *ruleSet) {
	s := &x.subject
	s.name = nil
	for _, r := range rules.forCall(x.call.NR) {
		if s.matches(r) {
			x.apply(r)
			break
		}
	}
	if len(rules.inodes) > 0 {
		x.decideByNames(s, rules.inodes)
	}
}

// forCall returns the rules that are asked for a call as a whole.
func (s *ruleSet) forCall(nr int32) []*rule {
	if uint(nr) < uint(len(s.byCall)) {
		return s.byCall[nr]
	}
	return slices.DeleteFunc(slices.Clone(s.syscalls), func(r *rule) bool { return r.inode || !r.names(uint32(nr)) })
}

// decideByNames asks the rules that are asked for each name. The first one that matches
// ends it.
func (x *context) decideByNames(s *subject, rules []*rule) {
	for i := range x.names {
		s.name = &x.names[i]
		for _, r := range rules {
			if r.names(uint32(x.call.NR)) && s.matches(r) {
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
		x.touched, x.serial = true, x.audit.serial.Add(1)
		x.at = x.audit.kernel.Wall().Now() - int64(elapsed(x.entered))
	}
	x.dummy = false
	if x.priority == 0 {
		x.priority, x.decision = 1, recorded
	}
	return x.at, x.serial
}

// elapsed returns the nanoseconds since the TSC had a value, or 0 if its frequency is not
// known.
func elapsed(since uint64) uint64 {
	_, scale, _ := amd64.ClockParameters()
	hi, lo := bits.Mul64(amd64.TSC()-since, scale)
	return hi<<32 | lo>>32
}

// clear ends the call.
func (x *context) clear() {
	x.phase, x.executed, x.key, x.decision, x.priority = idle, false, nil, undecided, 0
	if !x.touched {
		return
	}
	x.touched, x.serial, x.how = false, 0, 0
	clear(x.names)
	x.names, x.directory = x.names[:0], fs.Path{}
	x.above, x.targets, x.more, x.address = nil, nil, nil, nil
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
	accesses := &accesses64
	if x.call.ABI == entry.I386 {
		accesses = &accesses32
	}
	nr := uint32(x.call.NR)
	if by := accesses.special[nr]; by != nil {
		return ways&by(x) != 0
	}
	for way, class := range accesses.classes {
		if ways&way != 0 && slices.Contains(classes[class], nr) {
			return true
		}
	}
	return false
}

// accesses are the calls of an ABI that access files.
type accesses struct {
	// special has the calls whose arguments say in which ways they access a file.
	special map[uint32]func(x *context) (ways uint32)
	// classes has the class of the other calls, by the way in which they do.
	classes map[uint32]int
}

// accesses64 and accesses32 have the calls of each ABI (Linux: audit_classify_syscall,
// ia32_classify_syscall).
var (
	accesses64 = accesses{
		special: map[uint32]func(*context) uint32{
			unix.SYS_OPEN: byFlags(1), unix.SYS_OPENAT: byFlags(2), unix.SYS_OPENAT2: byHow,
			unix.SYS_EXECVE: byExec, unix.SYS_EXECVEAT: byExec,
		},
		classes: map[uint32]int{
			unix.AUDIT_PERM_WRITE: unix.AUDIT_CLASS_WRITE, unix.AUDIT_PERM_READ: unix.AUDIT_CLASS_READ, unix.AUDIT_PERM_ATTR: unix.AUDIT_CLASS_CHATTR,
		},
	}
	accesses32 = accesses{
		special: map[uint32]func(*context) uint32{
			open32: byFlags(1), openat32: byFlags(2), openatHow32: byHow, execve32: byExec, execveat32: byExec, socketcall32: bySocketCall,
		},
		classes: map[uint32]int{
			unix.AUDIT_PERM_WRITE: unix.AUDIT_CLASS_WRITE_32, unix.AUDIT_PERM_READ: unix.AUDIT_CLASS_READ_32, unix.AUDIT_PERM_ATTR: unix.AUDIT_CLASS_CHATTR_32,
		},
	}
)

// byFlags returns the ways of a call whose argument i has the flags of open(2).
func byFlags(i int) func(*context) uint32 {
	return func(x *context) uint32 { return accessMode(x.call.Args[i]) }
}

func byHow(x *context) uint32 { return accessMode(x.how) }

func byExec(*context) uint32 { return unix.AUDIT_PERM_EXEC }

// bySocketCall is for socketcall(2), whose call SYS_BIND creates a file.
func bySocketCall(x *context) uint32 {
	const bind = 2
	if x.call.Args[0] == bind {
		return unix.AUDIT_PERM_WRITE
	}
	return 0
}

// accessMode returns the AUDIT_PERM_ bits of the flags of open(2) (Linux: ACC_MODE).
func accessMode(flags uint64) uint32 {
	return [4]uint32{
		unix.AUDIT_PERM_READ, unix.AUDIT_PERM_WRITE, unix.AUDIT_PERM_READ | unix.AUDIT_PERM_WRITE,
		unix.AUDIT_PERM_READ | unix.AUDIT_PERM_WRITE,
	}[flags&unix.O_ACCMODE]
}
