package task

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/signal"
)

const millisecond = clock.Millisecond

func TestRealIntervalTimerRepeats(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		set := signal.SetOf(unix.SIGALRM)
		t.SetBlocked(set)
		timers := &t.Group().Timers
		start := clock.Monotonic()
		timers.Set(unix.ITIMER_REAL, IntervalValue{5 * millisecond, 5 * millisecond})
		for range 3 {
			if _, err := t.WaitSignal(set, 0); err != nil {
				w.T.Errorf("waiting for SIGALRM: %v", err)
			}
		}
		if past := clock.Monotonic() - start; past < 15*millisecond {
			w.T.Errorf("three expiries took %d ns, want at least 15 ms", past)
		}
		old := timers.Set(unix.ITIMER_REAL, IntervalValue{})
		if old.Interval != 5*millisecond || old.Value <= 0 {
			w.T.Errorf("stopping the timer returned the old setting %+v", old)
		}
		if got := timers.Get(unix.ITIMER_REAL); got != (IntervalValue{}) {
			w.T.Errorf("the setting of a stopped timer is %+v, want 0", got)
		}
	})
}

func TestCPUTimersCountConsumedTime(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		set := signal.SetOf(unix.SIGVTALRM, unix.SIGPROF, unix.SIGXCPU)
		t.SetBlocked(set)
		g := t.Group()
		g.Timers.Set(unix.ITIMER_VIRTUAL, IntervalValue{Value: 10 * millisecond})
		g.Timers.Set(unix.ITIMER_PROF, IntervalValue{Value: 30 * millisecond})
		g.Limits.Change(unix.RLIMIT_CPU, Limit{1, Infinity}, Privileged)
		for _, c := range []struct {
			user, system int64
			want         signal.Set
		}{
			{9 * millisecond, 0, 0},
			{millisecond, 0, signal.SetOf(unix.SIGVTALRM)},
			{0, 20 * millisecond, signal.SetOf(unix.SIGVTALRM, unix.SIGPROF)},
			{0, clock.Second, set},
		} {
			t.Accounting.CPU.Charge(c.user, c.system)
			g.CheckCPU()
			if all, _ := t.Pending(); all != c.want {
				w.T.Errorf("%v are pending, want %v", all, c.want)
			}
		}
	})
}

func TestPOSIXTimerCountsOverrun(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		set := signal.SetOf(unix.SIGUSR1)
		t.SetBlocked(set)
		timers := &t.Group().Timers
		id, err := t.CreateTimer(TimerRequest{Clock: unix.CLOCK_MONOTONIC, Signal: unix.SIGUSR1, Value: 77})
		if err != nil {
			w.T.Errorf("timer_create: %v", err)
			return
		}
		timers.SetTimer(id, IntervalValue{millisecond, millisecond}, FromNow)
		info, err := t.WaitSignal(set, 0)
		if err != nil || info.Code != signal.SI_TIMER || info.Value() != 77 || info.TimerID() != id {
			w.T.Errorf("the signal has code %d, value %d, timer %d, %v", info.Code, info.Value(), info.TimerID(), err)
		}
		t.SleepUntil(Uninterruptible, clock.Monotonic()+30*millisecond, func() bool { return false })
		info, _ = t.WaitSignal(set, 0)
		if overrun, _ := timers.TimerOverrun(id); overrun < 10 || overrun != info.Overrun() {
			w.T.Errorf("after 30 periods timer_getoverrun is %d and si_overrun is %d", overrun, info.Overrun())
		}
		if v, err := timers.GetTimer(id); err != nil || v.Interval != millisecond || v.Value <= 0 || v.Value > millisecond {
			w.T.Errorf("the timer's setting is %+v, %v", v, err)
		}
		if err := timers.DeleteTimer(id); err != nil {
			w.T.Errorf("timer_delete: %v", err)
		}
		if _, err := timers.GetTimer(id); err != unix.EINVAL {
			w.T.Errorf("timer_gettime of a deleted timer: %v, want EINVAL", err)
		}
	})
}

