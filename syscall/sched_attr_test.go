package syscall

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs/fstest"
	"slowpath/sched"
	"slowpath/task"
)

// TestSchedulingLimitsOfUserWithoutPrivilege: sched(7), RLIMIT_RTPRIO, and setrlimit(2),
// RLIMIT_NICE.
func TestSchedulingLimitsOfUserWithoutPrivilege(t *testing.T) {
	const reset = unix.SCHED_FLAG_RESET_ON_FORK
	for _, c := range []struct {
		name         string
		rtprio, nice uint64
		before       sched.Attributes
		reset        bool
		request      unix.SchedAttr
		want         error
	}{
		{"priority within the limit", 10, 0, sched.Attributes{}, false, unix.SchedAttr{Policy: 1, Priority: 10}, nil},
		{"priority above the limit", 10, 0, sched.Attributes{}, false, unix.SchedAttr{Policy: 1, Priority: 11}, unix.EPERM},
		{"policy without a limit", 0, 0, sched.Attributes{Policy: sched.FIFO, Priority: 5}, false, unix.SchedAttr{Policy: 2, Priority: 5}, unix.EPERM},
		{"lower priority without a limit", 0, 0, sched.Attributes{Policy: sched.FIFO, Priority: 5}, false, unix.SchedAttr{Policy: 1, Priority: 4}, nil},
		{"the same priority above the limit", 2, 0, sched.Attributes{Policy: sched.FIFO, Priority: 5}, false, unix.SchedAttr{Policy: 2, Priority: 5}, nil},
		{"nice value within the limit", 0, 18, sched.Attributes{Nice: 5}, false, unix.SchedAttr{Policy: 3, Nice: 2}, nil},
		{"nice value beyond the limit", 0, 18, sched.Attributes{Nice: 5}, false, unix.SchedAttr{Policy: 3, Nice: 1}, unix.EPERM},
		{"SCHED_IDLE left without a limit", 0, 0, sched.Attributes{Policy: sched.Idle, Nice: 19}, false, unix.SchedAttr{Policy: 0, Nice: 19}, unix.EPERM},
		{"SCHED_IDLE left within the limit", 0, 1, sched.Attributes{Policy: sched.Idle, Nice: 19}, false, unix.SchedAttr{Policy: 0, Nice: 19}, nil},
		{"reset-on-fork cleared", 0, 0, sched.Attributes{}, true, unix.SchedAttr{}, unix.EPERM},
		{"reset-on-fork kept", 0, 0, sched.Attributes{}, true, unix.SchedAttr{Flags: reset}, nil},
		{"a deadline", 99, 40, sched.Attributes{}, false, unix.SchedAttr{Policy: 6, Runtime: 1 << 20, Deadline: 1 << 24}, unix.EPERM},
		{"a kernel's flag", 0, 0, sched.Attributes{}, false, unix.SchedAttr{Flags: kernelFlag}, unix.EINVAL},
		{"clamps", 0, 0, sched.Attributes{}, false, unix.SchedAttr{Flags: unix.SCHED_FLAG_UTIL_CLAMP_MIN}, unix.EOPNOTSUPP},
	} {
		w := fstest.New(t, 1024)
		asTask(t, w, func(tk *task.Task) {
			limits := &tk.Group().Limits
			limits.Change(unix.RLIMIT_RTPRIO, task.Limit{Soft: c.rtprio, Hard: c.rtprio}, task.Privileged)
			limits.Change(unix.RLIMIT_NICE, task.Limit{Soft: c.nice, Hard: c.nice}, task.Privileged)
			tk.SetAllUIDs(1000, 1000, 1000)
			tk.SetAttributes(c.before)
			tk.Scheduling.Reset.Store(c.reset)
			if err := setScheduling(tk, tk, c.request); err != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		})
	}
}
