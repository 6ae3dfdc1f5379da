package task

import (
	"math"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/signal"
	"slowpath/wait"
)

// The values of sigev_notify (sigevent(7)).
const (
	SIGEV_SIGNAL    = 0
	SIGEV_NONE      = 1
	SIGEV_THREAD    = 2 // the C library's; for the kernel it is SIGEV_SIGNAL
	SIGEV_THREAD_ID = 4
)

// TimerRequest holds the arguments of timer_create(2).
type TimerRequest struct {
	Clock  int32
	Notify int32 // SIGEV_
	Signal signal.Signal
	Thread int    // with SIGEV_THREAD_ID
	Value  uint64 // sigev_value
	// DefaultValue is set if the program passed no sigevent. The timer's id then
	// replaces Value.
	DefaultValue bool
}

// posixTimer is a timer of timer_create(2). The lock of Timers guards it.
type posixTimer struct {
	id       int32
	clock    timerClock
	notify   int32
	signal   signal.Signal
	value    uint64
	target   *Task // the thread to signal, or nil for the process
	deadline int64 // nanoseconds of the timer's clock, 0 if the timer is stopped
	interval int64 // nanoseconds, 0 for a timer that expires once
	// onWall is set if the deadline is a time of the wall clock. Setting the
	// clock changes when such a timer expires. A relative timer is not affected
	// (timer_settime(2)).
	onWall bool
	// queued is set while the signal of an expiry is pending. Expiries meanwhile
	// send no signal and count as overrun.
	queued      bool
	overrun     int64               // expiries since the pending signal was sent
	lastOverrun int32               // the overrun of the signal that was delivered last
	timer       *wait.Alarm         // the Go timer, nil if it is not running
	generation  uint64              // an expiry of an older generation does nothing
	place       *signal.Reservation // the place of the signal in a queue
}

// timerClock is a clock that timers can use. The zero value is the monotonic
// clock.
type timerClock struct {
	wall   bool
	tai    bool  // of it CLOCK_TAI
	cpu    bool  // CPU time, of the process if thread is nil
	user   bool  // of it only the time in user mode
	thread *Task // the thread whose CPU time counts
}

// timerClockOf returns the clock with the given number (clock_gettime(2)). Errors:
// EINVAL if it does not exist, EOPNOTSUPP if it supports no timers.
func (t *Task) timerClockOf(number int32) (timerClock, error) {
	switch number {
	case unix.CLOCK_REALTIME:
		return timerClock{wall: true}, nil
	case unix.CLOCK_TAI:
		return timerClock{wall: true, tai: true}, nil
	case unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME:
		return timerClock{}, nil
	case unix.CLOCK_PROCESS_CPUTIME_ID:
		return timerClock{cpu: true}, nil
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return timerClock{cpu: true, thread: t}, nil
	case unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_MONOTONIC_COARSE,
		unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
		return timerClock{}, unix.EOPNOTSUPP
	}
	if number < 0 {
		return t.cpuTimerClock(CPUClock(number))
	}
	return timerClock{}, unix.EINVAL
}

// CPUClock is the number of a clock of a process's or thread's CPU time
// (clock_getcpuclockid(3), pthread_getcpuclockid(3)): the complement of the id above a
// bit for a thread and two bits for the kind.
type CPUClock int32

// ID returns the id of the process or thread, 0 for the caller.
func (c CPUClock) ID() int { return int(^(int32(c) >> 3)) }

// PerThread reports whether it is the clock of a thread.
func (c CPUClock) PerThread() bool { return c&4 != 0 }

// The kinds of CPUClock.
const (
	CPUClockProfile  = 0 // user and system time
	CPUClockUser     = 1
	CPUClockSchedule = 2 // the time of the scheduler, here the same as CPUClockProfile
)

// Kind returns CPUClockProfile, CPUClockUser, CPUClockSchedule, or 3, which is no kind.
func (c CPUClock) Kind() int { return int(c & 3) }

// cpuTimerClock returns a clock of the caller's process or one of its threads. Errors:
// EINVAL for a clock that does not exist, EOPNOTSUPP for one of another process.
func (t *Task) cpuTimerClock(c CPUClock) (timerClock, error) {
	target := t
	if id := c.ID(); id != 0 {
		target = t.kernel.TaskByID(id)
	}
	switch {
	case target == nil || c.Kind() > CPUClockSchedule:
		return timerClock{}, unix.EINVAL
	case target.group != t.group:
		return timerClock{}, unix.EOPNOTSUPP
	}
	clock := timerClock{cpu: true, user: c.Kind() == CPUClockUser}
	if c.PerThread() {
		clock.thread = target
	}
	return clock, nil
}

