package task

import (
	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/wait"
)

// SetWall sets the time of day, in nanoseconds since 1970, and wakes the tasks and
// restarts the timers that wait for a time of that clock. The caller checks the
// privilege.
func (k *Kernel) SetWall(now int64) {
	k.config.Wall.Set(now)
	for _, g := range k.Groups() {
		g.Timers.followWall()
	}
	k.wallSet.Wake(wait.Readable)
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

// SleepUntilWall sleeps until the time of day is at least ns, also if the clock is
// set during the sleep (clock_nanosleep(2)). Error: ERESTARTSYS.
func (t *Task) SleepUntilWall(ns int64) error {
	wall := t.kernel.config.Wall
	for {
		sets := wall.Sets()
		left := ns - wall.Now()
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
