package task

import (
	"math"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/cred"
	"slowpath/mm"
	"slowpath/signal"
)

// attributesSubsystem is what prctl(2) and personality(2) set.
var attributesSubsystem = Subsystem{
	Name: "attributes",
	Fork: func(parent, child *Task, _ *CloneArgs) error {
		child.noNewPrivs.Store(parent.noNewPrivs.Load())
		child.personality.Store(parent.personality.Load())
		child.timerSlack.Store(parent.timerSlack.Load())
		child.defaultSlack.Store(parent.timerSlack.Load())
		return nil
	},
}

// The methods below are attributes of prctl(2) and personality(2). Any goroutine
// may read them; only the task's own goroutine sets them.

// ParentDeathSignal is PR_GET_PDEATHSIG, 0 for none.
func (t *Task) ParentDeathSignal() signal.Signal { return signal.Signal(t.parentDeath.Load()) }

// SetParentDeathSignal is PR_SET_PDEATHSIG.
func (t *Task) SetParentDeathSignal(s signal.Signal) { t.parentDeath.Store(int32(s)) }

// Dumpable is PR_GET_DUMPABLE. It is an attribute of the memory, which threads share.
// Only the task's own goroutine calls it.
func (t *Task) Dumpable() mm.Dumpable { return t.MM.Dumpable() }

// SetDumpable is PR_SET_DUMPABLE. Only the task's own goroutine calls it.
func (t *Task) SetDumpable(d mm.Dumpable) {
	if t.MM != nil {
		t.MM.SetDumpable(d)
	}
}

// NoNewPrivileges is PR_GET_NO_NEW_PRIVS.
func (t *Task) NoNewPrivileges() bool { return t.noNewPrivs.Load() }

// SetNoNewPrivileges is PR_SET_NO_NEW_PRIVS. It cannot be undone.
func (t *Task) SetNoNewPrivileges() { t.noNewPrivs.Store(true) }

// TimerSlack is PR_GET_TIMERSLACK in nanoseconds. Any goroutine may call it.
func (t *Task) TimerSlack() uint64 { return t.timerSlack.Load() }

// SetTimerSlack is PR_SET_TIMERSLACK; 0 restores the default: the value that the parent
// had when it made the task. Any goroutine may call it (/proc/PID/timerslack_ns).
func (t *Task) SetTimerSlack(nanoseconds uint64) {
	if nanoseconds == 0 {
		nanoseconds = t.defaultSlack.Load()
	}
	t.timerSlack.Store(nanoseconds)
}

// slack returns the timer slack of the task's sleeps. Real-time tasks have none.
func (t *Task) slack() int64 {
	if t.Attributes().Policy.AboveFair() {
		return 0
	}
	return int64(min(t.timerSlack.Load(), math.MaxInt64))
}

// PollSlack returns the timer slack of poll(2), select(2) and epoll_wait(2): a thousandth of the
// time until the deadline, five times as much with a positive nice value, at most 100 ms, and at
// least that of the task (Linux: select_estimate_accuracy). Real-time tasks have none.
func (t *Task) PollSlack(deadline int64) int64 {
	a := t.Attributes()
	if deadline <= 0 || a.Policy.AboveFair() {
		return 0
	}
	divisor := int64(1000)
	if a.Nice > 0 {
		divisor = 200
	}
	const most = 100 * clock.Millisecond
	return max(min((deadline-clock.Monotonic())/divisor, most), t.slack())
}

// Personality is personality(2): it sets the persona unless it is 0xffffffff,
// and returns the old one.
func (t *Task) Personality(persona uint32) uint32 {
	if persona == ^uint32(0) {
		return t.personality.Load()
	}
	return t.personality.Swap(persona)
}

// ImpliedProtection returns the protection that a program gets which asks for prot: with
// READ_IMPLIES_EXEC, memory that can be read can be executed (personality(2)). Any goroutine
// may call it.
func (t *Task) ImpliedProtection(prot mm.Prot) mm.Prot {
	return impliedProtection(t.personality.Load(), prot)
}

func impliedProtection(personality uint32, prot mm.Prot) mm.Prot {
	if personality&readImpliesExec != 0 && prot&mm.ProtRead != 0 {
		prot |= mm.ProtExec
	}
	return prot
}

// Subreaper is PR_GET_CHILD_SUBREAPER.
func (g *ThreadGroup) Subreaper() bool {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	return g.subreaper
}

// SetSubreaper is PR_SET_CHILD_SUBREAPER.
func (g *ThreadGroup) SetSubreaper(on bool) {
	g.kernel.mu.Lock()
	defer g.kernel.mu.Unlock()
	g.subreaper = on
}

// ChangeLimit is prlimit64(2) for the process g. It returns the old limit; a nil
// next changes nothing. Errors: EPERM without the permission for g, and those of
// Limits.Change.
func (t *Task) ChangeLimit(g *ThreadGroup, resource int, next *Limit) (Limit, error) {
	if g != t.group && !t.mayChangeLimits(g) {
		return Limit{}, unix.EPERM
	}
	if next == nil {
		return g.Limits.Get(resource), nil
	}
	if resource == unix.RLIMIT_NOFILE && next.Soft <= next.Hard && next.Hard > uint64(t.kernel.config.Settings.NrOpen.Get()) {
		return Limit{}, unix.EPERM
	}
	old, err := g.Limits.Change(resource, *next, Privilege(t.Credentials().Has(cred.SysResource)))
	if err != nil {
		return old, err
	}
	if as := g.addressSpace(); as != nil {
		as.SetLimits(g.memoryLimits(g.Leader().Credentials()))
		as.DecRef()
	}
	return old, nil
}

// mayChangeLimits reports whether all ids of the caller and of g are equal, or the
// caller has CAP_SYS_RESOURCE.
func (t *Task) mayChangeLimits(g *ThreadGroup) bool {
	own, other := t.Credentials(), g.Leader().Credentials()
	same := own.UID == other.EUID && own.UID == other.SUID && own.UID == other.UID &&
		own.GID == other.EGID && own.GID == other.SGID && own.GID == other.GID
	return same || own.Has(cred.SysResource)
}