func TestOnlyAbsoluteTimersFollowTheWallClock(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		set := signal.SetOf(unix.SIGUSR1)
		t.SetBlocked(set)
		id, err := t.CreateTimer(TimerRequest{Clock: unix.CLOCK_REALTIME, Signal: unix.SIGUSR1})
		if err != nil {
			w.T.Error(err)
			return
		}
		due := w.k.Wall().Now() + 3600*clock.Second
		t.Group().Timers.SetTimer(id, IntervalValue{Value: due}, Absolute)
		slept := make(chan error, 1)
		w.thread(t, func(t *Task) { slept <- t.SleepUntilWall(w.k.Wall().Now, due) })
		w.k.SetWall(due + clock.Second)
		if _, err := t.WaitSignal(set, clock.Monotonic()+10*clock.Second); err != nil {
			w.T.Errorf("the clock was set past the deadline, but there is no signal: %v", err)
		}
		if err := <-slept; err != nil {
			w.T.Errorf("SleepUntilWall: %v", err)
		}
		t.Group().Timers.SetTimer(id, IntervalValue{Value: 3600 * clock.Second}, FromNow)
		w.k.SetWall(due + 7200*clock.Second)
		if _, err := t.WaitSignal(set, clock.Monotonic()+20*millisecond); err != unix.EAGAIN {
			w.T.Errorf("a relative timer expired when the clock was set: %v, want EAGAIN", err)
		}
	})
}

func TestPOSIXTimerWithoutSignal(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		timers := &t.Group().Timers
		id, err := t.CreateTimer(TimerRequest{Clock: unix.CLOCK_REALTIME, Notify: SIGEV_NONE})
		if err != nil {
			w.T.Error(err)
			return
		}
		timers.SetTimer(id, IntervalValue{Value: w.k.Wall().Now() + clock.Second}, Absolute)
		if v, _ := timers.GetTimer(id); v.Value <= 0 || v.Value > clock.Second {
			w.T.Errorf("%d ns remain, want at most 1 s", v.Value)
		}
		timers.SetTimer(id, IntervalValue{Value: 1}, Absolute)
		if v, _ := timers.GetTimer(id); v.Value != 0 {
			w.T.Errorf("%d ns remain for a deadline in the past, want 0", v.Value)
		}
		for name, r := range map[string]TimerRequest{
			"bad clock":                 {Clock: 99, Signal: unix.SIGUSR1},
			"bad signal":                {Clock: unix.CLOCK_MONOTONIC, Signal: 65},
			"bad sigev_notify":          {Clock: unix.CLOCK_MONOTONIC, Signal: 1, Notify: 9},
			"thread of another process": {Clock: unix.CLOCK_MONOTONIC, Signal: 1, Notify: SIGEV_THREAD_ID, Thread: 1},
		} {
			if _, err := t.CreateTimer(r); err != unix.EINVAL {
				w.T.Errorf("%s: %v, want EINVAL", name, err)
			}
		}
	})
}

// TestBlockedRealTimerExpiresOnce: ITIMER_REAL starts again when its signal is taken,
// so a program that blocks the signal causes no work.
func TestBlockedRealTimerExpiresOnce(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		set := signal.SetOf(unix.SIGALRM)
		t.SetBlocked(set)
		timers := &t.Group().Timers
		timers.Set(unix.ITIMER_REAL, IntervalValue{1000, 1000})
		pending := func() bool { all, _ := t.Pending(); return all == set }
		w.eventually("the expiry", pending)
		running := func() bool {
			timers.mu.Lock()
			defer timers.mu.Unlock()
			return timers.real.timer.Stop()
		}
		if running() {
			w.T.Error("the timer runs although its signal was not taken")
		}
		if got := timers.Get(unix.ITIMER_REAL); got != (IntervalValue{0, 1000}) {
			w.T.Errorf("the setting after an expiry whose signal was not taken is %+v, want no value", got)
		}
		// A signal that was sent to the thread alone does not restart it.
		t.Signal(signal.KernelInfo(unix.SIGALRM))
		if _, ok := t.TakeSignal(set); !ok || timers.Get(unix.ITIMER_REAL).Value != 0 {
			w.T.Error("the timer runs again after a SIGALRM of the thread")
		}
		if _, ok := t.TakeSignal(set); !ok || timers.Get(unix.ITIMER_REAL).Value == 0 && !pending() {
			w.T.Error("the timer does not run after its SIGALRM was taken")
		}
		w.eventually("the next expiry", pending)
		timers.Set(unix.ITIMER_REAL, IntervalValue{})
	})
}

