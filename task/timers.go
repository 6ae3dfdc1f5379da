package task

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/signal"
	"slowpath/wait"
)

// Timers holds the timers of a process: three interval timers (setitimer(2)) and
// any number of POSIX timers (timer_create(2)). It is safe for concurrent use. An
// expiry sends a signal and does not sleep.
type Timers struct {
	group *ThreadGroup

	mu    sync.Mutex
	real  realTimer
	cpu   [2]cpuTimer // ITIMER_VIRTUAL, ITIMER_PROF
	posix map[int32]*posixTimer
	next  int32
	ended bool
}

// timersSubsystem is the timers of the process. execve(2) deletes the POSIX
// timers and keeps the interval timers.
var timersSubsystem = Subsystem{
	Name: "timers",
	Exec: func(t *Task, _ *Execution) { t.group.Timers.exec() },
	Exit: func(t *Task) {
		if t.last {
			t.group.Timers.stop()
		}
	},
}

// IntervalValue is a struct itimerval or itimerspec in nanoseconds: the time until
// the next expiry, 0 for none, and the interval of the expiries after it.
type IntervalValue struct{ Value, Interval int64 }

// realTimer is ITIMER_REAL, which alarm(2) sets too.
type realTimer struct {
	deadline, interval int64
	timer              *wait.Alarm
	generation         uint64 // an expiry of an older setting does nothing
	// expired is set from an expiry until the process takes its SIGALRM. The timer
	// does not run then, so a program that blocks or ignores the signal causes no
	// work (Linux: it_real_fn, dequeue_signal).
	expired bool
}

// cpuTimer counts CPU time of the process. Its deadline is a value of consumed.
type cpuTimer struct{ deadline, interval int64 }

// Get is getitimer(2). which is ITIMER_REAL, ITIMER_VIRTUAL or ITIMER_PROF.
func (t *Timers) Get(which int) IntervalValue {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.get(which)
}

func (t *Timers) get(which int) IntervalValue {
	if which == unix.ITIMER_REAL {
		if t.real.expired {
			return IntervalValue{0, t.real.interval}
		}
		return IntervalValue{remaining(t.real.deadline, clock.Monotonic()), t.real.interval}
	}
	c := &t.cpu[which-unix.ITIMER_VIRTUAL]
	return IntervalValue{remaining(c.deadline, t.consumed(which)), c.interval}
}

// remaining returns the time until deadline: 0 if the timer is off, else at least
// 1.
func remaining(deadline, now int64) int64 {
	if deadline == 0 {
		return 0
	}
	return max(deadline-now, 1)
}

// consumed is the CPU time that ITIMER_VIRTUAL (user only) or ITIMER_PROF
// counts.
func (t *Timers) consumed(which int) int64 {
	usage := t.group.Usage()
	if which == unix.ITIMER_VIRTUAL {
		return usage.User
	}
	return usage.User + usage.System
}

// Set is setitimer(2): it starts or stops a timer and returns the old setting.
func (t *Timers) Set(which int, next IntervalValue) IntervalValue {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.get(which)
	if which != unix.ITIMER_REAL {
		t.cpu[which-unix.ITIMER_VIRTUAL] = cpuTimer{deadlineAfter(t.consumed(which), next.Value), next.Interval}
		return old
	}
	t.real.generation++
	if t.real.timer != nil {
		t.real.timer.Stop()
		t.real.timer = nil
	}
	t.real.deadline, t.real.interval = deadlineAfter(clock.Monotonic(), next.Value), next.Interval
	t.real.expired = false
	t.armReal()
	return old
}

// deadlineAfter is now+value without overflow, and 0 for no value.
func deadlineAfter(now, value int64) int64 {
	const farFuture = 1<<63 - 1
	switch {
	case value <= 0:
		return 0
	case value > farFuture-now:
		return farFuture
	}
	return now + value
}

// armReal starts the clock of ITIMER_REAL.
func (t *Timers) armReal() {
	if t.real.deadline == 0 || t.ended {
		return
	}
	generation := t.real.generation
	t.real.timer = t.group.kernel.afterFunc(time.Duration(t.real.deadline-clock.Monotonic()), func() { t.expireReal(generation) })
}

// expireReal is called when the Go timer of ITIMER_REAL fires.
func (t *Timers) expireReal(generation uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if generation == t.real.generation {
		t.expireRealIfDue(clock.Monotonic())
	}
}

// expireRealIfDue sends the signal of ITIMER_REAL. restartReal starts a periodic
// timer again. The lock is held.
func (t *Timers) expireRealIfDue(now int64) {
	if t.real.deadline == 0 || t.real.expired || now < t.real.deadline || t.ended {
		return
	}
	t.real.generation++
	t.real.timer.Stop()
	t.real.expired = true
	t.group.Signal(signal.KernelInfo(unix.SIGALRM))
}