// now returns the time of the timer's clock in nanoseconds.
func (p *posixTimer) now(g *ThreadGroup) int64 {
	switch {
	case p.clock.cpu:
		usage := g.Usage()
		if p.clock.thread != nil {
			usage = p.clock.thread.Usage()
		}
		if p.clock.user {
			return usage.User
		}
		return usage.User + usage.System
	case p.onWall && p.clock.tai:
		return g.kernel.config.Wall.TAI()
	case p.onWall:
		return g.kernel.config.Wall.Now()
	}
	return clock.Monotonic()
}

// CreateTimer is timer_create(2). It returns the timer's id. Errors: EINVAL for a
// bad clock, signal or thread, EOPNOTSUPP for a clock without timers, EAGAIN if
// RLIMIT_SIGPENDING is exceeded.
func (t *Task) CreateTimer(r TimerRequest) (int32, error) {
	c, err := t.timerClockOf(r.Clock)
	if err != nil {
		return 0, err
	}
	p := &posixTimer{clock: c, notify: r.Notify, signal: r.Signal, value: r.Value}
	if p.target, err = t.timerTarget(&r); err != nil {
		return 0, err
	}
	g := t.group
	if p.place = t.User().Signals.Reserve(g.Limits.Soft(unix.RLIMIT_SIGPENDING)); p.place == nil {
		return 0, unix.EAGAIN
	}
	timers := &g.Timers
	timers.mu.Lock()
	defer timers.mu.Unlock()
	p.id = timers.freeID()
	if r.DefaultValue {
		p.value = uint64(p.id)
	}
	if timers.posix == nil {
		timers.posix = make(map[int32]*posixTimer)
	}
	timers.posix[p.id] = p
	return p.id, nil
}

// timerTarget returns the thread that the timer signals, or nil for the process.
// EINVAL for a bad notification, signal or thread.
func (t *Task) timerTarget(r *TimerRequest) (*Task, error) {
	switch r.Notify {
	case SIGEV_NONE:
		return nil, nil
	case SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_SIGNAL | SIGEV_THREAD_ID:
	default:
		return nil, unix.EINVAL
	}
	if !signal.Valid(r.Signal) {
		return nil, unix.EINVAL
	}
	if r.Notify&SIGEV_THREAD_ID == 0 {
		return nil, nil
	}
	target := t.kernel.TaskByID(r.Thread)
	if target == nil || target.group != t.group {
		return nil, unix.EINVAL
	}
	return target, nil
}

// freeID returns the next id that no timer has. The lock is held.
func (t *Timers) freeID() int32 {
	for {
		id := t.next
		t.next = (t.next + 1) & math.MaxInt32
		if t.posix[id] == nil {
			return id
		}
	}
}

// find returns the timer with that id, or EINVAL. The lock is held.
func (t *Timers) find(id int32) (*posixTimer, error) {
	if p := t.posix[id]; p != nil {
		return p, nil
	}
	return nil, unix.EINVAL
}

// DeleteTimer is timer_delete(2). EINVAL if there is no such timer.
func (t *Timers) DeleteTimer(id int32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.find(id)
	if err != nil {
		return err
	}
	t.release(p)
	delete(t.posix, id)
	return nil
}

// release stops a timer that is deleted and gives up its place in the signal queues.
// The lock is held.
func (t *Timers) release(p *posixTimer) {
	p.disarm()
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	p.place.Release()
}

// GetTimer is timer_gettime(2): it returns the remaining time and the interval, in
// nanoseconds. EINVAL if there is no such timer.
func (t *Timers) GetTimer(id int32) (IntervalValue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.find(id)
	if err != nil {
		return IntervalValue{}, err
	}
	return t.value(p), nil
}

// value returns the remaining time and the interval. For a periodic timer whose
// signal is pending it counts to the next expiry. The lock is held.
func (t *Timers) value(p *posixTimer) IntervalValue {
	now, deadline := p.now(t.group), p.deadline
	if deadline != 0 && deadline <= now && p.interval > 0 {
		deadline = advance(deadline, p.interval, now)
	}
	if p.notify == SIGEV_NONE && deadline != 0 && deadline <= now {
		return IntervalValue{0, p.interval}
	}
	return IntervalValue{remaining(deadline, now), p.interval}
}

// TimerOverrun is timer_getoverrun(2): the overrun of the signal that was delivered
// last. EINVAL if there is no such timer.
func (t *Timers) TimerOverrun(id int32) (int32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.find(id)
	if err != nil {
		return 0, err
	}
	return p.lastOverrun, nil
}

// TimerBase says from which point the value of a timer counts.
type TimerBase bool

