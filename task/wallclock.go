package task

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/wait"
)

// SetWall sets the time of day, in nanoseconds since 1970, and wakes the tasks and
// restarts the timers that wait for a time of that clock. The caller checks the
// privilege. Error: EINVAL for a time that cannot be set.
func (k *Kernel) SetWall(now int64) error {
	defer k.followClock(k.clockState())
	return k.config.Wall.Set(now)
}

// AdjustWall is adjtimex(2): see clock.Wall.Adjust. The caller has checked x. It wakes the tasks
// and restarts the timers that a step affects.
func (k *Kernel) AdjustWall(x *unix.Timex) (state int, err error) {
	defer k.followClock(k.clockState())
	return k.config.Wall.Adjust(x)
}

// clockState is what tasks and timers must follow.
type clockState struct {
	sets uint64
	rate clock.Rate
}

func (k *Kernel) clockState() clockState {
	return clockState{k.config.Wall.Sets(), clock.CurrentRate()}
}

// followClock makes tasks and timers follow the changes since a state of the clock.
func (k *Kernel) followClock(before clockState) {
	now := k.clockState()
	if now.rate != before.rate {
		k.config.Scheduler.Load.Timers.FollowRate()
	}
	if now.sets != before.sets {
		for _, g := range k.Groups() {
			g.Timers.followWall()
		}
		k.wallSet.Wake(wait.Readable)
	}
	k.second.arm(k)
}

// secondAlarm calls clock.Wall.Advance at each second while the adjustment of the clock needs
// that. An idle machine whose clock has a constant rate has no such alarm.
type secondAlarm struct{ alarm atomic.Pointer[wait.Alarm] }

// arm sets the alarm for the next second, or stops it. If two callers arm it at once, the last
// one's alarm remains.
func (s *secondAlarm) arm(k *Kernel) {
	var alarm *wait.Alarm
	if next := k.config.Wall.NextSecond(); next > 0 {
		alarm = k.afterFunc(time.Duration(next), k.advanceClock)
	}
	if before := s.alarm.Swap(alarm); before != nil {
		before.Stop()
	}
}

// advanceClock is called at the beginning of a second. It ends the alarm when no process is
// left.
func (k *Kernel) advanceClock() {
	if k.Threads() == 0 {
		return
	}
	defer k.followClock(k.clockState())
	k.config.Wall.Advance()
}

// followWall restarts the timers that wait for a time of the wall clock.
func (t *Timers) followWall() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.posix {
		if !p.onWall || p.timer == nil {
			continue
		}
		p.timer.Stop()
		p.generation++
		t.arm(p)
	}
}

// SleepUntilWall sleeps until the time of a clock, Now or TAI of the Kernel's Wall, is at least
// ns, also if the clock is set during the sleep (clock_nanosleep(2)). Error: ERESTARTSYS.
func (t *Task) SleepUntilWall(now func() int64, ns int64) error {
	wall := t.kernel.config.Wall
	for {
		sets := wall.Sets()
		left := ns - now()
		if left <= 0 {
			return nil
		}
		deadline := deadlineAfter(clock.Monotonic(), left)
		err := t.Block(&t.kernel.wallSet, wait.Readable, deadline, func() bool { return wall.Sets() != sets })
		if err != nil && err != unix.ETIMEDOUT {
			return err
		}
	}
}