// restartReal starts a periodic ITIMER_REAL again after the process has taken its
// SIGALRM. A SIGALRM that was sent to a single thread does not count.
func (t *Timers) restartReal() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.group.claimAlarm() || !t.real.expired {
		return
	}
	t.real.expired = false
	t.real.deadline = advance(t.real.deadline, t.real.interval, clock.Monotonic())
	t.armReal()
}

// claimAlarm reports whether a SIGALRM of the process was dequeued since the last
// call.
func (g *ThreadGroup) claimAlarm() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := g.alarmTaken
	g.alarmTaken = false
	return taken
}

// expireDue expires every timer whose deadline has passed. Each timer has a Go timer
// that does so, but a sleep with the same deadline may end before that fires: a
// program must get the signal of an expiry before it sees a later time.
func (t *Timers) expireDue() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireRealIfDue(clock.Monotonic())
	for _, p := range t.posix {
		if !p.clock.cpu && p.notify != SIGEV_NONE {
			t.expirePosixIfDue(p)
		}
	}
}

// advance returns the first deadline after now, 0 without an interval.
func advance(deadline, interval, now int64) int64 {
	if interval <= 0 {
		return 0
	}
	if now < deadline {
		return deadline + interval
	}
	return deadline + ((now-deadline)/interval+1)*interval
}

// CheckCPU expires the timers and the limit that count CPU time. ChargeTicks calls
// it; it does not sleep.
func (g *ThreadGroup) CheckCPU() {
	t := &g.Timers
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, s := range [...]signal.Signal{unix.SIGVTALRM, unix.SIGPROF} {
		c := &t.cpu[i]
		if c.deadline == 0 {
			continue
		}
		if used := t.consumed(unix.ITIMER_VIRTUAL + i); used >= c.deadline {
			c.deadline = advance(c.deadline, c.interval, used)
			g.Signal(signal.KernelInfo(s))
		}
	}
	for _, p := range t.posix {
		if p.clock.cpu && p.deadline != 0 && p.now(g) >= p.deadline {
			t.expirePosix(p)
		}
	}
	g.checkCPULimit()
}

// watchesCPUTime reports whether CheckCPU has anything to check.
func (g *ThreadGroup) watchesCPUTime() bool {
	if g.Limits.Get(unix.RLIMIT_CPU).Soft != Infinity {
		return true
	}
	t := &g.Timers
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.posix {
		if p.clock.cpu && p.deadline != 0 {
			return true
		}
	}
	return t.cpu[0].deadline != 0 || t.cpu[1].deadline != 0
}

// checkCPULimit is RLIMIT_CPU: SIGXCPU each second beyond the soft limit, and
// SIGKILL at the hard one.
func (g *ThreadGroup) checkCPULimit() {
	limit := g.Limits.Get(unix.RLIMIT_CPU)
	if limit.Soft == Infinity {
		return
	}
	usage := g.Usage()
	seconds := uint64(usage.User+usage.System) / uint64(clock.Second)
	if g.signalLimit(limit, seconds) {
		g.Limits.Change(unix.RLIMIT_CPU, Limit{min(seconds+1, limit.Hard), limit.Hard}, Unprivileged)
	}
}

// signalLimit sends SIGKILL if so much time exceeds the hard limit, or SIGXCPU if it exceeds the
// soft one. It reports whether the soft limit must rise (Linux: check_rlimit).
func (g *ThreadGroup) signalLimit(limit Limit, used uint64) (raise bool) {
	switch {
	case used >= limit.Hard:
		g.Signal(signal.KernelInfo(unix.SIGKILL))
	case used >= limit.Soft:
		g.Signal(signal.KernelInfo(unix.SIGXCPU))
		return true
	}
	return false
}

// checkRealtime is RLIMIT_RTTIME, for a thread that runs under a real-time policy without a
// sleep: SIGXCPU each second beyond the soft limit, and SIGKILL at the hard one. It also sends the
// signal of a thread that has overrun its runtime (SCHED_FLAG_DL_OVERRUN).
func (t *Task) checkRealtime() {
	g, e := t.group, t.Entity()
	if e.TakeOverrun() {
		g.Signal(signal.KernelInfo(unix.SIGXCPU))
	}
	if g.Limits.Soft(unix.RLIMIT_RTTIME) == Infinity {
		return
	}
	limit, used := g.Limits.Get(unix.RLIMIT_RTTIME), uint64(e.Burst()/clock.Microsecond)
	if used == 0 {
		return // the policy is another one
	}
	if g.signalLimit(limit, used) {
		g.Limits.postpone(unix.RLIMIT_RTTIME, limit, uint64(clock.Second/clock.Microsecond))
	}
}

// stop stops all timers, because the process exits.
func (t *Timers) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.real.timer != nil {
		t.real.timer.Stop()
	}
	for _, p := range t.posix {
		t.release(p)
	}
	t.posix = nil
}

// exec deletes the POSIX timers (execve(2)). Interval timers go on.
func (t *Timers) exec() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.posix {
		t.release(p)
	}
	t.posix = nil
}
