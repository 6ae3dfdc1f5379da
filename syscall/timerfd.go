package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/timerfd"
	"slowpath/task"
)

var timerfdCalls = []Row{
	{Number: unix.SYS_TIMERFD_CREATE, Name: "timerfd_create", Arguments: args(Int, Hex), Handler: sysTimerfdCreate},
	{Number: unix.SYS_TIMERFD_SETTIME, Name: "timerfd_settime", Arguments: args(FD, Hex, Pointer, Pointer), Handler: sysTimerfdSettime},
	{Number: unix.SYS_TIMERFD_GETTIME, Name: "timerfd_gettime", Arguments: args(FD, Pointer), Handler: sysTimerfdGettime},
}

func sysTimerfdCreate(t *task.Task, a *amd64.Args) (uint64, error) {
	clockID, flags := int32(a[0]), int(int32(a[1]))
	if flags&^(unix.TFD_CLOEXEC|unix.TFD_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	alarm := clockID == unix.CLOCK_REALTIME_ALARM || clockID == unix.CLOCK_BOOTTIME_ALARM
	if alarm && !t.Credentials().Has(cred.WakeAlarm) {
		return 0, unix.EPERM
	}
	file, err := timerfd.New(t.FS.Mounts(), clockID, timerfd.Clocks{
		Wall: t.Kernel().Wall(), Timers: &t.Kernel().Scheduler().Load.Timers,
	}, flags)
	if err != nil {
		return 0, err
	}
	return install(t, file, flags&unix.TFD_CLOEXEC != 0)
}

// withTimer runs operation on the timer of a descriptor. Errors: EBADF, EINVAL
// for another kind of file.
func withTimer(t *task.Task, register uint64, operation func(timer *timerfd.Timer) error) (uint64, error) {
	return withFile(t, register, func(file *fs.File) (uint64, error) {
		timer := timerfd.Of(file)
		if timer == nil {
			return 0, unix.EINVAL
		}
		return 0, operation(timer)
	})
}

// readSetting reads a struct itimerspec. Errors: EFAULT, EINVAL if it is
// negative or not normalised.
func readSetting(t *task.Task, address uint64) (timerfd.Setting, error) {
	spec, err := copyInTimespecs(t, address)
	if err != nil {
		return timerfd.Setting{}, err
	}
	for _, v := range spec {
		if v.Sec < 0 || v.Nsec < 0 || v.Nsec >= second {
			return timerfd.Setting{}, unix.EINVAL
		}
	}
	return timerfd.Setting{Interval: clampedTime(spec[0]), Value: clampedTime(spec[1])}, nil
}

func writeSetting(t *task.Task, address uint64, s timerfd.Setting) error {
	return copyOutTimespecs(t, address, [2]unix.Timespec{unix.NsecToTimespec(s.Interval), unix.NsecToTimespec(s.Value)})
}

func sysTimerfdSettime(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := int(int32(a[1]))
	if flags&^(unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET) != 0 {
		return 0, unix.EINVAL
	}
	setting, err := readSetting(t, a[2])
	if err != nil {
		return 0, err
	}
	return withTimer(t, a[0], func(timer *timerfd.Timer) error {
		old, err := timer.Set(setting, flags)
		if err != nil || a[3] == 0 {
			return err
		}
		return writeSetting(t, a[3], old)
	})
}

func sysTimerfdGettime(t *task.Task, a *amd64.Args) (uint64, error) {
	return withTimer(t, a[0], func(timer *timerfd.Timer) error { return writeSetting(t, a[1], timer.Get()) })
}