// The values of TimerBase.
const (
	// FromNow: the value counts from the current time.
	FromNow TimerBase = false
	// Absolute: the value is a time of the timer's clock (TIMER_ABSTIME).
	Absolute TimerBase = true
)

// SetTimer is timer_settime(2): it starts the timer, or stops it if next.Value is
// 0, and returns the old setting. EINVAL if there is no such timer. The caller has
// checked next.
func (t *Timers) SetTimer(id int32, next IntervalValue, base TimerBase) (IntervalValue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.find(id)
	if err != nil {
		return IntervalValue{}, err
	}
	old := t.value(p)
	p.disarm()
	p.interval, p.overrun, p.lastOverrun = next.Interval, 0, 0
	p.onWall = base == Absolute && p.clock.wall
	if next.Value == 0 {
		return old, nil
	}
	p.deadline = next.Value
	if base == FromNow {
		p.deadline = deadlineAfter(p.now(t.group), next.Value)
	}
	t.arm(p)
	return old, nil
}

// disarm stops the timer. An expiry that waits for the lock does nothing, because
// the generation has changed. The lock is held.
func (p *posixTimer) disarm() {
	p.generation++
	p.deadline, p.queued = 0, false
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// arm starts the Go timer of a timer with a deadline. Timers of CPU time have none,
// because CheckCPU expires them. The lock is held.
func (t *Timers) arm(p *posixTimer) {
	if p.deadline == 0 || p.clock.cpu || p.notify == SIGEV_NONE || t.ended {
		return
	}
	generation := p.generation
	p.timer = t.group.kernel.afterFunc(time.Duration(p.deadline-p.now(t.group)), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if p.generation == generation {
			t.expirePosixIfDue(p)
		}
	})
}

// expirePosixIfDue expires the timer if its deadline has passed. Otherwise it
// restarts the Go timer, which fires too early if the wall clock was set back. The
// lock is held.
func (t *Timers) expirePosixIfDue(p *posixTimer) {
	if p.deadline == 0 || p.queued {
		return
	}
	p.generation++
	p.timer.Stop()
	if p.now(t.group) < p.deadline {
		t.arm(p)
		return
	}
	t.expirePosix(p)
}

// minimumInterval is the minimum time between two expiries of a timer whose signal
// is ignored, in nanoseconds: a tick of Linux (posix_timer_fn).
const minimumInterval = int64(4 * time.Millisecond)

// expirePosix sends the signal of an expiry. The lock is held.
func (t *Timers) expirePosix(p *posixTimer) {
	if p.queued {
		return
	}
	p.overrun = 0
	if t.group.signalTimer(p) {
		p.queued = true
		if p.interval == 0 {
			p.deadline = 0
		}
		return
	}
	// The signal is ignored and never dequeued, so signalTaken cannot restart the
	// timer.
	p.deadline = advance(p.deadline, p.interval, p.now(t.group)+minimumInterval)
	t.arm(p)
}

// signalTimer queues the timer's signal. It reports false if the timer sends none
// or the signal is ignored.
func (g *ThreadGroup) signalTimer(p *posixTimer) bool {
	if p.notify == SIGEV_NONE {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	reference := p.target
	if reference == nil {
		reference = g.threads[0]
	}
	info := signal.TimerInfo(p.signal, p.id, p.value)
	if p.target != nil && p.target.ended || g.ignores(reference, p.signal, notForced) {
		g.generated(reference, p.target, &info, SignalIgnored)
		return false
	}
	if g.groupExit {
		return true
	}
	g.jobControlEffects(p.signal)
	queue := &g.shared
	if p.target != nil {
		queue = &p.target.pending
	}
	queue.PutReserved(info, p.place)
	g.complete(p.target, p.signal)
	g.generated(reference, p.target, &info, SignalQueued)
	return true
}

// signalTaken must be called after a signal was dequeued. It restarts the timer that
// has sent the signal, if it is periodic, and sets si_overrun for a POSIX timer. The
// caller does not hold the group's lock.
func (t *Timers) signalTaken(info *signal.Info) {
	if info.Signo == unix.SIGALRM {
		t.restartReal()
	}
	if info.Code != signal.SI_TIMER {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.posix[info.TimerID()]
	if p == nil || !p.queued {
		return // the timer was deleted or set again, or a user sent the signal
	}
	p.queued = false
	if p.deadline != 0 {
		now := p.now(t.group)
		p.overrun = max(now-p.deadline, 0) / p.interval
		p.deadline = advance(p.deadline, p.interval, now)
		t.arm(p)
	}
	p.lastOverrun = int32(min(p.overrun, math.MaxInt32))
	info.SetOverrun(p.lastOverrun)
}
