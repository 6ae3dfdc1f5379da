// Package timerfd implements timers that are read as files (timerfd_create(2)).
package timerfd

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/clock"
	"slowpath/fs"
	"slowpath/guard"
	"slowpath/wait"
)

// Setting is a struct itimerspec in nanoseconds. Value is the time until the
// first expiration, 0 for a disarmed timer. Interval is the time between the
// following ones, 0 for a timer that expires once.
type Setting struct{ Value, Interval int64 }

// Timer implements fs.FileOperations for a timer file.
type Timer struct {
	fs.FileBase
	queue   wait.Queue
	wall    *clock.Wall // nil for the monotonic clocks
	timers  *wait.Timers
	unwatch func() // ends wall.Watch; nil for the monotonic clocks

	mu       sync.Mutex // guards the fields below
	next     int64      // next expiration on the timer's clock; 0 if disarmed
	interval int64
	// onWall is set if next is a time of the wall clock. Setting that clock does not
	// change when a relative timer expires, so such a timer uses the monotonic clock.
	onWall bool
	cancel bool   // TFD_TIMER_CANCEL_ON_SET
	sets   uint64 // wall.Sets when the timer was made or last cancelled
	alarm  *wait.Alarm
}

// Clocks are the clocks of the timers.
type Clocks struct {
	Wall *clock.Wall // CLOCK_REALTIME
	// Timers expires the timers on time, also beside a program that spins.
	Timers *wait.Timers
}

// New opens a timer file. flags may have O_NONBLOCK. Error: EINVAL for a clock that
// cannot have timers.
func New(m *fs.Mounts, clockID int32, clocks Clocks, flags int) (*fs.File, error) {
	t := &Timer{timers: clocks.Timers}
	switch clockID {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_ALARM:
		t.wall = clocks.Wall
		t.sets = t.wall.Sets()
		t.unwatch = t.wall.Watch(t.clockSet)
	case unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
	default:
		return nil, unix.EINVAL
	}
	return m.NewAnonymous("timerfd", flags, t), nil
}

// Of returns the timer of an open file, or nil if the file is not a timer.
func Of(f *fs.File) *Timer {
	t, _ := f.Operations().(*Timer)
	return t
}

func (t *Timer) now() int64 {
	if t.onWall {
		return t.wall.Now()
	}
	return clock.Monotonic()
}

// Set is timerfd_settime(2). It returns the old setting. flags may have
// TFD_TIMER_ABSTIME and TFD_TIMER_CANCEL_ON_SET. Error: ECANCELED if the timer is set,
// but the clock was set since the last read or, before the first one, since New.
func (t *Timer) Set(s Setting, flags int) (Setting, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.left()
	t.interval = s.Interval
	t.onWall = t.wall != nil && flags&unix.TFD_TIMER_ABSTIME != 0
	t.cancel = t.onWall && flags&unix.TFD_TIMER_CANCEL_ON_SET != 0
	switch {
	case s.Value == 0:
		t.next = 0
	case flags&unix.TFD_TIMER_ABSTIME != 0:
		t.next = s.Value
	default:
		t.next = saturatingAdd(t.now(), s.Value)
	}
	t.schedule()
	if s.Value != 0 && t.takeCancel() {
		return old, unix.ECANCELED
	}
	return old, nil
}

// takeCancel reports whether the timer is cancelled, and ends that. t.mu is held.
func (t *Timer) takeCancel() bool {
	if !t.cancelled() {
		return false
	}
	t.sets = t.wall.Sets()
	return true
}

// clockSet restarts a timer whose expiration is a time of the wall clock, and wakes the
// waiters if the timer is cancelled (Linux: timerfd_clock_was_set).
func (t *Timer) clockSet() {
	if t.restart() {
		t.queue.Wake(wait.Readable)
	}
}

// restart starts a timer on the wall clock again. It reports whether a read returns.
func (t *Timer) restart() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.onWall {
		t.schedule()
	}
	return t.due() > 0 || t.cancelled()
}

// saturatingAdd returns a + b for non-negative b, or the largest int64 if the
// sum overflows.
func saturatingAdd(a, b int64) int64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return 1<<63 - 1
}

// Get is timerfd_gettime(2). It starts a periodic timer again whose expiration was
// not read, as in Linux.
func (t *Timer) Get() Setting {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.interval > 0 && t.due() > 0 {
		t.schedule()
	}
	return t.left()
}

// left returns the interval and the time to the next expiration. t.mu is held.
func (t *Timer) left() Setting {
	if t.next == 0 {
		return Setting{Interval: t.interval}
	}
	left := t.next - t.now()
	if left <= 0 && t.interval > 0 {
		left = t.interval - (-left)%t.interval
	}
	return Setting{Value: max(left, 0), Interval: t.interval}
}

// schedule starts the alarm for the next expiration. Until it is read, a
// periodic timer does not run: due computes the number of expirations from the time,
// so an unread timer causes no work (Linux: timerfd_triggered). t.mu is held.
func (t *Timer) schedule() {
	if t.alarm != nil {
		t.alarm.Stop()
	}
	if t.next == 0 {
		return
	}
	t.alarm = t.timers.AfterFunc(time.Duration(t.left().Value), t.expired)
}

// expired runs on the goroutine that expires the timers of a CPU.
func (t *Timer) expired() {
	locked := guard.Lock(&t.mu)
	defer locked.Release()
	due := t.due() > 0
	if t.next != 0 && !due {
		t.schedule() // too early, for example because the wall clock was set back
	}
	locked.Release()
	if due {
		t.queue.Wake(wait.Readable)
	}
}

// due returns the number of unread expirations. t.mu is held.
func (t *Timer) due() uint64 {
	if t.next == 0 {
		return 0
	}
	over := t.now() - t.next
	switch {
	case over < 0:
		return 0
	case t.interval == 0:
		return 1
	}
	return 1 + uint64(over/t.interval)
}

// cancelled reports whether the wall clock was set after a timer with
// TFD_TIMER_CANCEL_ON_SET. t.mu is held.
func (t *Timer) cancelled() bool { return t.cancel && t.wall.Sets() != t.sets }

// countSize is the number of bytes that a read returns. A smaller buffer is
// EINVAL.
const countSize = 8

// Read implements fs.FileOperations. It returns the number of expirations since
// the last read. Errors: EAGAIN, EINVAL for less than 8 bytes, ECANCELED.
func (t *Timer) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() < countSize {
		return 0, unix.EINVAL
	}
	count, err := t.take()
	if err != nil {
		return 0, err
	}
	return fs.PutRecord(dst, abi.Bytes(&count))
}

func (t *Timer) take() (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.takeCancel() {
		return 0, unix.ECANCELED
	}
	count := t.due()
	if count == 0 {
		return 0, unix.EAGAIN
	}
	if t.interval == 0 {
		t.next = 0
	} else {
		t.next += int64(count) * t.interval
		t.schedule()
	}
	return count, nil
}

// Readiness implements fs.FileOperations.
func (t *Timer) Readiness() wait.Events {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.due() > 0 || t.cancelled() {
		return wait.Readable
	}
	return 0
}

// Queue implements fs.FileOperations.
func (t *Timer) Queue() *wait.Queue { return &t.queue }

// Release implements fs.FileOperations.
func (t *Timer) Release() {
	if t.unwatch != nil {
		t.unwatch()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = 0
	if t.alarm != nil {
		t.alarm.Stop()
	}
}
