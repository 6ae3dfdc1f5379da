package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/signal"
	"slowpath/task"
)

var timerCalls = []Row{
	{Number: unix.SYS_ALARM, Name: "alarm", Arguments: args(Uint), Handler: sysAlarm},
	{Number: unix.SYS_GETITIMER, Name: "getitimer", Arguments: args(Int, Pointer), Handler: sysGetitimer},
	{Number: unix.SYS_SETITIMER, Name: "setitimer", Arguments: args(Int, Pointer, Pointer), Handler: sysSetitimer},
	{Number: unix.SYS_TIMER_CREATE, Name: "timer_create", Arguments: args(Int, Pointer, Pointer), Handler: sysTimerCreate,
		Partial: "Only the CPU-time clocks of the caller itself are supported."},
	{Number: unix.SYS_TIMER_SETTIME, Name: "timer_settime", Arguments: args(Int, Hex, Pointer, Pointer), Handler: sysTimerSettime},
	{Number: unix.SYS_TIMER_GETTIME, Name: "timer_gettime", Arguments: args(Int, Pointer), Handler: sysTimerGettime},
	{Number: unix.SYS_TIMER_GETOVERRUN, Name: "timer_getoverrun", Arguments: args(Int), Handler: sysTimerGetoverrun},
	{Number: unix.SYS_TIMER_DELETE, Name: "timer_delete", Arguments: args(Int), Handler: sysTimerDelete},
}

func sysAlarm(t *task.Task, a *amd64.Args) (uint64, error) {
	seconds := int64(uint32(a[0]))
	old := t.Group().Timers.Set(unix.ITIMER_REAL, task.IntervalValue{Value: seconds * second})
	left := (old.Value + second/2) / second
	if left == 0 && old.Value != 0 {
		left = 1 // 0 would mean that no alarm was set
	}
	return uint64(left), nil
}

// checkInterval returns EINVAL for a number that is not an interval timer.
func checkInterval(which uint64) error {
	if uint32(which) > unix.ITIMER_PROF {
		return unix.EINVAL
	}
	return nil
}

func storeInterval(t *task.Task, address uint64, v task.IntervalValue) error {
	value := v.Value
	if value > 0 {
		value = max(value, clock.Microsecond) // 0 would mean that the timer is off
	}
	return copyOutTimevals(t, address, [2]unix.Timeval{unix.NsecToTimeval(v.Interval), unix.NsecToTimeval(value)})
}

func sysGetitimer(t *task.Task, a *amd64.Args) (uint64, error) {
	if err := checkInterval(a[0]); err != nil {
		return 0, err
	}
	return 0, storeInterval(t, a[1], t.Group().Timers.Get(int(uint32(a[0]))))
}

func sysSetitimer(t *task.Task, a *amd64.Args) (uint64, error) {
	if err := checkInterval(a[0]); err != nil {
		return 0, err
	}
	var next task.IntervalValue
	if a[1] != 0 { // a null pointer stops the timer, as on Linux
		pair, err := copyInTimevals(t, a[1])
		if err != nil {
			return 0, err
		}
		if next.Interval, err = timeval(pair[0]); err != nil {
			return 0, err
		}
		if next.Value, err = timeval(pair[1]); err != nil {
			return 0, err
		}
	}
	old := t.Group().Timers.Set(int(uint32(a[0])), next)
	if a[2] == 0 {
		return 0, nil
	}
	return 0, storeInterval(t, a[2], old)
}

// widenSigevent converts the struct sigevent of a 32-bit program.
func widenSigevent(n compat.Sigevent) abi.Sigevent {
	return abi.Sigevent{Value: uint64(n.Value), Signo: n.Signo, Notify: n.Notify, TID: n.TID}
}

func sysTimerCreate(t *task.Task, a *amd64.Args) (uint64, error) {
	r := task.TimerRequest{Clock: int32(a[0]), Notify: task.SIGEV_SIGNAL, Signal: unix.SIGALRM, DefaultValue: true}
	if a[1] != 0 {
		event, err := load(t, t.Layout.Narrow(), a[1], widenSigevent)
		if err != nil {
			return 0, err
		}
		r.DefaultValue = false
		r.Value, r.Signal = event.Value, signal.Signal(event.Signo)
		r.Notify, r.Thread = event.Notify, int(event.TID)
	}
	id, err := t.CreateTimer(r)
	if err != nil {
		return 0, err
	}
	if err := abi.CopyOut(t, a[2], id); err != nil {
		t.Group().Timers.DeleteTimer(id)
		return 0, err
	}
	return 0, nil
}

func storeTimerValue(t *task.Task, address uint64, v task.IntervalValue) error {
	return copyOutTimespecs(t, address, [2]unix.Timespec{unix.NsecToTimespec(v.Interval), unix.NsecToTimespec(v.Value)})
}

func sysTimerSettime(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[2] == 0 {
		return 0, unix.EINVAL
	}
	pair, err := copyInTimespecs(t, a[2])
	if err != nil {
		return 0, err
	}
	var next task.IntervalValue
	if next.Interval, err = timespec(pair[0]); err != nil {
		return 0, err
	}
	if next.Value, err = timespec(pair[1]); err != nil {
		return 0, err
	}
	old, err := t.Group().Timers.SetTimer(int32(a[0]), next, a[1]&unix.TIMER_ABSTIME != 0)
	if err != nil || a[3] == 0 {
		return 0, err
	}
	return 0, storeTimerValue(t, a[3], old)
}

func sysTimerGettime(t *task.Task, a *amd64.Args) (uint64, error) {
	v, err := t.Group().Timers.GetTimer(int32(a[0]))
	if err != nil {
		return 0, err
	}
	return 0, storeTimerValue(t, a[1], v)
}

func sysTimerGetoverrun(t *task.Task, a *amd64.Args) (uint64, error) {
	n, err := t.Group().Timers.TimerOverrun(int32(a[0]))
	return uint64(n), err
}

func sysTimerDelete(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.Group().Timers.DeleteTimer(int32(a[0]))
}
