package syscall

import (
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/cred"
	"slowpath/task"
)

// timeCalls read and set clocks, sleep, and set timers.
var timeCalls = slices.Concat(clockCalls, timerCalls)

var clockCalls = []Row{
	{Number: unix.SYS_CLOCK_GETTIME, Name: "clock_gettime", Arguments: args(Int, Pointer), Handler: sysClockGettime},
	{Number: unix.SYS_CLOCK_GETRES, Name: "clock_getres", Arguments: args(Int, Pointer), Handler: sysClockGetres},
	{Number: unix.SYS_CLOCK_SETTIME, Name: "clock_settime", Arguments: args(Int, Pointer), Handler: sysClockSettime},
	{Number: unix.SYS_CLOCK_NANOSLEEP, Name: "clock_nanosleep", Arguments: args(Int, Hex, Pointer, Pointer), Handler: sysClockNanosleep,
		Partial: "Sleeping on a clock of CPU time is not supported: the programs that this kernel targets do not do so."},
	{Number: unix.SYS_NANOSLEEP, Name: "nanosleep", Arguments: args(Pointer, Pointer), Handler: sysNanosleep},
	{Number: unix.SYS_GETTIMEOFDAY, Name: "gettimeofday", Arguments: args(Pointer, Pointer), Handler: sysGettimeofday},
	{Number: unix.SYS_SETTIMEOFDAY, Name: "settimeofday", Arguments: args(Pointer, Pointer), Handler: sysSettimeofday},
	{Number: unix.SYS_TIME, Name: "time", Arguments: args(Pointer), Handler: sysTime},
	{Number: unix.SYS_ADJTIMEX, Name: "adjtimex", Arguments: args(Pointer), Handler: sysAdjtimex},
	{Number: unix.SYS_CLOCK_ADJTIME, Name: "clock_adjtime", Arguments: args(Int, Pointer), Handler: sysClockAdjtime},
	{Number: unix.SYS_TIMES, Name: "times", Arguments: args(Pointer), Handler: sysTimes},
}

// second is a second in nanoseconds.
const second = clock.Second

// nanoseconds returns a time in nanoseconds, or math.MaxInt64 if it does not
// fit.
func nanoseconds(seconds, rest int64) int64 {
	if seconds > math.MaxInt64/second-1 {
		return math.MaxInt64
	}
	return seconds*second + rest
}

// loadTimespec reads a struct timespec and returns it in nanoseconds. Errors:
// EFAULT, EINVAL if it is negative or not normalised.
func loadTimespec(t *task.Task, address uint64) (int64, error) {
	v, err := copyInTimespec(t, address)
	if err != nil {
		return 0, err
	}
	return timespec(v)
}

// timespec returns a struct timespec in nanoseconds: EINVAL if it is negative or
// not normalised.
func timespec(v unix.Timespec) (int64, error) {
	if v.Sec < 0 || v.Nsec < 0 || v.Nsec >= second {
		return 0, unix.EINVAL
	}
	return nanoseconds(v.Sec, v.Nsec), nil
}

// storeTimespec writes nanoseconds as a struct timespec.
func storeTimespec(t *task.Task, address uint64, ns int64) error {
	return copyOutTimespec(t, address, unix.NsecToTimespec(ns))
}

// after returns the deadline that is ns nanoseconds after now. The result is at
// least 1, because 0 would mean no deadline.
func after(now, ns int64) int64 {
	if ns > math.MaxInt64-now {
		return math.MaxInt64
	}
	return max(now+ns, 1)
}

// cpuClock reads the CPU-time clock of a process or thread, whose id is encoded
// in the clock's number (clock_getcpuclockid(3)). Error: EINVAL if it does not
// exist.
func cpuClock(t *task.Task, number task.CPUClock) (int64, error) {
	target := t
	if id := number.ID(); id != 0 {
		target = t.Kernel().TaskByID(id)
	}
	if target == nil {
		return 0, unix.EINVAL
	}
	usage := target.Usage()
	if !number.PerThread() {
		usage = target.Group().Usage()
	} else if target.Group() != t.Group() {
		return 0, unix.EINVAL
	}
	switch number.Kind() {
	case task.CPUClockProfile, task.CPUClockSchedule:
		return usage.User + usage.System, nil
	case task.CPUClockUser:
		return usage.User, nil
	}
	return 0, unix.EINVAL
}

