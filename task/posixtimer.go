package task

import (
	"math"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/signal"
)

// The values of sigev_notify (sigevent(7)).
const (
	SIGEV_SIGNAL    = 0
	SIGEV_NONE      = 1
	SIGEV_THREAD_ID = 4
)

// TimerRequest holds the arguments of timer_create(2).
type TimerRequest struct {
	Clock  int32
	Notify int32 // SIGEV_
	Signal signal.Signal
	Thread int    // with SIGEV_THREAD_ID
	Value  uint64 // sigev_value; DefaultValue stands for the timer's id
	// DefaultValue is set if the program passed no sigevent.
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
	deadline int64 // on the timer's clock, 0 if it is off
	interval int64
	// onWall is set if the deadline is a time of the wall clock, so that it
	// changes when the clock is set. A relative timer is not affected
	// (timer_settime(2)).
	onWall bool
	// queued is set while the signal of an expiry is pending. Expiries in that
	// time send no signal and are counted as overrun.
	queued      bool
	overrun     int64
	lastOverrun int32
	timer       *time.Timer
	generation  uint64
	account     *signal.Account
}

// timerClock is a clock that a timer can count on.
type timerClock struct {
	wall   bool
	cpu    bool
	thread *Task // of CPU clocks: one thread only
}

// timerClockOf returns the clock with the given number (clock_gettime(2)):
// EINVAL if it does not exist, EOPNOTSUPP if it has no timers.
func (t *Task) timerClockOf(number int32) (timerClock, error) {
	switch number {
	case unix.CLOCK_REALTIME, unix.CLOCK_TAI:
		return timerClock{wall: true}, nil
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
	return timerClock{}, unix.EINVAL
}

// now reads the timer's clock.
func (p *posixTimer) now(g *ThreadGroup) int64 {
	switch {
	case p.clock.thread != nil:
		usage := p.clock.thread.Accounting.Read()
		return usage.User + usage.System
	case p.clock.cpu:
		usage := g.Usage()
		return usage.User + usage.System
	case p.onWall:
		return g.kernel.config.Wall.Now()
	}
	return clock.Monotonic()
}

// CreateTimer is timer_create(2). Errors: EINVAL for a bad clock, signal or
// thread, EOPNOTSUPP, EAGAIN beyond RLIMIT_SIGPENDING.
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
	p.account = &t.User().Signals
	if !p.account.Charge(g.Limits.Soft(unix.RLIMIT_SIGPENDING)) {
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

// timerTarget returns the thread that the timer signals, nil for the process:
// EINVAL.
func (t *Task) timerTarget(r *TimerRequest) (*Task, error) {
	switch r.Notify {
	case SIGEV_NONE:
		return nil, nil
	case SIGEV_SIGNAL, SIGEV_SIGNAL | SIGEV_THREAD_ID:
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

// freeID returns the next id that no timer has.
func (t *Timers) freeID() int32 {
	for {
		id := t.next
		t.next = (t.next + 1) & math.MaxInt32
		if t.posix[id] == nil {
			return id
		}
	}
}

// find returns a timer: EINVAL if there is none with that id.
func (t *Timers) find(id int32) (*posixTimer, error) {
	if p := t.posix[id]; p != nil {
		return p, nil
	}
	return nil, unix.EINVAL
}

// DeleteTimer is timer_delete(2). Errors: those of timer_delete(2).
func (t *Timers) DeleteTimer(id int32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.find(id)
	if err != nil {
		return err
	}
	p.disarm()
	p.account.Release()
	delete(t.posix, id)
	return nil
}

// GetTimer is timer_gettime(2). Errors: those of timer_gettime(2).
func (t *Timers) GetTimer(id int32) (IntervalValue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.find(id)
	if err != nil {
		return IntervalValue{}, err
	}
	return t.value(p), nil
}

// value returns the current setting. A periodic timer whose signal is pending is
// shown as if it had been restarted.
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

// TimerOverrun is timer_getoverrun(2). Errors: those of timer_getoverrun(2).
func (t *Timers) TimerOverrun(id int32) (int32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.find(id)
	if err != nil {
		return 0, err
	}
	return p.lastOverrun, nil
}

// TimerBase says what the value of a timer counts from.
type TimerBase bool

// The values of TimerBase.
const (
	// FromNow: the value is a time span.
	FromNow TimerBase = false
	// Absolute: the value is a time of the timer's clock (TIMER_ABSTIME).
	Absolute TimerBase = true
)

// SetTimer is timer_settime(2): it starts or stops the timer and returns the
// old setting. Errors: those of timer_settime(2).
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

// disarm stops the timer. The new generation makes an expiry that has already begun
// do nothing.
func (p *posixTimer) disarm() {
	p.generation++
	p.deadline, p.queued = 0, false
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// arm starts the Go timer. CheckCPU handles timers that count CPU time.
func (t *Timers) arm(p *posixTimer) {
	if p.deadline == 0 || p.clock.cpu || p.notify == SIGEV_NONE || t.ended {
		return
	}
	generation := p.generation
	p.timer = time.AfterFunc(time.Duration(p.deadline-p.now(t.group)), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if p.generation == generation {
			t.expirePosixIfDue(p)
		}
	})
}

// expirePosixIfDue expires the timer if its deadline has passed. If the wall clock
// was set back, it starts the Go timer again. The lock is held.
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

// minimumInterval bounds how often a timer whose signal is ignored goes
// through its expiry, in nanoseconds.
const minimumInterval = int64(time.Millisecond)

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
	// The signal is ignored, so signalTaken will not restart the timer.
	p.deadline = advance(p.deadline, p.interval, p.now(t.group)+minimumInterval)
	t.arm(p)
}

// signalTimer queues the timer's signal. It reports false if it is ignored.
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
	if p.target != nil && p.target.ended || g.ignores(reference, p.signal, notForced) {
		return false
	}
	g.sendLocked(p.target, signal.TimerInfo(p.signal, p.id, p.value), notForced)
	return true
}

// signalTaken must be called after a signal was dequeued. If the signal is a
// timer's, it sets the overrun and restarts a periodic timer. The group's lock is not
// held.
func (t *Timers) signalTaken(info *signal.Info) {
	if info.Code != signal.SI_TIMER {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.posix[info.TimerID()]
	if p == nil || !p.queued {
		return // deleted or set anew since, or sent by a user
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
