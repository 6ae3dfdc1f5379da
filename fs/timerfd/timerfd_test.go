package timerfd_test

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/timerfd"
	"slowpath/wait"
)

// clocks returns the clocks of timers whose CLOCK_REALTIME is wall.
func clocks(wall *clock.Wall) timerfd.Clocks {
	return timerfd.Clocks{Wall: wall, Timers: new(wait.Timers)}
}

func read(f *fs.File) (uint64, error) {
	sink := fs.NewBytesSink(make([]byte, 8))
	if _, err := f.Read(sink); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(sink.Bytes()), nil
}

// await waits for the file's queue, as a task would.
func await(t *testing.T, f *fs.File) {
	t.Helper()
	var s wait.Sleeper
	w := s.Waiter(wait.In)
	f.Queue().Add(w)
	defer f.Queue().Remove(w)
	end := clock.Monotonic() + 5*clock.Second
	for f.Readiness()&wait.In == 0 {
		if s.Sleep(end) && clock.Monotonic() >= end {
			t.Fatal("the timer did not wake its waiter")
		}
	}
}

func TestOneShotAndPeriodicExpirationsAreCounted(t *testing.T) {
	m := fstest.New(t, 64).Mounts
	f, err := timerfd.New(m, unix.CLOCK_MONOTONIC, clocks(nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	timer := timerfd.Of(f)
	if _, err := read(f); err != unix.EAGAIN {
		t.Errorf("disarmed: %v", err)
	}
	timer.Set(timerfd.Setting{Value: 2 * clock.Millisecond}, 0)
	await(t, f)
	if n, err := read(f); n != 1 || err != nil {
		t.Errorf("one shot: %d, %v", n, err)
	}
	if got := timer.Get(); got.Value != 0 {
		t.Errorf("Get after the expiration: %+v", got)
	}
	start := clock.Monotonic()
	timer.Set(timerfd.Setting{Value: clock.Millisecond, Interval: clock.Millisecond}, 0)
	total := uint64(0)
	for total < 5 {
		await(t, f)
		n, err := read(f)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if passed := clock.Monotonic() - start; passed < 5*clock.Millisecond {
		t.Errorf("%d expirations after %d ns", total, passed)
	}
}

func TestAbsoluteTimeInThePastExpiresImmediately(t *testing.T) {
	m := fstest.New(t, 64).Mounts
	f, _ := timerfd.New(m, unix.CLOCK_MONOTONIC, clocks(nil), 0)
	defer f.DecRef()
	now := clock.Monotonic()
	timerfd.Of(f).Set(timerfd.Setting{Value: now - 10*clock.Second, Interval: clock.Second}, unix.TFD_TIMER_ABSTIME)
	if n, err := read(f); err != nil || n < 11 || n > 12 {
		t.Errorf("expirations in ten seconds: %d, %v", n, err)
	}
}

func TestReadReturnsECANCELEDAfterTheClockIsSet(t *testing.T) {
	m := fstest.New(t, 64).Mounts
	var wall clock.Wall
	f, _ := timerfd.New(m, unix.CLOCK_REALTIME, clocks(&wall), 0)
	defer f.DecRef()
	timerfd.Of(f).Set(timerfd.Setting{Value: wall.Now() + 100*clock.Second}, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET)
	wall.Set(wall.Now() + clock.Second)
	if _, err := read(f); err != unix.ECANCELED {
		t.Errorf("read after the clock was set: %v", err)
	}
	if _, err := read(f); err != unix.EAGAIN {
		t.Errorf("second read: %v", err)
	}
	if _, err := timerfd.New(m, unix.CLOCK_PROCESS_CPUTIME_ID, clocks(&wall), 0); err != unix.EINVAL {
		t.Errorf("New with a clock that cannot have timers: %v", err)
	}
}

// TestUnreadTimerExpiresOnce: the timer starts again when its expirations are read, so
// a program that does not read them causes no work.
func TestUnreadTimerExpiresOnce(t *testing.T) {
	m := fstest.New(t, 64).Mounts
	f, err := timerfd.New(m, unix.CLOCK_MONOTONIC, clocks(nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	timer := timerfd.Of(f)
	var s wait.Sleeper
	w := s.Waiter(wait.In)
	f.Queue().Add(w)
	defer f.Queue().Remove(w)
	wakeups := func() (n int) {
		for end := clock.Monotonic() + 20*clock.Millisecond; clock.Monotonic() < end; {
			if !s.Sleep(end) {
				n++
			}
		}
		return n
	}
	timer.Set(timerfd.Setting{Value: 1, Interval: 1}, 0)
	if n := wakeups(); n != 1 {
		t.Errorf("an unread timer of 1 ns woke its waiter %d times in 20 ms, want once", n)
	}
	for name, restart := range map[string]func(){"read": func() { read(f) }, "timerfd_gettime": func() { timer.Get() }} {
		restart()
		if n := wakeups(); n != 1 {
			t.Errorf("after %s the timer woke its waiter %d times, want once", name, n)
		}
	}
	if n, err := read(f); n < uint64(20*clock.Millisecond) || err != nil {
		t.Errorf("20 ms of a timer of 1 ns: %d expirations, %v", n, err)
	}
}

// TestSettingTheClockWakesTheWaiters: a timer on CLOCK_REALTIME that the clock has
// passed expires, one with TFD_TIMER_CANCEL_ON_SET is cancelled, and a relative one is
// not affected.
func TestSettingTheClockWakesTheWaiters(t *testing.T) {
	m := fstest.New(t, 64).Mounts
	var wall clock.Wall
	for _, c := range []struct {
		name  string
		after int64
		flags int
		want  error
	}{
		{"absolute", 1000 * clock.Second, unix.TFD_TIMER_ABSTIME, nil},
		{"cancelled", 100000 * clock.Second, unix.TFD_TIMER_ABSTIME | unix.TFD_TIMER_CANCEL_ON_SET, unix.ECANCELED},
		{"relative", 1000 * clock.Second, 0, unix.EAGAIN},
	} {
		f, _ := timerfd.New(m, unix.CLOCK_REALTIME, clocks(&wall), 0)
		value := c.after
		if c.flags != 0 {
			value += wall.Now()
		}
		if _, err := timerfd.Of(f).Set(timerfd.Setting{Value: value}, c.flags); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Millisecond, func() { wall.Set(wall.Now() + 2000*clock.Second) })
		if c.want == unix.EAGAIN {
			time.Sleep(20 * time.Millisecond)
		} else {
			await(t, f)
		}
		if _, err := read(f); err != c.want {
			t.Errorf("%s: read after the clock was set: %v, want %v", c.name, err, c.want)
		}
		f.DecRef()
	}
}

func TestSetReturnsECANCELEDIfTheClockWasSetBefore(t *testing.T) {
	m := fstest.New(t, 64).Mounts
	var wall clock.Wall
	f, _ := timerfd.New(m, unix.CLOCK_REALTIME, clocks(&wall), 0)
	defer f.DecRef()
	wall.Set(wall.Now() + clock.Second)
	setting := timerfd.Setting{Value: wall.Now() + 100*clock.Second}
	for _, want := range []error{unix.ECANCELED, nil} {
		if _, err := timerfd.Of(f).Set(setting, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET); err != want {
			t.Errorf("Set: %v, want %v", err, want)
		}
	}
}