// TestTimerSignalsNeedNoRoomInTheQueue: a timer continues although the queue is full, or
// its signal is pending already, when it expires.
func TestTimerSignalsNeedNoRoomInTheQueue(t *testing.T) {
	for _, s := range []signal.Signal{unix.SIGUSR1, signal.FirstRealtime} {
		w := newWorld(t)
		w.process(func(t *Task) {
			set := signal.SetOf(s)
			t.SetBlocked(set)
			g := t.Group()
			id, err := t.CreateTimer(TimerRequest{Clock: unix.CLOCK_MONOTONIC, Notify: SIGEV_THREAD, Signal: s})
			if err != nil {
				w.T.Errorf("timer_create with SIGEV_THREAD: %v", err)
				return
			}
			g.Limits.Change(unix.RLIMIT_SIGPENDING, Limit{1, 1}, Privileged)
			g.Signal(signal.UserInfo(s, signal.SI_USER, 1, 0))
			g.Timers.SetTimer(id, IntervalValue{millisecond, millisecond}, FromNow)
			for expiries := 0; expiries < 3; {
				info, err := t.WaitSignal(set, clock.Monotonic()+clock.Second)
				if err != nil {
					w.T.Errorf("signal %d: %v after %d expiries", s, err, expiries)
					break
				}
				if info.Code == signal.SI_TIMER {
					expiries++
				}
			}
			if err := g.Timers.DeleteTimer(id); err != nil {
				w.T.Error(err)
			}
			t.TakeSignal(set)
			if n := t.User().Signals.Queued(); n != 0 {
				w.T.Errorf("signal %d: %d signals are charged after the timer was deleted", s, n)
			}
		})
	}
}

// TestTimerCountsTheClockOfAThread creates timers of clocks of CPU time by their encoded
// numbers (clock_getcpuclockid(3)).
func TestTimerCountsTheClockOfAThread(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		number := func(id int, kind int32) int32 { return ^int32(id)<<3 | kind }
		const perThread = 4
		set := signal.SetOf(unix.SIGUSR1)
		t.SetBlocked(set)
		id, err := t.CreateTimer(TimerRequest{Clock: number(t.TID(), perThread|CPUClockUser), Signal: unix.SIGUSR1})
		if err != nil {
			w.T.Errorf("the clock of the thread: %v", err)
		}
		if _, err := t.Group().Timers.SetTimer(id, IntervalValue{Value: 10 * millisecond}, FromNow); err != nil {
			w.T.Error(err)
		}
		for _, c := range []struct {
			user, system int64
			want         signal.Set
		}{{0, 20 * millisecond, 0}, {9 * millisecond, 0, 0}, {2 * millisecond, 0, set}} {
			t.Accounting.CPU.Charge(c.user, c.system)
			t.Group().CheckCPU()
			if all, _ := t.Pending(); all != c.want {
				w.T.Errorf("after %+v %v are pending", c, all)
			}
		}
		if _, err := t.CreateTimer(TimerRequest{Clock: number(0, CPUClockProfile), Signal: unix.SIGUSR1}); err != nil {
			w.T.Errorf("the clock of the own process: %v", err)
		}
		for _, bad := range []int32{number(0, 3), number(30000, CPUClockProfile)} {
			if _, err := t.CreateTimer(TimerRequest{Clock: bad, Signal: unix.SIGUSR1}); err != unix.EINVAL {
				w.T.Errorf("clock %d: %v, want EINVAL", bad, err)
			}
		}
	})
}