// readClock reads the clock with the given number (clock_gettime(2)). The clocks that wake a
// suspended machine do not exist, because no real-time clock does so (alarm_clock_get_timespec).
func readClock(t *task.Task, id int32) (int64, error) {
	switch id {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE:
		return t.Kernel().Wall().Now(), nil
	case unix.CLOCK_TAI:
		return t.Kernel().Wall().TAI(), nil
	case unix.CLOCK_MONOTONIC_RAW:
		return clock.Raw(), nil
	case unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_COARSE, unix.CLOCK_BOOTTIME:
		return clock.Monotonic(), nil
	case unix.CLOCK_PROCESS_CPUTIME_ID:
		usage := t.Group().Usage()
		return usage.User + usage.System, nil
	case unix.CLOCK_THREAD_CPUTIME_ID:
		usage := t.Usage()
		return usage.User + usage.System, nil
	}
	if id < 0 {
		return cpuClock(t, task.CPUClock(id))
	}
	return 0, unix.EINVAL
}

func sysClockGettime(t *task.Task, a *amd64.Args) (uint64, error) {
	ns, err := readClock(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	return 0, storeTimespec(t, a[1], ns)
}

func sysClockGetres(t *task.Task, a *amd64.Args) (uint64, error) {
	id := int32(a[0])
	if _, err := readClock(t, id); err != nil {
		return 0, err
	}
	if a[1] == 0 {
		return 0, nil
	}
	resolution := int64(1)
	if id == unix.CLOCK_REALTIME_COARSE || id == unix.CLOCK_MONOTONIC_COARSE {
		resolution = coarseResolution
	}
	return 0, storeTimespec(t, a[1], resolution)
}

// coarseResolution is the resolution of the coarse clocks in Linux with a tick
// of 250 Hz. Here they are as precise as the others.
const coarseResolution = second / 250

func sysClockSettime(t *task.Task, a *amd64.Args) (uint64, error) {
	if int32(a[0]) != unix.CLOCK_REALTIME {
		return 0, unix.EINVAL
	}
	ns, err := loadTimespec(t, a[1])
	if err != nil {
		return 0, err
	}
	return 0, setWall(t, ns)
}

func setWall(t *task.Task, ns int64) error {
	if !t.Credentials().Has(cred.SysTime) {
		return unix.EPERM
	}
	return t.Kernel().SetWall(ns)
}

func sysGettimeofday(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[0] != 0 {
		now := t.Kernel().Wall().Now()
		if err := copyOutTimeval(t, a[0], unix.NsecToTimeval(now)); err != nil {
			return 0, err
		}
	}
	if a[1] != 0 {
		return 0, abi.CopyOut(t, a[1], abi.Timezone{}) // UTC
	}
	return 0, nil
}

func sysSettimeofday(t *task.Task, a *amd64.Args) (uint64, error) {
	var now int64
	if a[0] != 0 {
		var err error
		if now, err = loadTimeval(t, a[0]); err != nil {
			return 0, err
		}
	}
	if a[1] != 0 {
		zone, err := abi.CopyIn[abi.Timezone](t, a[1])
		if err != nil {
			return 0, err
		}
		const furthest = 15 * 60 // minutes
		if west := int32(zone.MinutesWest); west > furthest || west < -furthest {
			return 0, unix.EINVAL
		}
	}
	if !t.Credentials().Has(cred.SysTime) {
		return 0, unix.EPERM
	}
	if a[0] == 0 {
		return 0, nil // the time zone has no effect
	}
	return 0, setWall(t, now)
}

// loadTimeval reads a struct timeval and returns it in nanoseconds. Errors:
// EFAULT, EINVAL.
func loadTimeval(t *task.Task, address uint64) (int64, error) {
	v, err := copyInTimeval(t, address)
	if err != nil {
		return 0, err
	}
	return timeval(v)
}

// timeval returns a struct timeval in nanoseconds: EINVAL if it is negative or
// not normalised.
func timeval(v unix.Timeval) (int64, error) {
	if v.Sec < 0 || v.Usec < 0 || v.Usec >= second/clock.Microsecond {
		return 0, unix.EINVAL
	}
	return nanoseconds(v.Sec, v.Usec*clock.Microsecond), nil
}

func sysTime(t *task.Task, a *amd64.Args) (uint64, error) {
	now := uint64(t.Kernel().Wall().Now() / second)
	if a[0] != 0 {
		if err := copyOutLong(t, a[0], now); err != nil {
			return 0, err
		}
	}
	return now, nil
}

func sysTimes(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[0] != 0 {
		own, children := t.Group().Usage(), t.Group().ChildrenUsage()
		tms := unix.Tms{
			Utime: task.Ticks(own.User), Stime: task.Ticks(own.System),
			Cutime: task.Ticks(children.User), Cstime: task.Ticks(children.System),
		}
		err := store(t, t.Layout.Narrow(), a[0], tms, func(v unix.Tms) compat.Tms {
			return compat.Tms{Utime: int32(v.Utime), Stime: int32(v.Stime), Cutime: int32(v.Cutime), Cstime: int32(v.Cstime)}
		})
		if err != nil {
			return 0, err
		}
	}
	return uint64(task.Ticks(clock.Monotonic())), nil
}

func sysNanosleep(t *task.Task, a *amd64.Args) (uint64, error) {
	ns, err := loadTimespec(t, a[0])
	if err != nil {
		return 0, err
	}
	return 0, sleepUntil(t, after(clock.Monotonic(), ns), a[1])
}

// sleepUntil sleeps until a time of clock.Monotonic. At a signal it stores the
// remaining time at left, unless left is 0, and sets the restart block:
// restart_syscall(2) then sleeps until the same deadline.
func sleepUntil(t *task.Task, deadline int64, left uint64) error {
	err := t.Block(nil, 0, deadline, func() bool { return false })
	if err == unix.ETIMEDOUT {
		return nil
	}
	if left != 0 {
		if err := storeTimespec(t, left, max(deadline-clock.Monotonic(), 0)); err != nil {
			return err
		}
	}
	layout := t.Layout
	t.Restart.Set(t.CallABI(), func(t *task.Task) (uint64, error) {
		t.Layout = layout
		return 0, sleepUntil(t, deadline, left)
	})
	return abi.ERESTART_RESTARTBLOCK
}

func sysClockNanosleep(t *task.Task, a *amd64.Args) (uint64, error) {
	id := int32(a[0])
	if err := checkSleepClock(id); err != nil {
		return 0, err
	}
	ns, err := loadTimespec(t, a[2])
	if err != nil {
		return 0, err
	}
	if a[1]&unix.TIMER_ABSTIME == 0 {
		return 0, sleepUntil(t, after(clock.Monotonic(), ns), a[3])
	}
	switch wall := t.Kernel().Wall(); id {
	case unix.CLOCK_REALTIME:
		err = t.SleepUntilWall(wall.Now, ns)
	case unix.CLOCK_TAI:
		err = t.SleepUntilWall(wall.TAI, ns)
	default:
		err = t.Block(nil, 0, max(ns, 1), func() bool { return false })
	}
	if err == nil || err == unix.ETIMEDOUT {
		return 0, nil
	}
	return 0, abi.ERESTARTNOHAND
}

// checkSleepClock returns an error for the clocks that cannot be slept on:
// EOPNOTSUPP, or EINVAL for an unknown clock.
func checkSleepClock(id int32) error {
	switch id {
	case unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_TAI:
		return nil
	case unix.CLOCK_PROCESS_CPUTIME_ID, unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_MONOTONIC_COARSE,
		unix.CLOCK_REALTIME_COARSE, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
		return unix.EOPNOTSUPP
	}
	return unix.EINVAL
}

// monotonicDeadline converts a time of the clock id to a deadline of
// clock.Monotonic.
func monotonicDeadline(t *task.Task, id int32, ns int64) int64 {
	if id != unix.CLOCK_REALTIME {
		return max(ns, 1)
	}
	return after(clock.Monotonic(), ns-t.Kernel().Wall().Now())
}
